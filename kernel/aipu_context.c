// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts and programs: made and ended by admin commands. A context's memory is let go of here
 * (segments in aipu_segment.c) at two moments only: when the card has said that the context is no
 * more, or when the card was stopped. It never waits for a job of a user while it holds a lock.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include <drm/aipu_accel.h>

#include "aipu_context.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"

/* --- references ------------------------------------------------------------------------------- */

static void context_release(struct kref *refs)
{
	struct aipu_context *context = container_of(refs, struct aipu_context, refs);

	aipu_command_put(context->destroy);
	aipu_command_put(context->unbind);
	xa_destroy(&context->segments);
	xa_destroy(&context->programs);
	mutex_destroy(&context->unbind_lock);
	mutex_destroy(&context->lock);
	kfree(context);
}

void aipu_context_put(struct aipu_context *context)
{
	if (context)
		kref_put(&context->refs, context_release);
}

struct aipu_context *aipu_context_get(struct aipu_file *file, u32 id)
{
	struct aipu_context *context;

	xa_lock(&file->contexts);
	context = xa_load(&file->contexts, id);
	if (context)
		kref_get(&context->refs);
	xa_unlock(&file->contexts);
	return context;
}

int aipu_context_alive(struct aipu_context *context)
{
	return context->dead || context->epoch != context->aipu->epoch ? -ECANCELED : 0;
}

struct aipu_context *aipu_context_enter(struct aipu_file *file, u32 id, int *idx)
{
	struct aipu_context *context = aipu_context_get(file, id);
	int err;

	if (!context)
		return ERR_PTR(-ENOENT);
	err = aipu_enter(context->aipu, idx);
	if (err) {
		aipu_context_put(context);
		return ERR_PTR(err);
	}
	mutex_lock(&context->lock);
	err = aipu_context_alive(context);
	if (!err)
		return context;
	aipu_context_exit(context, *idx);
	return ERR_PTR(err);
}

void aipu_context_exit(struct aipu_context *context, int idx)
{
	mutex_unlock(&context->lock);
	aipu_exit(context->aipu, idx);
	aipu_context_put(context);
}

/* --- making and ending ------------------------------------------------------------------------ */

static int command(struct aipu_context *context, u8 opcode, u32 priority, u32 weight)
{
	struct aipu_admin entry = {
		.opcode = opcode,
		.context = {
			.context = cpu_to_le32(context->id),
			.priority = cpu_to_le32(priority),
			.weight = cpu_to_le32(weight),
		},
	};

	return aipu_admin_run(context->aipu, &entry, NULL);
}

static struct aipu_context *context_alloc(struct aipu_device *aipu, struct aipu_file *file)
{
	struct aipu_context *context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);

	if (!context)
		return NULL;
	kref_init(&context->refs);
	context->aipu = aipu;
	context->file = file;
	context->user = current_euid();
	context->epoch = aipu->epoch;
	mutex_init(&context->lock);
	mutex_init(&context->unbind_lock);
	xa_init_flags(&context->segments, XA_FLAGS_ALLOC);
	xa_init_flags(&context->programs, XA_FLAGS_ALLOC);
	INIT_LIST_HEAD(&context->queues);
	context->destroy = aipu_command_create(AIPU_ADMIN_DESTROY_CONTEXT);
	if (context->destroy)
		return context;
	aipu_context_put(context);
	return NULL;
}

int aipu_context_create(struct aipu_device *aipu, struct aipu_file *file, u32 priority, u32 weight,
			struct aipu_context **out)
{
	struct aipu_context *context = context_alloc(aipu, file);
	int err;

	if (!context)
		return -ENOMEM;
	/* Reserved first: the place then takes the pointer without fail. */
	err = xa_alloc(&aipu->contexts, &context->id, NULL, XA_LIMIT(1, aipu->limits.max_contexts),
		       GFP_KERNEL);
	if (err) {
		aipu_context_put(context);
		return err == -EBUSY ? -ENOSPC : err;
	}
	err = command(context, AIPU_ADMIN_CREATE_CONTEXT, priority, weight);
	if (err) {
		xa_erase(&aipu->contexts, context->id);
		aipu_context_put(context);
		return err;
	}
	kref_get(&context->refs);
	xa_store(&aipu->contexts, context->id, context, GFP_KERNEL);
	*out = context;
	return 0;
}

/* What the card had of it is the host's again. Under reset_lock and the context's. */
static void context_forget(struct aipu_context *context)
{
	struct aipu_ioq *queue, *next;

	list_for_each_entry_safe(queue, next, &context->queues, in_context)
		aipu_ioq_forget(queue);
	aipu_segments_release(context);
	xa_erase(&context->aipu->contexts, context->id);
	aipu_context_put(context);
}

/* Ends it on the card, with its queues, and frees what it held; enters the card itself */
static void context_destroy(struct aipu_context *context)
{
	struct aipu_device *aipu = context->aipu;
	struct aipu_command *destroy = context->destroy;
	struct aipu_ioq *queue, *next;
	int idx, err = 0;

	/* No card: it was stopped, or is about to be; aipu_context_lost() does the rest then. */
	if (!drm_dev_enter(&aipu->drm, &idx))
		return;
	down_read(&aipu->reset_lock);
	scoped_guard(mutex, &context->lock) {
		if (aipu_context_alive(context))
			break;
		context->dead = true;
		list_for_each_entry_safe(queue, next, &context->queues, in_context)
			aipu_ioq_destroy(queue);
		destroy->entry.context.context = cpu_to_le32(context->id);
		/* Without an answer the card is about to be stopped. */
		if (aipu_command_run(aipu, destroy))
			break;
		err = aipu_status_errno(le16_to_cpu(destroy->result.status));
		if (!err)
			context_forget(context);
	}
	/* Before another epoch can begin */
	if (err)
		aipu_reset_ask(aipu, "a context could not be destroyed");
	up_read(&aipu->reset_lock);
	drm_dev_exit(idx);
}

void aipu_context_lost(struct aipu_context *context)
{
	/* The reference that context_forget() puts may be the last, and the lock is in it. */
	kref_get(&context->refs);
	scoped_guard(mutex, &context->lock) {
		context->dead = true;
		context_forget(context);
	}
	aipu_context_put(context);
}

void aipu_contexts_close(struct aipu_file *file)
{
	struct aipu_context *context;
	unsigned long id;

	xa_for_each(&file->contexts, id, context) {
		xa_erase(&file->contexts, id);
		context_destroy(context);
		aipu_context_put(context);
	}
	xa_destroy(&file->contexts);
}

/*
 * Has this user more than half of the contexts, or of the queues? Others shall find some, so nobody
 * gets there without CAP_SYS_RESOURCE. Asked when the new one is already counted.
 */
bool aipu_user_beyond(struct aipu_device *aipu)
{
	unsigned int contexts = 0, queues = 0;
	struct aipu_context *context;
	struct aipu_ioq *queue;
	unsigned long id;

	if (capable(CAP_SYS_RESOURCE))
		return false;
	xa_lock(&aipu->contexts);
	xa_for_each(&aipu->contexts, id, context)
		contexts += uid_eq(context->user, current_euid());
	xa_unlock(&aipu->contexts);
	xa_lock(&aipu->queues);
	xa_for_each(&aipu->queues, id, queue)
		queues += uid_eq(queue->context->user, current_euid());
	xa_unlock(&aipu->queues);
	return contexts > aipu->limits.max_contexts / 2 || queues > aipu->limits.max_queues / 2;
}

/* --- ioctls ----------------------------------------------------------------------------------- */

static int check_share(struct aipu_device *aipu, const struct drm_aipu_context_create *args)
{
	if (args->flags || args->priority > AIPU_PRIORITY_HIGH || args->weight > 256)
		return -EINVAL;
	if (args->priority == AIPU_PRIORITY_HIGH && !capable(CAP_SYS_NICE))
		return -EACCES;
	if ((args->priority || args->weight > 1) &&
	    !(aipu->limits.capabilities & AIPU_CAP_PRIORITIES))
		return -EOPNOTSUPP;
	return 0;
}

int aipu_context_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct aipu_device *aipu = to_aipu(drm);
	struct aipu_file *file = drm_file->driver_priv;
	struct drm_aipu_context_create *args = data;
	struct aipu_context *context;
	int idx, err;

	err = aipu_enter(aipu, &idx);
	if (err)
		return err;
	err = check_share(aipu, args);
	if (!err)
		err = aipu_context_create(aipu, file, args->priority, args->weight, &context);
	aipu_exit(aipu, idx);
	if (err)
		return err;
	/* Published last; an id of the file's own, since the card's is given anew after a reset. */
	err = aipu_user_beyond(aipu) ? -ENOSPC
				     : xa_alloc(&file->contexts, &args->context, context,
						xa_limit_31b, GFP_KERNEL_ACCOUNT);
	if (!err)
		return 0;
	context_destroy(context);
	aipu_context_put(context);
	return err;
}

int aipu_context_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct aipu_file *file = drm_file->driver_priv;
	struct drm_aipu_context *args = data;
	struct aipu_context *context;

	if (args->pad)
		return -EINVAL;
	context = xa_erase(&file->contexts, args->context);
	if (!context)
		return -ENOENT;
	context_destroy(context);
	aipu_queues_drop(file, context);
	aipu_context_put(context);
	return 0;
}

int aipu_context_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_context *args = data;
	struct aipu_context *context;
	int idx, err;

	if (args->pad)
		return -EINVAL;
	context = aipu_context_enter(drm_file->driver_priv, args->context, &idx);
	if (IS_ERR(context))
		return PTR_ERR(context);
	err = command(context, AIPU_ADMIN_RESET_CONTEXT, 0, 0);
	aipu_context_exit(context, idx);
	return err;
}

/* --- programs --------------------------------------------------------------------------------- */

static int program_load(struct aipu_context *context, struct drm_aipu_program_load *args)
{
	struct aipu_device *aipu = context->aipu;
	struct aipu_completion result = {};
	struct aipu_admin entry = { .opcode = AIPU_ADMIN_LOAD_PROGRAM };
	u32 id;
	int err;

	if (!xa_load(&context->segments, args->segment))
		return -ENOENT;
	err = xa_alloc(&context->programs, &id, xa_mk_value(0),
		       XA_LIMIT(0, aipu->limits.max_programs - 1), GFP_KERNEL_ACCOUNT);
	if (err)
		return err == -EBUSY ? -ENOSPC : err;
	entry.program.context = cpu_to_le32(context->id);
	entry.program.program = cpu_to_le32(id);
	entry.program.segment = cpu_to_le32(args->segment);
	entry.program.bytes = cpu_to_le32(args->bytes);
	entry.program.offset = cpu_to_le64(args->offset);
	err = aipu_admin_run(aipu, &entry, &result);
	if (err) {
		if (err == -ENOEXEC || err == -EOPNOTSUPP)
			args->detail = le32_to_cpu(result.detail);
		xa_erase(&context->programs, id);
		return err;
	}
	args->program = id;
	return 0;
}

int aipu_program_load_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct aipu_device *aipu = to_aipu(drm);
	struct drm_aipu_program_load *args = data;
	struct aipu_context *context;
	int idx, err;

	args->detail = 0;
	if (args->pad || args->offset % 8 || !args->bytes ||
	    args->bytes > aipu->limits.max_program_bytes)
		return -EINVAL;
	context = aipu_context_enter(drm_file->driver_priv, args->context, &idx);
	if (IS_ERR(context))
		return PTR_ERR(context);
	err = program_load(context, args);
	aipu_context_exit(context, idx);
	return err;
}

static int program_unload(struct aipu_context *context, u32 id)
{
	struct aipu_admin entry = {
		.opcode = AIPU_ADMIN_UNLOAD_PROGRAM,
		.program = {
			.context = cpu_to_le32(context->id),
			.program = cpu_to_le32(id),
		},
	};
	int err;

	if (!xa_load(&context->programs, id))
		return -ENOENT;
	err = aipu_admin_run(context->aipu, &entry, NULL);
	if (!err)
		xa_erase(&context->programs, id);
	return err;
}

int aipu_program_unload_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_aipu_program_unload *args = data;
	struct aipu_context *context;
	int idx, err;

	context = aipu_context_enter(drm_file->driver_priv, args->context, &idx);
	if (IS_ERR(context))
		return PTR_ERR(context);
	err = program_unload(context, args->program);
	aipu_context_exit(context, idx);
	return err;
}
