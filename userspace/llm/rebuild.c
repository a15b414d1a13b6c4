/* SPDX-License-Identifier: MIT */
/*
 * What a model does when its device fails: jobs and how they end, the loss of a context, and beginning anew. A reset of the
 * device loses every context with all that belongs to it, and what was in device memory; the sessions' tokens are the host's,
 * and from them all comes back (llm_place() and the callers' own loops). Called by session.c and generate.c around whatever
 * they do on the device. It never tries for ever.
 */
#include <errno.h>
#include <string.h>

#include "llm_internal.h"

/* Without a token in between; beyond it is these jobs that the device fails at */
#define MOST_REBUILDS 3u
/* Calls that one reset meets: far more than there can be, but the device's count is not ours to trust for ever */
#define MOST_ECHOES 64u

/* --- jobs ----------------------------------------------------------------------------------------- */

int llm_broken(struct aipu_llm *llm, int err, const char *what)
{
	llm->usable = false;
	return llm_fail(llm, err, "%s: %s", what, strerror(-err));
}

int llm_check(struct aipu_llm *llm, const char *what, const struct aipu_result *result)
{
	int err = aipu_status_errno(result->status);

	if (!err)
		return 0;
	/* The context has kept all that it had: the end of this job, no loss. */
	if (result->status == AIPU_STATUS_CONTEXT_RESET)
		err = -ETIMEDOUT;
	return llm_fail(llm, err, "%s: %s (status %u, detail 0x%x)", what,
			aipu_status_text(result->status), result->status, result->detail);
}

int llm_run(struct aipu_llm *llm, const char *what)
{
	const struct aipu_result *ended;
	struct aipu_result result;
	bool aborted = false;
	int err;

	err = aipu_queue_submit(llm->queue);
	if (err != 1)
		return llm_broken(llm, err < 0 ? err : -EIO, what);
	while ((err = aipu_queue_wait(llm->queue, &ended, -1)) == -EINTR) {
		if (!aborted && atomic_load(&llm->abort))
			aborted = !aipu_queue_abort(llm->queue, 0);
	}
	if (err)
		return llm_broken(llm, err, what);
	result = *ended;
	aipu_queue_seen(llm->queue, ended);
	if (aborted && result.status == AIPU_STATUS_ABORTED)
		return llm_fail(llm, -EINTR, "%s: %s", what, strerror(EINTR));
	return llm_check(llm, what, &result);
}

/* --- beginning anew ------------------------------------------------------------------------------- */

/* The context was lost. By a reset that is new? One can meet several calls, one after the other: the device's count tells. */
static bool count_loss(struct aipu_llm *llm)
{
	struct aipu_device_info info;
	bool told = !aipu_device_query(llm->device, &info);

	if (told && info.resets == llm->resets && llm->echoes < MOST_ECHOES) {
		llm->echoes++;
		return false;
	}
	if (told)
		llm->resets = info.resets;
	llm->echoes = 0;
	llm->losses++;
	return true;
}

/* The device may be reset while it is at this too. */
static int place_anew(struct aipu_llm *llm)
{
	struct aipu_message why;
	int err;

	do {
		if (llm->losses > MOST_REBUILDS)
			return llm_fail(
				llm, -ECANCELED,
				"the device was reset %u times without a new token in between, given up; "
				"the kernel's log says why it was reset",
				llm->losses);
		llm_unplace(llm);
		err = llm_place(llm);
		llm->places += !err || (err == -ECANCELED && count_loss(llm));
	} while (err == -ECANCELED);
	if (!err) {
		llm->usable = true;
		return 0;
	}
	llm_unplace(llm);
	if (!llm->places || err == -EINTR)
		return err;
	why = llm->error;
	return llm_fail(llm, err, "the device was reset and cannot be used again: %.450s",
			why.text);
}

int llm_begin(struct aipu_llm *llm)
{
	llm->losses = 0;
	return llm->usable ? 0 : place_anew(llm);
}

bool llm_again(struct aipu_llm *llm, int *err)
{
	if (*err != -ECANCELED)
		return false;
	llm->usable = false;
	count_loss(llm);
	*err = place_anew(llm);
	return !*err;
}
