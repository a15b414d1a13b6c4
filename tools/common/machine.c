/* SPDX-License-Identifier: MIT */
/*
 * See machine.h. Every thread works in short slices; of a thread's slices the tenth-best counts, so that other load
 * on the machine does not lower the limit. The integer peak is the rate of the fastest instruction that multiplies
 * 8-bit integers (vpdpbusd, else vpmaddubsw, although that one saturates), so that a fraction of it flatters nobody.
 */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cli.h"

#define REGION (256u << 20) /* a thread's; more than caches hold */
#define REGION_LEAST (32u << 20) /* where memory is short */
#define SLICE (8u << 20)
#define SLICES 64u
#define PEAK_LOOPS 60000

/* What they have in common */
struct team {
	pthread_mutex_t lock; /* held until all are there, or one cannot be */
	pthread_barrier_t start;
	bool given_up, read_only;
	size_t region_bytes;
};

struct worker {
	struct team *team;
	uint8_t *region;
	double read_gbs, int8_gops, fp32_gflops;
	const char *int8_instruction;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double tenth_best(double *ms, unsigned int count)
{
	qsort(ms, count, sizeof(*ms), by_value);
	return ms[count / 10];
}

/* The compiler must believe that somebody wants the value */
#define USE(value) __asm__ volatile("" : : "r"(value))

/* Four sequential readers side by side keep more prefetchers busy than one */
static void read_plain(const uint8_t *p)
{
	const uint64_t *v[4];
	uint64_t sum[8] = { 0 };
	size_t i, s, k;

	for (s = 0; s < 4; s++)
		v[s] = (const uint64_t *)(p + s * (SLICE / 4));
	for (i = 0; i < SLICE / 4 / 8; i += 8)
		for (s = 0; s < 4; s++) {
			__builtin_prefetch(v[s] + i + 256);
			for (k = 0; k < 8; k++)
				sum[k] ^= v[s][i + k];
		}
	for (k = 1; k < 8; k++)
		sum[0] ^= sum[k];
	USE(sum[0]);
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"), noinline)) static void read_avx2(const uint8_t *p)
{
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
	const size_t share = SLICE / 4;
	size_t i, s;

	for (i = 0; i < share; i += 64)
		for (s = 0; s < 4; s++) {
			const __m256i *v = (const __m256i *)(p + s * share + i);

			_mm_prefetch((const char *)v + 2048, _MM_HINT_T0);
			if (s & 1) {
				a = _mm256_xor_si256(a, _mm256_load_si256(v));
				b = _mm256_xor_si256(b, _mm256_load_si256(v + 1));
			} else {
				c = _mm256_xor_si256(c, _mm256_load_si256(v));
				d = _mm256_xor_si256(d, _mm256_load_si256(v + 1));
			}
		}
	a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
	USE(_mm256_extract_epi64(a, 0));
}

/* Twelve independent chains of one instruction; the registers stay, so nothing else counts */
#define EACH(op, reg)                                                                           \
	op(reg, 0) op(reg, 1) op(reg, 2) op(reg, 3) op(reg, 4) op(reg, 5) op(reg, 6) op(reg, 7) \
		op(reg, 8) op(reg, 9) op(reg, 10) op(reg, 11)
#define CLEAR(reg, i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n\t"
#define FMA(reg, i) "vfmadd231ps %%" reg #i ", %%" reg #i ", %%" reg #i "\n\t"
#define DOTS(reg, i) "vpmaddubsw %%" reg #i ", %%" reg #i ", %%" reg #i "\n\t"
#define DOT4(reg, i) "vpdpbusd %%" reg #i ", %%" reg #i ", %%" reg #i "\n\t"
#define SPIN(op, reg)                                                                              \
	do {                                                                                       \
		long n = PEAK_LOOPS;                                                               \
                                                                                                   \
		__asm__ volatile(EACH(CLEAR,                                                       \
				      reg) "1:\n\t" EACH(op, reg) "dec %0\n\tjnz 1b\n\tvzeroupper" \
				 : "+r"(n)                                                         \
				 :                                                                 \
				 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",   \
				   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");                      \
	} while (0)

static void fma_ymm(void)
{
	SPIN(FMA, "ymm");
}

static void fma_zmm(void)
{
	SPIN(FMA, "zmm");
}

static void dots_ymm(void)
{
	SPIN(DOTS, "ymm");
}

static void dot4_zmm(void)
{
	SPIN(DOT4, "zmm");
}

static double spin_rate(void (*spin)(void), double operations)
{
	double ms[SLICES];
	unsigned int i;

	for (i = 0; i < SLICES; i++) {
		double start = cli_now_ms();

		spin();
		ms[i] = cli_now_ms() - start;
	}
	return PEAK_LOOPS * 12.0 * operations / tenth_best(ms, SLICES) * 1e-6;
}

static void peaks(struct worker *w)
{
	w->int8_gops = w->fp32_gflops = -1;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni")) {
		w->fp32_gflops = spin_rate(fma_zmm, 16 * 2);
		w->int8_gops = spin_rate(dot4_zmm, 64 * 2);
		w->int8_instruction = "vpdpbusd zmm";
	} else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		w->fp32_gflops = spin_rate(fma_ymm, 8 * 2);
		w->int8_gops = spin_rate(dots_ymm, 32 * 2);
		w->int8_instruction = "vpmaddubsw ymm";
	}
}

static void read_slice(const uint8_t *p)
{
	if (__builtin_cpu_supports("avx2"))
		read_avx2(p);
	else
		read_plain(p);
}
#else
static void peaks(struct worker *w)
{
	w->int8_gops = w->fp32_gflops = -1;
}

static void read_slice(const uint8_t *p)
{
	read_plain(p);
}
#endif

static void *work(void *arg)
{
	struct worker *w = arg;
	struct team *team = w->team;
	double ms[SLICES];
	unsigned int i;

	pthread_mutex_lock(&team->lock);
	pthread_mutex_unlock(&team->lock);
	if (team->given_up)
		return NULL;
	memset(w->region, 1, team->region_bytes);
	pthread_barrier_wait(&team->start);
	for (i = 0; i < SLICES; i++) {
		double start = cli_now_ms();

		read_slice(w->region + (size_t)i * SLICE % team->region_bytes);
		ms[i] = cli_now_ms() - start;
	}
	w->read_gbs = SLICE / tenth_best(ms, SLICES) * 1e-6;
	pthread_barrier_wait(&team->start);
	if (!team->read_only)
		peaks(w);
	return NULL;
}

static void keep_better(struct limits *limits, const struct worker *workers, unsigned int threads)
{
	double read = 0, int8 = 0, fp32 = 0;
	unsigned int i;

	for (i = 0; i < threads; i++) {
		read += workers[i].read_gbs;
		int8 += workers[i].int8_gops;
		fp32 += workers[i].fp32_gflops;
	}
	limits->read_gbs = read > limits->read_gbs ? read : limits->read_gbs;
	if (workers[0].team->read_only)
		return;
	limits->int8_instruction = workers[0].int8_instruction;
	limits->int8_gops = int8 > limits->int8_gops || int8 < 0 ? int8 : limits->int8_gops;
	limits->fp32_gflops = fp32 > limits->fp32_gflops || fp32 < 0 ? fp32 : limits->fp32_gflops;
}

/* The calling thread is the first of them */
static int team_work(struct team *team, struct worker *workers, pthread_t *ids,
		     unsigned int threads)
{
	unsigned int i, made;
	int err = 0;

	pthread_mutex_lock(&team->lock);
	for (made = 1; made < threads && !err; made++)
		err = -pthread_create(&ids[made], NULL, work, &workers[made]);
	if (err)
		made--;
	team->given_up = err;
	pthread_mutex_unlock(&team->lock);
	work(&workers[0]);
	for (i = 1; i < made; i++)
		pthread_join(ids[i], NULL);
	return err;
}

/* Bytes that can be had without swapping; 0: not known */
static size_t available_bytes(void)
{
	FILE *in = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (in)
		fclose(in);
	return (size_t)kib * 1024;
}

/* At most half of what is there; 0: too little for any */
static size_t region_bytes(unsigned int threads)
{
	size_t available = available_bytes(), bytes = REGION;

	while (available && bytes >= REGION_LEAST && bytes * threads > available / 2)
		bytes /= 2;
	return bytes >= REGION_LEAST ? bytes : 0;
}

int limits_measure(unsigned int threads, bool read_only, struct limits *limits)
{
	struct team team = { .read_only = read_only, .region_bytes = region_bytes(threads) };
	size_t bytes = threads * team.region_bytes;
	struct worker *workers;
	uint8_t *memory;
	pthread_t *ids;
	unsigned int i;
	int err;

	if (!bytes)
		return -ENOMEM;
	workers = calloc(threads, sizeof(*workers));
	ids = calloc(threads, sizeof(*ids));
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!workers || !ids || memory == MAP_FAILED) {
		err = -ENOMEM;
		goto out;
	}
	madvise(memory, bytes, MADV_HUGEPAGE);
	pthread_mutex_init(&team.lock, NULL);
	pthread_barrier_init(&team.start, NULL, threads);
	for (i = 0; i < threads; i++) {
		workers[i].team = &team;
		workers[i].region = memory + i * team.region_bytes;
	}
	err = team_work(&team, workers, ids, threads);
	pthread_barrier_destroy(&team.start);
	pthread_mutex_destroy(&team.lock);
	if (!err)
		keep_better(limits, workers, threads);
out:
	if (memory != MAP_FAILED)
		munmap(memory, bytes);
	free(ids);
	free(workers);
	return err;
}
