// SPDX-License-Identifier: GPL-2.0
/*
 * Holds up the driver while it starts a card, between its last command and READY, for half a second: what the card says in that moment,
 * on another processor, comes before READY then. Loaded by tests/guest/_faults.sh, with the driver loaded. It changes nothing else.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>

static int late_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	mdelay(500);
	return 0;
}

static struct kretprobe late_probe = {
	.kp.symbol_name = "aipu_watch_events",
	.handler = late_return,
};

static int __init late_init(void)
{
	return register_kretprobe(&late_probe);
}
module_init(late_init);

static void __exit late_exit(void)
{
	unregister_kretprobe(&late_probe);
}
module_exit(late_exit);

MODULE_DESCRIPTION("AIPU test: a driver that is held up");
MODULE_LICENSE("GPL");
