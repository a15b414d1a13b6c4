# SPDX-License-Identifier: GPL-2.0-or-later
LIBS_aipu-smi = $(cards_a) $(PCI_LIBS) $(dm_a)
