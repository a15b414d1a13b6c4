/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: the life of jobs, and resets. Names and fields stay; more may be added. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM aipu

#if !defined(AIPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define AIPU_TRACE_H

#include <linux/tracepoint.h>

#include "aipu_ioq.h"

/* All of jobs under queue->lock */
/* What stands in TRACE_EVENT() is no call, as clang-format takes it. */
/* clang-format off */
DECLARE_EVENT_CLASS(aipu_job,
		    TP_PROTO(const struct aipu_ioq *queue, u64 sequence, u8 opcode),
		    TP_ARGS(queue, sequence, opcode),
		    TP_STRUCT__entry(__string(device, dev_name(queue->aipu->drm.dev))
				     __field(u32, context)
				     __field(u32, queue)
				     __field(u64, sequence)
				     __field(u32, running)
				     __field(u8, opcode)),
		    TP_fast_assign(__assign_str(device);
				   __entry->context = queue->context->id;
				   __entry->queue = queue->id;
				   __entry->sequence = sequence;
				   __entry->running = queue->running;
				   __entry->opcode = opcode;),
		    TP_printk("%s context=%u queue=%u sequence=%llu opcode=%u running=%u",
			      __get_str(device), __entry->context, __entry->queue,
			      __entry->sequence, __entry->opcode, __entry->running)
);

DEFINE_EVENT(aipu_job, aipu_job_queue,
	     TP_PROTO(const struct aipu_ioq *queue, u64 sequence, u8 opcode),
	     TP_ARGS(queue, sequence, opcode)
);

/* The card is told, by its shadow or a doorbell: it may run all jobs up to this one */
DEFINE_EVENT(aipu_job, aipu_job_run,
	     TP_PROTO(const struct aipu_ioq *queue, u64 sequence, u8 opcode),
	     TP_ARGS(queue, sequence, opcode)
);

TRACE_EVENT(aipu_job_done,
	    TP_PROTO(const struct aipu_ioq *queue, u64 sequence,
		     const struct drm_aipu_result *result),
	    TP_ARGS(queue, sequence, result),
	    TP_STRUCT__entry(__string(device, dev_name(queue->aipu->drm.dev))
			     __field(u32, context)
			     __field(u32, queue)
			     __field(u64, sequence)
			     __field(u64, time_ns)
			     __field(u32, step_start)
			     __field(u32, step_end)
			     __field(u16, status)),
	    TP_fast_assign(__assign_str(device);
			   __entry->context = queue->context->id;
			   __entry->queue = queue->id;
			   __entry->sequence = sequence;
			   __entry->time_ns = result->time_ns;
			   __entry->step_start = result->step_start;
			   __entry->step_end = result->step_end;
			   __entry->status = result->status;),
	    TP_printk("%s context=%u queue=%u sequence=%llu status=%u time_ns=%llu steps=%u..%u",
		      __get_str(device), __entry->context, __entry->queue, __entry->sequence,
		      __entry->status, __entry->time_ns, __entry->step_start, __entry->step_end)
);

/* The card stops: @epoch ends; or one @context is reset, else 0. @guilt: for a job */
TRACE_EVENT(aipu_reset,
	    TP_PROTO(const struct aipu_device *aipu, u32 context, const char *why, bool guilt),
	    TP_ARGS(aipu, context, why, guilt),
	    TP_STRUCT__entry(__string(device, dev_name(aipu->drm.dev))
			     __string(why, why)
			     __field(u64, epoch)
			     __field(u32, context)
			     __field(bool, guilt)),
	    TP_fast_assign(__assign_str(device);
			   __assign_str(why);
			   __entry->epoch = aipu->epoch;
			   __entry->context = context;
			   __entry->guilt = guilt;),
	    TP_printk("%s epoch=%llu context=%u guilt=%d why=\"%s\"", __get_str(device),
		      __entry->epoch, __entry->context, __entry->guilt, __get_str(why))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE aipu_trace
#include <trace/define_trace.h>
