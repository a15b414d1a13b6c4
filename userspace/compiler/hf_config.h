/* SPDX-License-Identifier: MIT */
/*
 * Reader of a Hugging Face model's config.json and generation_config.json.
 */
#ifndef AIPU_COMPILE_HF_CONFIG_H
#define AIPU_COMPILE_HF_CONFIG_H

#include "compiler.h"

/*
 * text[bytes]: config.json; path: for messages. -EINVAL: not JSON, a value is missing or wrong; -ENOTSUP: it
 * asks for what the compiler does not have. *message is one line.
 */
int hf_config_parse(const char *path, const char *text, size_t bytes, struct compile_shape *shape,
		    struct aipu_message *message);
/* generation_config.json: bos and stop ids replace those of config.json where it names them */
int hf_generation_parse(const char *path, const char *text, size_t bytes,
			struct compile_shape *shape, struct aipu_message *message);

#endif
