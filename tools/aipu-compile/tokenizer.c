// SPDX-License-Identifier: MIT
/*
 * See tokenizer.h. Called by aipu-compile before anything is written, so that a wrong file is not noticed only when
 * the container is loaded. It never changes or copies the file.
 */
#include "tokenizer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu/llm.h"
#include "input.h"

#define TOKENIZER_LIMIT (64u << 20) /* as what is copied into the directory */
#define PADDING 64u /* rows beyond the pieces that need no warning */

/*
 * llama2.c's own files: the longest piece's length, then for each piece a score, its length and its bytes, with
 * nothing after the last one.
 */
static bool is_llama2c(const char *text, size_t bytes)
{
	const size_t head = 2 * sizeof(int32_t);
	size_t at = sizeof(int32_t);
	int32_t longest, length;

	if (bytes < at + head)
		return false;
	memcpy(&longest, text, sizeof(longest));
	if (longest < 1 || longest > 65536)
		return false;
	while (bytes - at >= head) {
		memcpy(&length, text + at + sizeof(float), sizeof(length));
		at += head;
		if (length < 0 || length > longest || (size_t)length > bytes - at)
			return false;
		at += (size_t)length;
	}
	return at == bytes;
}

int tokenizer_check(const char *path, uint32_t vocabulary, struct aipu_message *message)
{
	struct aipu_tokenizer *tokenizer;
	uint32_t pieces;
	size_t bytes, stem;
	bool llama2c;
	char *text;
	int err = input_load(path, TOKENIZER_LIMIT, &text, &bytes, message);

	if (err)
		return err;
	llama2c = is_llama2c(text, bytes);
	free(text);
	stem = strlen(path);
	if (llama2c && stem > 4 && !strcmp(path + stem - 4, ".bin"))
		return compile_fail(message, -EINVAL,
				    "%s: is in llama2.c's format: give the sentencepiece model, "
				    "%.*s.model",
				    path, (int)stem - 4, path);
	if (llama2c)
		return compile_fail(message, -EINVAL,
				    "%s: is in llama2.c's format: give the sentencepiece model",
				    path);
	err = aipu_tokenizer_open(path, &tokenizer, message);
	if (err)
		return message->text[0]
			       ? err
			       : compile_fail(message, err, "%s: %s", path, strerror(-err));
	pieces = aipu_tokenizer_vocabulary(tokenizer);
	aipu_tokenizer_close(tokenizer);
	if (pieces > vocabulary)
		return compile_fail(
			message, -EINVAL,
			"%s: has %u pieces, the model's vocabulary is %u: the tokenizer of "
			"another model",
			path, pieces, vocabulary);
	if (vocabulary - pieces > PADDING)
		fprintf(stderr,
			"aipu-compile: warning: %s: has %u pieces, the model's vocabulary is %u: "
			"other "
			"ids have no text\n",
			path, pieces, vocabulary);
	return 0;
}
