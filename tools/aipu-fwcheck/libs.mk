# SPDX-License-Identifier: GPL-2.0-or-later
LIBS_aipu-fwcheck = -Wl,--start-group $(dm_a) $(fw_a) -Wl,--end-group $(cards_a) $(PCI_LIBS)
