/* SPDX-License-Identifier: MIT */
/*
 * aipu-gen: continues a text with a compiled model and streams the answer to standard output. The way from
 * here down is libaipu-llm, libaipu, the device; nothing of the model is known here.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli.h"
#include "machine.h"
#include "options.h"
#include "report.h"

/* Longest prompt that is looked at: far more than tokens of text have */
#define PROMPT_BYTES 65536u
#define TOKEN_BYTES 256u

/* For the signal handler alone */
static struct aipu_llm *volatile running;
static volatile sig_atomic_t interrupted;
/* The prompt is read, from what may never end; there is nothing yet to be finished or written */
static volatile sig_atomic_t reading;

static void on_interrupt(int signal)
{
	(void)signal;
	if (interrupted || reading)
		_exit(CLI_INTERRUPTED); /* asked twice, or nothing to wait for */
	interrupted = 1;
	if (running)
		aipu_llm_abort(running);
}

struct answer {
	const struct options *options;
	struct aipu_device *device;
	struct aipu_llm *llm;
	struct aipu_tokenizer *tokenizer;
	struct aipu_utf8 utf8;
	uint32_t previous; /* token before the next one */
	char *text; /* what was printed, NUL-terminated */
	size_t length, room;
	uint32_t *tokens;
	uint32_t count;
	double start_ms, first_ms; /* first_ms: when the first token was here */
	/* When the device had made the first and the last one, by its clock, which begins anew where it is reset */
	uint64_t first_ns, last_ns;
	uint64_t rebuilds; /* at the first token */
	int err; /* -errno of writing or memory: generation was given up */
};

static int answer_append(struct answer *a, const char *text, size_t bytes)
{
	if (a->length + bytes + 1 > a->room) {
		size_t room = (a->length + bytes + 1) * 2;
		char *more = realloc(a->text, room);

		if (!more)
			return -ENOMEM;
		a->text = more;
		a->room = room;
	}
	memcpy(a->text + a->length, text, bytes);
	a->length += bytes;
	a->text[a->length] = 0;
	if (a->options->json || !bytes)
		return 0;
	if (fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout))
		return errno ? -errno : -EIO;
	return 0;
}

static uint64_t rebuilds(struct aipu_llm *llm)
{
	struct aipu_llm_info info;

	aipu_llm_query(llm, &info);
	return info.rebuilds;
}

static int on_token(void *arg, const struct aipu_token *token)
{
	struct answer *a = arg;
	char piece[1024], whole[3 * sizeof(piece) + 12];
	int bytes;

	a->last_ns = token->time_ns;
	if (!a->count) {
		a->first_ms = cli_now_ms();
		a->first_ns = token->time_ns;
		a->rebuilds = rebuilds(a->llm);
	}
	a->tokens[a->count++] = token->token;
	if (token->reason == AIPU_END_STOP) /* a mark, not text */
		return 0;
	bytes = aipu_tokenizer_piece(a->tokenizer, a->previous, token->token, piece, sizeof(piece));
	a->previous = token->token;
	if (bytes < 0) /* ids above the tokenizer's have no text */
		bytes = 0;
	a->err = answer_append(a, whole, aipu_utf8_push(&a->utf8, piece, (size_t)bytes, whole));
	return a->err;
}

/*
 * The prompt, to free(); NULL after an error line, with the exit code in *code. At most `limit` bytes: what could never
 * fit the context is not tokenized.
 */
static char *read_prompt(const struct options *o, size_t limit, int *code)
{
	const char *name = o->prompt ? "the prompt" : o->prompt_file;
	FILE *in = NULL;
	char *text;
	size_t bytes = 0;

	*code = CLI_FAILED;
	text = malloc(limit + 2);
	if (!text) {
		cli_fail(TOOL, CLI_FAILED, "out of memory");
		return NULL;
	}
	if (o->prompt) {
		bytes = strnlen(o->prompt, limit + 1);
		memcpy(text, o->prompt, bytes);
	} else {
		in = strcmp(o->prompt_file, "-") ? fopen(o->prompt_file, "re") : stdin;
		if (in)
			bytes = fread(text, 1, limit + 1, in);
		if (!in || ferror(in)) {
			*code = errno == EACCES ? CLI_NO_PERMISSION : CLI_FAILED;
			cli_fail(TOOL, *code, "%s: %s", name, strerror(errno));
			goto fail;
		}
	}
	text[bytes] = 0;
	if (bytes > limit)
		cli_fail(TOOL, CLI_FAILED,
			 "%s has more than %zu bytes, which the context cannot hold", name, limit);
	else if (strlen(text) != bytes)
		cli_fail(TOOL, CLI_FAILED, "%s has a NUL byte at %zu: text is expected", name,
			 strlen(text));
	else
		*code = CLI_OK;
fail:
	if (in && in != stdin)
		fclose(in);
	if (*code == CLI_OK)
		return text;
	free(text);
	return NULL;
}

/* bos and the prompt's tokens; their number or an exit code as a negative number */
static int encode(struct aipu_llm *llm, const char *prompt, const struct aipu_llm_info *model,
		  uint32_t **tokens)
{
	uint32_t *ids, bos = model->bos_id != ~0u;
	int count = aipu_tokenizer_encode(aipu_llm_tokenizer(llm), prompt, strlen(prompt), &ids);

	if (count == -EILSEQ)
		return -cli_fail(TOOL, CLI_FAILED, "the prompt is not valid UTF-8");
	if (count < 0)
		return -cli_fail(TOOL, CLI_FAILED, "tokenizer: %s", strerror(-count));
	*tokens = malloc(((size_t)count + 1) * sizeof(**tokens));
	if (!*tokens) {
		free(ids);
		return -cli_fail(TOOL, CLI_FAILED, "out of memory");
	}
	if (bos)
		(*tokens)[0] = model->bos_id;
	memcpy(*tokens + bos, ids, (size_t)count * sizeof(*ids));
	free(ids);
	if ((uint32_t)count + bos > model->ctx_len)
		return -cli_fail(TOOL, CLI_FAILED, "the prompt has %u tokens, the context holds %u",
				 (uint32_t)count + bos, model->ctx_len);
	if (!count && !bos)
		return -cli_fail(TOOL, CLI_FAILED,
				 "the prompt is empty, and the model has no begin token");
	return count + (int)bos;
}

/*
 * The device's time for the tokens after the first; negative: not known. Not the time between their arrivals: the device does not
 * wait for the host, which may find all of them at once.
 */
static double decode_ms(const struct answer *a)
{
	if (a->count < 2 || a->last_ns <= a->first_ns || rebuilds(a->llm) != a->rebuilds)
		return -1;
	return (double)(a->last_ns - a->first_ns) * 1e-6;
}

static const char *finish_reason(uint32_t reason)
{
	switch (reason) {
	case AIPU_END_STOP:
		return "stop";
	case AIPU_END_LIMIT:
	case AIPU_END_CONTEXT:
		return "length";
	default:
		return "abort";
	}
}

/* Prefill and generation; the exit code */
static int answer(const struct options *o, struct aipu_llm *llm, struct run *run, struct answer *a)
{
	struct aipu_sampling sampling = {
		.temperature = o->temperature,
		.top_p = o->top_p,
		.min_p = o->min_p,
		.top_k = o->top_k,
		.seed = run->seed,
		.max_tokens = o->max_tokens,
	};
	struct aipu_session *session;
	uint32_t reason = AIPU_END_ABORT;
	double start = cli_now_ms();
	struct meter meter;
	int err;

	if (aipu_session_create(llm, &session))
		return cli_fail(TOOL, CLI_FAILED, "%s", aipu_llm_error(llm));
	if (o->echo)
		a->err = answer_append(a, run->prompt, strlen(run->prompt));
	a->previous = run->prompt_tokens[run->prompt_count - 1];
	err = a->err ? 0
		     : aipu_session_prefill(session, run->prompt_tokens, run->prompt_count, NULL);
	run->prefill_tokens = run->prompt_count - 1;
	run->prefill_ms = run->prefill_tokens && !err ? cli_now_ms() - start : -1;
	if (!err && !a->err && o->show_stats)
		meter_start(&meter, a->device);
	if (!err && !a->err) {
		err = aipu_llm_generate(llm, &session, &sampling, 1, on_token, a, &reason);
		if (o->show_stats)
			meter_stop(&meter, a->device, &run->meter);
	}
	if (!a->err) {
		char rest[16];

		a->err = answer_append(a, rest, aipu_utf8_flush(&a->utf8, rest));
	}
	aipu_session_destroy(session);
	if (a->err == -EPIPE)
		return CLI_CLOSED_PIPE;
	if (a->err)
		return cli_fail(TOOL, CLI_FAILED, "cannot write to standard output: %s",
				strerror(-a->err));
	if (err && !interrupted)
		return cli_fail(TOOL, cli_exit_code(err), "%s", aipu_llm_error(llm));
	run->text = a->text;
	run->tokens = a->tokens;
	run->token_count = a->count;
	run->finish_reason = finish_reason(reason);
	run->ttft_ms = a->count ? a->first_ms - a->start_ms : -1;
	run->decode_tokens = a->count ? a->count - 1 : 0;
	run->decode_ms = decode_ms(a);
	return interrupted && reason == AIPU_END_ABORT ? CLI_INTERRUPTED : CLI_OK;
}

/* The software device's memory is this machine's: where it tells no peak of its own, what can be read here counts */
static void measure_peak(struct run *run)
{
	struct limits limits = { 0 };

	if (!isnan(run->meter.peak_gbs) || isnan(run->meter.read_bytes) || interrupted ||
	    strcmp(run->device.transport, "soft") ||
	    limits_measure(run->device.cores, true, &limits))
		return;
	run->meter.peak_gbs = limits.read_gbs;
	run->peak_measured = true;
}

static int generate(const struct options *o, struct aipu_device *device, struct aipu_llm *llm,
		    struct run *run)
{
	struct answer a = {
		.options = o,
		.device = device,
		.llm = llm,
		.tokenizer = aipu_llm_tokenizer(llm),
	};
	uint32_t *tokens = NULL;
	int count, code;
	char *prompt;

	/* In this order: a signal either ends it at once or is seen here */
	reading = 1;
	if (interrupted)
		return CLI_INTERRUPTED;
	prompt = read_prompt(o, PROMPT_BYTES + (size_t)run->model.ctx_len * TOKEN_BYTES, &code);
	reading = 0;
	if (!prompt)
		return code;
	a.start_ms = cli_now_ms();
	count = encode(llm, prompt, &run->model, &tokens);
	run->tokenize_ms = cli_now_ms() - a.start_ms;
	if (count < 0) {
		free(tokens);
		free(prompt);
		return -count;
	}
	run->prompt = prompt;
	run->prompt_tokens = tokens;
	run->prompt_count = (uint32_t)count;
	a.tokens = malloc(((size_t)run->model.ctx_len + 1) * sizeof(*a.tokens));
	code = a.tokens ? answer(o, llm, run, &a) : cli_fail(TOOL, CLI_FAILED, "out of memory");
	aipu_llm_query(llm, &run->model);
	if (o->verbose && run->model.rebuilds)
		report_rebuilds(stderr, &run->model);
	if (run->finish_reason) {
		if (o->show_stats)
			measure_peak(run);
		if (o->json && (report_json(stdout, run) || fflush(stdout)))
			code = errno == EPIPE ? CLI_CLOSED_PIPE
					      : cli_fail(TOOL, CLI_FAILED,
							 "cannot write to standard output: %s",
							 strerror(errno));
		if (!o->json && isatty(STDOUT_FILENO))
			putchar('\n');
		if (o->show_stats)
			report_stats(stderr, run);
	}
	free(a.text);
	free(a.tokens);
	free(tokens);
	free(prompt);
	return code;
}

static int with_device(const struct options *o, struct aipu_device *device, double start_ms)
{
	struct aipu_llm_options llm_options = { .verify = o->verify, .lanes = 1 };
	struct run run = { .seed = o->seed, .temperature = o->temperature };
	struct aipu_message message = { "" };
	struct aipu_llm *llm;
	int err, code;

	run.metered = o->show_stats;
	meter_unknown(&run.meter);
	err = aipu_llm_open(device, o->qpc, &llm_options, &llm, &message);
	if (err)
		return cli_fail(TOOL, cli_exit_code(err), "%s", message.text);
	run.load_ms = cli_now_ms() - start_ms;
	aipu_llm_query(llm, &run.model);
	aipu_device_query(device, &run.device);
	if (o->verbose)
		report_start(stderr, &run.device, &run.model);
	running = llm;
	if (interrupted)
		code = CLI_INTERRUPTED;
	else if (!aipu_llm_tokenizer(llm))
		code = cli_fail(TOOL, CLI_FAILED,
				"%s: there is no tokenizer.model in it; --qpc takes the directory "
				"that aipu-compile made",
				o->qpc);
	else
		code = generate(o, device, llm, &run);
	running = NULL;
	aipu_llm_close(llm);
	return code;
}

int main(int argc, char **argv)
{
	struct sigaction interrupt = { .sa_handler = on_interrupt };
	struct aipu_device_options device_options = { 0 };
	struct aipu_message message = { "" };
	struct aipu_device *device;
	struct options o;
	double start_ms = cli_now_ms();
	int err, code;

	cli_start();
	code = options_parse(argc, argv, &o);
	if (code >= 0)
		return code;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGTERM, &interrupt, NULL);
	if (!o.seed_given && getrandom(&o.seed, sizeof(o.seed), 0) != sizeof(o.seed))
		o.seed = (uint64_t)(start_ms * 1e6);
	o.seed &= INT64_MAX; /* what JSON can say */
	device_options.cores = o.cores;
	err = aipu_device_open(&device, o.device, &device_options, &message);
	if (err)
		return cli_fail(TOOL, cli_exit_code(err), "%s", message.text);
	if (message.text[0])
		cli_fail(TOOL, CLI_OK, "warning: %s", message.text);
	code = with_device(&o, device, start_ms);
	aipu_device_close(device);
	return code == CLI_OK || code == CLI_INTERRUPTED ? cli_finish(TOOL, code) : code;
}
