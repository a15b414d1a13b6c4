// SPDX-License-Identifier: GPL-2.0
/*
 * One bug for each detector of the debug kernel, on request: a name of the list below is written to
 * "trigger" in debugfs, and the detector that the name stands for must say something. Loaded by
 * tests/guest/seeded.sh in a guest that does nothing else. Must never be built into anything that is
 * used, and holds no bug that ends or endangers the guest before it has reported.
 *
 * With harmless=1 nothing is triggered: every test of seeded.sh must then fail.
 */
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

static bool harmless;
module_param(harmless, bool, 0444);
MODULE_PARM_DESC(harmless, "trigger nothing");

static struct dentry *seeded_dir;
static u32 allocations_failed;

/* KASAN: one byte behind an object of the slab allocator. */
static int seeded_heap_overflow(void)
{
	char *p = kmalloc(32, GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[32], 1);
	kfree(p);
	return 0;
}

/* KASAN: an object that was freed. */
static int seeded_use_after_free(void)
{
	char *p = kmalloc(32, GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	(void)READ_ONCE(*p);
	return 0;
}

/* KASAN (its vmalloc part): the page behind, which is a guard page and has a shadow all the same. */
static int seeded_vmalloc_overflow(void)
{
	char *p = vmalloc(PAGE_SIZE / 2);

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[PAGE_SIZE / 2 + 8], 1);
	vfree(p);
	return 0;
}

/* UBSAN: a shift by more bits than there are. */
static int seeded_shift(void)
{
	int bits = 40, value = 1;

	OPTIMIZER_HIDE_VAR(bits);
	value <<= bits;
	OPTIMIZER_HIDE_VAR(value);
	return 0;
}

/* UBSAN: an index beyond an array, in memory that is ours. */
static int seeded_bounds(void)
{
	struct {
		int array[4];
		int more[4];
	} s = {};
	int index = 5;

	OPTIMIZER_HIDE_VAR(index);
	s.array[index] = 1;
	OPTIMIZER_HIDE_VAR(s.more[1]);
	return 0;
}

/* kmemleak: objects to which no pointer is left; several, as a stale one may lie on a stack. */
static int seeded_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *p = kmalloc(1000 + i, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
	return 0;
}

/* DMA-API debugging: a mapping that is undone with another size than it was made with. */
static int seeded_dma_size(void)
{
	struct platform_device *pdev;
	dma_addr_t address;
	void *p;
	int err;

	pdev = platform_device_register_simple("aipu-seeded", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	p = kmalloc(256, GFP_KERNEL);
	if (!err && p) {
		address = dma_map_single(&pdev->dev, p, 256, DMA_TO_DEVICE);
		err = dma_mapping_error(&pdev->dev, address);
		if (!err)
			dma_unmap_single(&pdev->dev, address, 128, DMA_TO_DEVICE);
	}
	kfree(p);
	platform_device_unregister(pdev);
	return err;
}

/* DEBUG_ATOMIC_SLEEP: what may sleep, with a spin lock held. */
static int seeded_atomic_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
	return 0;
}

/* DEBUG_PREEMPT: the processor's number where the task may move to another at any time. */
static int seeded_preempt(void)
{
	return smp_processor_id() < 0 ? -EIO : 0;
}

struct seeded_timed {
	struct timer_list timer;
};

static void seeded_timer(struct timer_list *timer)
{
}

/* DEBUG_OBJECTS: an object freed with a timer in it that runs. (The detector then stops it.) */
static int seeded_free_timer(void)
{
	struct seeded_timed *timed = kzalloc(sizeof(*timed), GFP_KERNEL);

	if (!timed)
		return -ENOMEM;
	timer_setup(&timed->timer, seeded_timer, 0);
	mod_timer(&timed->timer, jiffies + 3600 * HZ);
	kfree(timed);
	return 0;
}

/* DEBUG_LIST: an entry taken out twice. */
static int seeded_list(void)
{
	struct list_head head, entry;

	INIT_LIST_HEAD(&head);
	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
	return 0;
}

/* PROVE_RCU: a pointer of RCU read outside of a read section. */
static int seeded_rcu(void)
{
	static int value;
	static int __rcu *pointer = RCU_INITIALIZER(&value);

	return *rcu_dereference(pointer);
}

/* lockdep: two locks taken in both orders. Never a deadlock here, as one task does both. */
static int seeded_lock_order(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);

	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
	return 0;
}

static DECLARE_COMPLETION(seeded_hang_ends);

static int seeded_hang_thread(void *unused)
{
	wait_for_completion(&seeded_hang_ends);
	return 0;
}

static struct task_struct *seeded_hanging;

/* DETECT_HUNG_TASK: a thread that waits for what does not come until "hung-task-end" is written. */
static int seeded_hang(void)
{
	struct task_struct *task;

	if (seeded_hanging)
		return -EBUSY;
	task = kthread_run(seeded_hang_thread, NULL, "seeded-hang");
	if (IS_ERR(task))
		return PTR_ERR(task);
	seeded_hanging = get_task_struct(task);
	return 0;
}

static int seeded_hang_end(void)
{
	if (!seeded_hanging)
		return 0;
	complete(&seeded_hang_ends);
	kthread_stop(seeded_hanging);
	put_task_struct(seeded_hanging);
	seeded_hanging = NULL;
	return 0;
}

/* Fault injection: an allocation that succeeds unless failslab was told otherwise. */
static int seeded_allocate(void)
{
	void *p = kmalloc(128, GFP_KERNEL | __GFP_NOWARN);

	if (!p)
		allocations_failed++;
	kfree(p);
	return 0;
}

/* KCOV and GCOV: branches to be counted. */
static int seeded_cover(void)
{
	int sum = 0, i;

	for (i = 0; i < 16; i++) {
		OPTIMIZER_HIDE_VAR(sum);
		if (i & 1)
			sum += i;
	}
	return sum == 64 ? 0 : -EIO;
}

/* Any warning of a driver. */
static int seeded_warning(void)
{
	WARN(1, "seeded warning\n");
	return 0;
}

static const struct seeded_bug {
	const char *name;
	int (*trigger)(void);
} seeded_bugs[] = {
	{ "heap-overflow", seeded_heap_overflow },
	{ "use-after-free", seeded_use_after_free },
	{ "vmalloc-overflow", seeded_vmalloc_overflow },
	{ "shift", seeded_shift },
	{ "bounds", seeded_bounds },
	{ "leak", seeded_leak },
	{ "dma-size", seeded_dma_size },
	{ "atomic-sleep", seeded_atomic_sleep },
	{ "preempt", seeded_preempt },
	{ "free-timer", seeded_free_timer },
	{ "list", seeded_list },
	{ "rcu", seeded_rcu },
	{ "lock-order", seeded_lock_order },
	{ "hung-task", seeded_hang },
	{ "hung-task-end", seeded_hang_end },
	{ "allocate", seeded_allocate },
	{ "cover", seeded_cover },
	{ "warning", seeded_warning },
};

static ssize_t seeded_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	char name[32] = {};
	size_t i;
	int err;

	/* On the stack: what the user asks for must be the first allocation that can fail. */
	if (count >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, from, count))
		return -EFAULT;
	if (count && name[count - 1] == '\n')
		name[count - 1] = '\0';
	for (i = 0; i < ARRAY_SIZE(seeded_bugs); i++) {
		if (strcmp(name, seeded_bugs[i].name))
			continue;
		err = harmless ? 0 : seeded_bugs[i].trigger();
		return err < 0 ? err : count;
	}
	return -EINVAL;
}

static const struct file_operations seeded_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = seeded_write,
};

static int __init seeded_init(void)
{
	seeded_dir = debugfs_create_dir("aipu-seeded", NULL);
	debugfs_create_file("trigger", 0200, seeded_dir, NULL, &seeded_fops);
	debugfs_create_u32("allocations_failed", 0444, seeded_dir, &allocations_failed);
	return 0;
}

static void __exit seeded_exit(void)
{
	debugfs_remove(seeded_dir);
	seeded_hang_end();
}

module_init(seeded_init);
module_exit(seeded_exit);
MODULE_DESCRIPTION("One bug for each detector of a debug kernel");
MODULE_LICENSE("GPL");
