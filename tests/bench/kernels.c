// SPDX-License-Identifier: MIT
/*
 * Bare kernel speed next to the machine's own limits, on one core: matrix times vector against the
 * memory read bandwidth, matrix times matrix against the integer and fp32 peaks. Run by hand, never
 * by the test suite. Limits and kernels take turns in short slices, so that other load on the
 * machine meets both; the tenth-best slice counts.
 *
 * kernels [scalar|avx2|avx512] [MiB of weights, default 256]
 */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "compute/compute.h"

#define SLICES 200
#define K 2048u
#define TOKENS 128u

#define T_AVX2 __attribute__((target("avx2,fma"), noinline))

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int double_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct series {
	const char *name;
	double amount; /* bytes or operations of one slice */
	double seconds[SLICES];
	unsigned int count;
};

static double series_rate(struct series *s)
{
	qsort(s->seconds, s->count, sizeof(double), double_compare);
	return s->amount / s->seconds[s->count / 10] * 1e-9;
}

#define TIMED(series, work)                                      \
	do {                                                     \
		const double t0 = now();                         \
		work;                                            \
		(series).seconds[(series).count++] = now() - t0; \
	} while (0)

static volatile float sink;

/*
 * `streams` (1 or 4) sequential readers side by side: more of them keep more page-bound prefetchers
 * busy.
 */
T_AVX2 static void read_slice(const uint8_t *p, size_t n, const size_t streams)
{
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
	const size_t share = n / streams;

	for (size_t i = 0; i < share; i += 64)
		for (size_t s = 0; s < streams; s++) {
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
	sink = (float)_mm256_extract_epi32(a, 0);
}

#define PEAK_REPEAT 100000
/*
 * Twelve independent chains of one instruction; the registers stay, so nothing but that instruction
 * counts.
 */
#define CHAINS(body)                                                                             \
	body(0) body(1) body(2) body(3) body(4) body(5) body(6) body(7) body(8) body(9) body(10) \
		body(11)
#define PEAK_LOOP(init, body)                                                                   \
	do {                                                                                    \
		long n = PEAK_REPEAT;                                                           \
		__asm__ volatile(                                                               \
			CHAINS(init) "1:\n\t" CHAINS(body) "dec %0\n\tjnz 1b\n\tvzeroupper"     \
			: "+r"(n)                                                               \
			:                                                                       \
			: "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
			  "xmm8", "xmm9", "xmm10", "xmm11");                                    \
	} while (0)
#define ZERO(i) "vpxor %%xmm" #i ",%%xmm" #i ",%%xmm" #i "\n\t"
#define FMA_Y(i) "vfmadd231ps %%ymm" #i ",%%ymm" #i ",%%ymm" #i "\n\t"
#define MADDWD_Y(i) "vpmaddwd %%ymm" #i ",%%ymm" #i ",%%ymm" #i "\n\t"
#define MADDUBS_Y(i) "vpmaddubsw %%ymm" #i ",%%ymm" #i ",%%ymm" #i "\n\t"
#define FMA_Z(i) "vfmadd231ps %%zmm" #i ",%%zmm" #i ",%%zmm" #i "\n\t"
#define DPBUSD_Z(i) "vpdpbusd %%zmm" #i ",%%zmm" #i ",%%zmm" #i "\n\t"

static void peak_fma_y(void)
{
	PEAK_LOOP(ZERO, FMA_Y);
}

static void peak_maddwd_y(void)
{
	PEAK_LOOP(ZERO, MADDWD_Y);
}

static void peak_maddubs_y(void)
{
	PEAK_LOOP(ZERO, MADDUBS_Y);
}

static void peak_fma_z(void)
{
	PEAK_LOOP(ZERO, FMA_Z);
}

static void peak_dpbusd_z(void)
{
	PEAK_LOOP(ZERO, DPBUSD_Z);
}

static void *region(size_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + (4u << 20), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	p = (uint8_t *)(((uintptr_t)p + (2u << 20) - 1) & ~(uintptr_t)((2u << 20) - 1));
	madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

/* Bytes that are sound weights in every format: scales and halves of moderate size */
static void fill(uint8_t *w, size_t bytes)
{
	uint32_t *word = (uint32_t *)w;

	for (size_t i = 0; i < bytes / 4; i++)
		word[i] = 0x2c003c00u ^ (uint32_t)(i & 0x00070007u);
}

static const struct format {
	uint32_t format;
	bool quant;
	const char *name;
} formats[] = {
	{ AIPU_FMT_I8_G32, true, "int8 x int8" },
	{ AIPU_FMT_I8_G32, false, "int8 x fp32" },
	{ AIPU_FMT_F16, false, "fp16 x fp32" },
	{ AIPU_FMT_F32, false, "fp32 x fp32" },
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

int main(int argc, char **argv)
{
	static struct series single = { .name = "read bandwidth, 1 stream" };
	static struct series bandwidth = { .name = "read bandwidth, 4 streams" },
			     fma = { .name = "fp32 fma" };
	static struct series integer = { 0 },
			     narrow = { .name = "vpmaddubsw (saturates: unusable)" };
	static struct series vec[FORMATS], cache[FORMATS], mat[FORMATS];
	const char *want = argc > 1 ? argv[1] : "";
	const size_t bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 256) << 20;
	enum aipu_simd level = AIPU_SIMD_AUTO;
	const struct aipu_kernels *kernels;
	const size_t slice = 8u << 20;
	double limit, peak_f, peak_i;
	uint8_t *w = region(bytes);
	float *x = region(TOKENS * K * 4), *y = region(TOKENS * 65536u * 4);
	uint8_t *xq = region(TOKENS * aipu_quant_row_bytes(K));

	if (!strcmp(want, "scalar"))
		level = AIPU_SIMD_SCALAR;
	else if (!strcmp(want, "avx2"))
		level = AIPU_SIMD_AVX2;
	else if (!strcmp(want, "avx512"))
		level = AIPU_SIMD_AVX512;
	else if (*want) {
		fprintf(stderr, "usage: kernels [scalar|avx2|avx512] [MiB]\n");
		return 2;
	}
	if (bytes < 64u << 20 || aipu_kernels_select(level, &kernels)) {
		fprintf(stderr, "kernels: %s: not on this CPU, or less than 64 MiB asked for\n",
			want);
		return 1;
	}
	fill(w, bytes);
	for (size_t i = 0; i < TOKENS * K; i++)
		x[i] = (float)((int)(i * 2654435761u >> 20) - 2048) * 0x1p-11f;
	memset(y, 0, TOKENS * 65536u * 4);
	kernels->quantize(x, K, K, 0, TOKENS, xq);

	single.amount = bandwidth.amount = (double)slice;
	const bool wide = kernels->level == AIPU_SIMD_AVX512;

	fma.amount = PEAK_REPEAT * 12.0 * 2 * (wide ? 16 : 8);
	integer.name = wide ? "vpdpbusd" : "vpmaddwd";
	integer.amount = PEAK_REPEAT * 12.0 * 2 * (wide ? 64 : 16);
	narrow.amount = PEAK_REPEAT * 12.0 * 2 * 32;
	for (unsigned int s = 0; s < SLICES / (level == AIPU_SIMD_SCALAR ? 10 : 1); s++) {
		TIMED(single, read_slice(w + (s * slice + bytes / 2) % (bytes - slice), slice, 1));
		TIMED(bandwidth, read_slice(w + s * slice % (bytes - slice), slice, 4));
		TIMED(fma, wide ? peak_fma_z() : peak_fma_y());
		TIMED(integer, wide ? peak_dpbusd_z() : peak_maddwd_y());
		TIMED(narrow, peak_maddubs_y());
		for (unsigned int f = 0; f < FORMATS; f++) {
			const size_t tile = aipu_tile_bytes(formats[f].format, K);
			const size_t tiles = bytes / tile, per = slice / tile,
				     share = (size_t)(2u << 20) / tile;
			struct aipu_matmul mm = {
				.w = w,
				.format = formats[f].format,
				.n = (uint32_t)(tiles * 16),
				.k = K,
				.m = 1,
				.x = formats[f].quant ? NULL : x,
				.ldx = K,
				.xq = formats[f].quant ? xq : NULL,
				.y = y,
				.ldy = 0,
			};
			/* Far from what the others have just read */
			uint32_t t0 = (uint32_t)((s * per + (f + 1) * tiles / 5) % (tiles - per));

			mm.w = w + t0 * tile;
			vec[f].amount = (double)(per * tile);
			TIMED(vec[f], kernels->matmul(&mm, 0, (uint32_t)per * 16));
			mm.w = w;
			cache[f].amount = 4.0 * (double)(share * tile);
			kernels->matmul(&mm, 0, (uint32_t)share * 16);
			TIMED(cache[f], for (int i = 0; i < 4; i++)
						kernels->matmul(&mm, 0, (uint32_t)share * 16));
			if (s % 4)
				continue;
			mm.m = TOKENS;
			mm.n = 256;
			mm.ldy = 256;
			mat[f].amount = 2.0 * TOKENS * K * 256;
			TIMED(mat[f], kernels->matmul(&mm, 0, 256));
		}
	}
	limit = series_rate(&bandwidth);
	peak_f = series_rate(&fma);
	peak_i = series_rate(&integer);
	printf("kernels: %s, one core, K = %u, %zu MiB of weights\n", kernels->name, K,
	       bytes >> 20);
	printf("%-34s %8.1f GB/s\n", single.name, series_rate(&single));
	printf("%-34s %8.1f GB/s\n", bandwidth.name, limit);
	printf("%-34s %8.1f GFLOP/s\n", fma.name, peak_f);
	printf("%-34s %8.1f GOP/s\n", integer.name, peak_i);
	if (!wide)
		printf("%-34s %8.1f GOP/s\n", narrow.name, series_rate(&narrow));
	for (unsigned int f = 0; f < FORMATS; f++) {
		const double v = series_rate(&vec[f]), c = series_rate(&cache[f]),
			     m = series_rate(&mat[f]);
		const double peak = formats[f].quant ? peak_i : peak_f;

		printf("%-12s 1 token %6.1f GB/s (%.2f of bandwidth; %.1f from 2 MiB)   %u tokens "
		       "%6.1f GOP/s (%.2f of %s)\n",
		       formats[f].name, v, v / limit, c, TOKENS, m, m / peak,
		       formats[f].quant ? integer.name : fma.name);
	}
	return 0;
}
