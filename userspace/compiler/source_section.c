// SPDX-License-Identifier: MIT
/*
 * Section SOURCE: what a person wants to know of a container, as JSON text. Called by the container's writer.
 * Nothing in it depends on time, place or machine.
 */
#include <errno.h>
#include <stdio.h>
#include <jansson.h>

#include "graph.h"

static const char *const tensor_names[COMPILE_TENSORS] = {
	"embedding", "norm_attention", "wq", "wk",   "wv",	   "wo",
	"norm_ffn",  "gate",	       "up", "down", "norm_final", "classifier",
};

void part_name(const struct value_part *part, char *name, size_t bytes)
{
	bool once = part->tensor == COMPILE_EMBEDDING || part->tensor == COMPILE_CLASSIFIER ||
		    part->tensor == COMPILE_NORM_FINAL;

	if (once)
		snprintf(name, bytes, "%s", tensor_names[part->tensor]);
	else
		snprintf(name, bytes, "layers.%u.%s", part->layer, tensor_names[part->tensor]);
}

static json_t *value_describe(const struct value *value)
{
	static const char *const formats[] = { "none", "f32", "f16", "bf16", "i8_g32" };
	json_t *parts = json_array();
	uint32_t i;

	for (i = 0; i < value->part_count; i++) {
		char name[64];

		part_name(&value->parts[i], name, sizeof(name));
		json_array_append_new(parts, json_string(name));
	}
	if (value->kind == VALUE_ROPE)
		json_array_append_new(parts, json_string("rope"));
	return json_pack("{s:o, s:s, s:I, s:I, s:s}", "parts", parts, "slot",
			 value->slot == SLOT_WEIGHTS ? "weights" : "constants", "offset",
			 (json_int_t)value->offset, "bytes", (json_int_t)value->bytes, "format",
			 formats[value->format]);
}

int source_section(const struct graph *graph, const struct compile_source *source, char **text)
{
	const struct compile_options *o = &graph->options;
	json_t *tensors = json_array(), *root;
	uint32_t i;

	for (i = 0; i < graph->value_count; i++)
		if (graph->values[i].placed && graph->values[i].slot <= SLOT_CONSTANTS)
			json_array_append_new(tensors, value_describe(&graph->values[i]));
	root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:o}", "compiler",
			 "aipu-compile " AIPU_PACKAGE_VERSION, "source", source->kind, "name",
			 source->name, "precision", compile_precision_name(o->precision),
			 "kv_precision", o->kv_format == AIPU_FMT_F32 ? "fp32" : "fp16",
			 "prompt_len", (int)o->prompt_len, "ctx_len", (int)o->ctx_len, "batch_size",
			 (int)o->batch_size, "cores", (int)o->cores, "tensors", tensors);
	*text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
	json_decref(root);
	return *text ? 0 : -ENOMEM;
}
