/* SPDX-License-Identifier: MIT */
/*
 * The tokenizer: sentencepiece behind the C functions of aipu/llm.h. The only C++ of the project. Called by
 * models and by users directly; no exception leaves this file, and a tokenizer never changes after open.
 */
#include "aipu/llm.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <sentencepiece_processor.h>

struct aipu_tokenizer {
	sentencepiece::SentencePieceProcessor processor;
};

static void say(struct aipu_message *message, const std::string &text)
{
	if (message)
		snprintf(message->text, sizeof(message->text), "%s", text.c_str());
}

/* Sentencepiece takes any bytes; what is not UTF-8 would come back changed, so it is refused. */
static bool is_utf8(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		unsigned char c = p[i];
		size_t more = c < 0x80		      ? 0
			      : c >= 0xc2 && c < 0xe0 ? 1
			      : c >= 0xe0 && c < 0xf0 ? 2
						      : 3;

		if (c >= 0x80 && (c < 0xc2 || c > 0xf4))
			return false;
		if (more >= n - i)
			return false;
		for (size_t k = 1; k <= more; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
		if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) ||
		    (c == 0xf0 && p[i + 1] < 0x90) || (c == 0xf4 && p[i + 1] > 0x8f))
			return false;
		i += more + 1;
	}
	return true;
}

extern "C" int aipu_tokenizer_open(const char *path, struct aipu_tokenizer **tokenizer,
				   struct aipu_message *message)
{
	if (!path || !tokenizer)
		return -EINVAL;
	*tokenizer = nullptr;
	try {
		/* Read here: sentencepiece logs to stderr by itself when a file cannot be opened. */
		struct stat st;
		if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
			say(message, std::string(path) + ": not a regular file");
			return -EINVAL;
		}
		std::ifstream in(path, std::ios::binary);
		if (!in) {
			int err = errno ? errno : ENOENT;

			say(message, std::string(path) + ": " + strerror(err));
			return -err;
		}
		std::string bytes((std::istreambuf_iterator<char>(in)),
				  std::istreambuf_iterator<char>());
		if (in.bad() || bytes.empty()) {
			say(message,
			    std::string(path) + ": empty or unreadable, not a sentencepiece model");
			return -EINVAL;
		}
		std::unique_ptr<aipu_tokenizer> t(new aipu_tokenizer);
		if (!t->processor.LoadFromSerializedProto(bytes).ok() ||
		    t->processor.GetPieceSize() <= 0) {
			say(message, std::string(path) + ": not a sentencepiece model");
			return -EINVAL;
		}
		*tokenizer = t.release();
		return 0;
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	} catch (...) {
		say(message, std::string(path) + ": not a sentencepiece model");
		return -EINVAL;
	}
}

extern "C" void aipu_tokenizer_close(struct aipu_tokenizer *tokenizer)
{
	delete tokenizer;
}

extern "C" uint32_t aipu_tokenizer_vocabulary(const struct aipu_tokenizer *tokenizer)
{
	return static_cast<uint32_t>(tokenizer->processor.GetPieceSize());
}

extern "C" int aipu_tokenizer_encode(struct aipu_tokenizer *tokenizer, const char *text,
				     size_t bytes, uint32_t **ids)
{
	if (!tokenizer || (!text && bytes) || !ids)
		return -EINVAL;
	*ids = nullptr;
	if (!is_utf8(reinterpret_cast<const unsigned char *>(text), bytes))
		return -EILSEQ;
	try {
		std::vector<int> out;

		if (bytes && !tokenizer->processor.Encode(std::string(text, bytes), &out).ok())
			return -EINVAL;
		uint32_t *copy = static_cast<uint32_t *>(malloc((out.size() + 1) * sizeof(*copy)));
		if (!copy)
			return -ENOMEM;
		for (size_t i = 0; i < out.size(); i++)
			copy[i] = static_cast<uint32_t>(out[i]);
		*ids = copy;
		return static_cast<int>(out.size());
	} catch (...) {
		return -ENOMEM;
	}
}

extern "C" int aipu_tokenizer_piece(struct aipu_tokenizer *tokenizer, uint32_t previous,
				    uint32_t id, char *text, size_t bytes)
{
	static const char space[] = "\xe2\x96\x81"; /* U+2581 stands for a space */

	if (!tokenizer || !text || !bytes)
		return -EINVAL;
	if (id >= aipu_tokenizer_vocabulary(tokenizer))
		return -ERANGE;
	try {
		const sentencepiece::SentencePieceProcessor &p = tokenizer->processor;
		int piece_id = static_cast<int>(id);
		const std::string &piece = p.IdToPiece(piece_id);
		std::string out;

		if (p.IsControl(piece_id)) {
			out.clear();
		} else if (p.IsUnknown(piece_id)) {
			out = "\xef\xbf\xbd";
		} else if (p.IsByte(piece_id)) {
			unsigned int value = 0;

			if (sscanf(piece.c_str(), "<0x%2x>", &value) == 1)
				out.assign(1, static_cast<char>(value));
		} else {
			for (size_t i = 0; i < piece.size();) {
				if (piece.compare(i, 3, space) == 0) {
					out += ' ';
					i += 3;
				} else {
					out += piece[i++];
				}
			}
			if (!out.empty() && out[0] == ' ' &&
			    previous < aipu_tokenizer_vocabulary(tokenizer) &&
			    static_cast<int>(previous) == p.bos_id())
				out.erase(0, 1);
		}
		if (out.size() >= bytes)
			return -ENOSPC;
		memcpy(text, out.c_str(), out.size() + 1);
		return static_cast<int>(out.size());
	} catch (...) {
		return -ENOMEM;
	}
}
