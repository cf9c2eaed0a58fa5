// Products of a few rows with a weight. A weight is read once: six of its rows and up to four of x, or three and eight, are
// multiplied at a time, so that every value that is loaded is used that often, while the rows behind them are on their way. The order of additions does not depend on the number
// of threads, nor on what else is in the batch.
#include "pool.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#endif

static bool plain_forced = false;

void cd_force_plain(bool forced) { plain_forced = forced; }

typedef struct {
    cd_matrix w;
    const float *x;
    float *y;
    const int32_t *places;
    int64_t xstride, ystride, batch, width;
    bool add;
} product;

typedef struct {
    const float *x;
    cd_matrix w;
    float *t;
    int64_t rows, inner, count, batch;
} slices;

static inline float widened(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, 4);
    return result;
}

// Sign, four bits of exponent, three of mantissa, as the highest of a float32 whose exponent is 120 too low: the
// least of them are subnormal there, as they are here.
static inline float of_e4m3(uint8_t value) {
    uint32_t bits = (uint32_t)(value & 0x80) << 24 | (uint32_t)(value & 0x7F) << 20;
    float result;
    memcpy(&result, &bits, 4);
    return result * 0x1p120f;
}

static inline float value(cd_matrix w, int64_t index) {
    return w.type == CD_F32 ? ((const float *)w.values)[index] : widened(((const uint16_t *)w.values)[index]);
}

static inline void put(const product *p, int64_t b, int64_t row, float value) {
    if (p->w.scales) value *= p->w.scales[row];
    float *y = p->y + b * p->ystride + (p->places ? p->places[row] : row);
    *y = p->add ? *y + value : value;
}

// MARK: Without AVX-512: sixteen sums, which the compiler keeps in whatever vectors there are, added as below.

#if defined(__x86_64__)
#define CLONED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define CLONED
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE float typed(cd_type type, const void *values, int64_t index) {
    switch (type) {
    case CD_F32: return ((const float *)values)[index];
    case CD_BF16: return widened(((const uint16_t *)values)[index]);
    case CD_I8: return ((const int8_t *)values)[index];
    case CD_E4M3: return of_e4m3(((const uint8_t *)values)[index]);
    }
    return 0;
}

INLINE float plain_dot(cd_type type, const void *w, int64_t start, const float *x, int64_t n) {
    float sums[16] = {0};
    int64_t c = 0;
    for (; c + 16 <= n; c += 16)
        for (int i = 0; i < 16; i++) sums[i] += typed(type, w, start + c + i) * x[c + i];
    for (; c < n; c++) sums[c % 16] += typed(type, w, start + c) * x[c];
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    return sums[0];
}

INLINE void plain_rows(const product *p, cd_type type, int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++)
        for (int64_t b = 0; b < p->batch; b++)
            put(p, b, row, plain_dot(type, p->w.values, row * p->w.columns, p->x + b * p->xstride, p->w.columns));
}

CLONED static void plain_linear_f32(const product *p, int64_t from, int64_t to) { plain_rows(p, CD_F32, from, to); }
CLONED static void plain_linear_bf16(const product *p, int64_t from, int64_t to) { plain_rows(p, CD_BF16, from, to); }
CLONED static void plain_linear_i8(const product *p, int64_t from, int64_t to) { plain_rows(p, CD_I8, from, to); }
CLONED static void plain_linear_e4m3(const product *p, int64_t from, int64_t to) { plain_rows(p, CD_E4M3, from, to); }

// y (+)= a · x[offset…] for i < width.
INLINE void plain_axpy(float a, cd_type type, const void *x, int64_t offset, float *y, int64_t width) {
    for (int64_t i = 0; i < width; i++) y[i] += a * typed(type, x, offset + i);
}

CLONED static void plain_expand(const product *p, int64_t from, int64_t to) {
    int64_t n = p->w.columns, width = p->width;
    for (int64_t b = 0; b < p->batch; b++) {
        for (int64_t row = from; row < to; row++) {
            float *y = p->y + b * p->ystride + row * width;
            if (!p->add) memset(y, 0, (size_t)width * sizeof(float));
            for (int64_t k = 0; k < n; k++)
                plain_axpy(value(p->w, row * n + k), CD_F32, p->x + b * p->xstride, k * width, y, width);
        }
    }
}

INLINE void plain_slice_rows(const slices *s, cd_type type, int64_t from, int64_t to) {
    int64_t width = s->w.columns;
    for (int64_t slice = from; slice < to; slice++) {
        for (int64_t b = 0; b < s->batch; b++) {
            for (int64_t row = 0; row < s->rows; row++) {
                float *t = s->t + ((b * s->count + slice) * s->rows + row) * width;
                memset(t, 0, (size_t)width * sizeof(float));
                for (int64_t j = 0; j < s->inner; j++)
                    plain_axpy(
                        s->x[(b * s->rows + row) * s->inner + j], type, s->w.values, (slice * s->inner + j) * width, t,
                        width);
            }
        }
    }
}

CLONED static void plain_slices_f32(const slices *s, int64_t from, int64_t to) { plain_slice_rows(s, CD_F32, from, to); }
CLONED static void plain_slices_bf16(const slices *s, int64_t from, int64_t to) { plain_slice_rows(s, CD_BF16, from, to); }

// MARK: AVX-512

#if defined(__x86_64__)

AVX512 static inline __m512 load(cd_type type, const void *values, int64_t index, __mmask16 mask) {
    if (type == CD_F32) return _mm512_maskz_loadu_ps(mask, (const float *)values + index);
    if (type == CD_I8)
        return _mm512_cvtepi32_ps(
            _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, (const int8_t *)values + index)));
    if (type == CD_E4M3) {
        // As float16, whose exponent has one bit more and another bias: 2⁻⁸ of the value, which `tile` makes good.
        __m256i wide = _mm256_cvtepu8_epi16(_mm_maskz_loadu_epi8(mask, (const uint8_t *)values + index));
        __m256i sign = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x80)), 8);
        __m256i rest = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x7F)), 7);
        return _mm512_cvtph_ps(_mm256_or_si256(sign, rest));
    }
    __m256i narrow = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)values + index);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

// rows × batch sums at once; both are constants where it is called. Where these weights are wanted for the last time, the next
// rows' are asked for: what waits for memory then waits beside the arithmetic, not before it.
AVX512 static inline __attribute__((always_inline)) void tile(const product *p, cd_type type, int64_t row, int64_t b,
                                                                const int rows, const int batch) {
    int64_t n = p->w.columns;
    const int bytes = type == CD_F32 ? 4 : type == CD_BF16 ? 2 : 1;
    const char *next = (const char *)p->w.values + (row + rows) * n * bytes;
    const bool ahead = b + batch >= p->batch;
    __m512 sums[6][8];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < batch; i++) sums[r][i] = _mm512_setzero_ps();
    for (int64_t c = 0; c < n; c += 16) {
        __mmask16 mask = n - c >= 16 ? 0xFFFF : (__mmask16)((1u << (n - c)) - 1);
        __m512 x[8];
        for (int i = 0; i < batch; i++) x[i] = _mm512_maskz_loadu_ps(mask, p->x + (b + i) * p->xstride + c);
        if (ahead && c * bytes % 64 == 0)
            for (int r = 0; r < rows; r++) _mm_prefetch(next + (r * n + c) * bytes, _MM_HINT_T0);
        for (int r = 0; r < rows; r++) {
            __m512 w = load(type, p->w.values, (row + r) * n + c, mask);
            for (int i = 0; i < batch; i++) sums[r][i] = _mm512_fmadd_ps(w, x[i], sums[r][i]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < batch; i++)
            put(p, b + i, row + r, _mm512_reduce_add_ps(sums[r][i]) * (type == CD_E4M3 ? 256.0f : 1.0f));
}

#define TILES(TYPE, ROWS)                                                                                              \
    for (; row + ROWS <= to; row += ROWS) {                                                                            \
        int64_t b = 0;                                                                                                 \
        if (ROWS <= 3)                                                                                                 \
            for (; b + 8 <= p->batch; b += 8) tile(p, TYPE, row, b, ROWS, 8);                                          \
        for (; b + 4 <= p->batch; b += 4) tile(p, TYPE, row, b, ROWS, 4);                                              \
        if (b + 2 <= p->batch) {                                                                                       \
            tile(p, TYPE, row, b, ROWS, 2);                                                                            \
            b += 2;                                                                                                    \
        }                                                                                                              \
        if (b < p->batch) tile(p, TYPE, row, b, ROWS, 1);                                                              \
    }

#define WIDE_LINEAR(NAME, TYPE)                                                                                        \
    AVX512 static void NAME(const product *p, int64_t row, int64_t to) {                                               \
        if (p->batch < 8) TILES(TYPE, 6)                                                                               \
        TILES(TYPE, 3)                                                                                                 \
        TILES(TYPE, 1)                                                                                                 \
    }

WIDE_LINEAR(wide_linear_f32, CD_F32)
WIDE_LINEAR(wide_linear_bf16, CD_BF16)
WIDE_LINEAR(wide_linear_i8, CD_I8)
WIDE_LINEAR(wide_linear_e4m3, CD_E4M3)

// Rows of a and up to 32 places of the result at once: y[r, i…] (+)= Σ_k a[r, k] · x[k, i…], x behind value `offset`.
AVX512 static inline __attribute__((always_inline)) void strip(cd_matrix a, int64_t row, const void *x, cd_type type,
                                                                 int64_t offset, float *y, int64_t width, int64_t i,
                                                                 __mmask16 first, __mmask16 second, bool add,
                                                                 const int rows) {
    int64_t n = a.columns;
    __m512 sums[4][2];
    for (int r = 0; r < rows; r++) {
        float *target = y + (row + r) * width + i;
        sums[r][0] = add ? _mm512_maskz_loadu_ps(first, target) : _mm512_setzero_ps();
        sums[r][1] = add ? _mm512_maskz_loadu_ps(second, target + 16) : _mm512_setzero_ps();
    }
    for (int64_t k = 0; k < n; k++) {
        __m512 x0 = load(type, x, offset + k * width + i, first);
        __m512 x1 = load(type, x, offset + k * width + i + 16, second);
        for (int r = 0; r < rows; r++) {
            __m512 a_rk = _mm512_set1_ps(value(a, (row + r) * n + k));
            sums[r][0] = _mm512_fmadd_ps(a_rk, x0, sums[r][0]);
            sums[r][1] = _mm512_fmadd_ps(a_rk, x1, sums[r][1]);
        }
    }
    for (int r = 0; r < rows; r++) {
        float *target = y + (row + r) * width + i;
        _mm512_mask_storeu_ps(target, first, sums[r][0]);
        _mm512_mask_storeu_ps(target + 16, second, sums[r][1]);
    }
}

AVX512 static inline __mmask16 lanes(int64_t left) {
    return left >= 16 ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
}

AVX512 static inline __attribute__((always_inline)) void strips(cd_matrix a, int64_t from, int64_t to, const void *x,
                                                                  cd_type type, int64_t offset, float *y,
                                                                  int64_t width, bool add) {
    for (int64_t i = 0; i < width; i += 32) {
        __mmask16 first = lanes(width - i), second = lanes(width - i - 16);
        int64_t row = from;
        for (; row + 4 <= to; row += 4) strip(a, row, x, type, offset, y, width, i, first, second, add, 4);
        for (; row < to; row++) strip(a, row, x, type, offset, y, width, i, first, second, add, 1);
    }
}

AVX512 static void wide_expand(const product *p, int64_t from, int64_t to) {
    for (int64_t b = 0; b < p->batch; b++)
        strips(p->w, from, to, p->x + b * p->xstride, CD_F32, 0, p->y + b * p->ystride, p->width, p->add);
}

AVX512 static void wide_slices(const slices *s, int64_t from, int64_t to) {
    for (int64_t slice = from; slice < to; slice++) {
        for (int64_t b = 0; b < s->batch; b++) {
            cd_matrix x = {s->x + b * s->rows * s->inner, CD_F32, s->rows, s->inner};
            float *t = s->t + (b * s->count + slice) * s->rows * s->w.columns;
            int64_t offset = slice * s->inner * s->w.columns;
            if (s->w.type == CD_F32) strips(x, 0, s->rows, s->w.values, CD_F32, offset, t, s->w.columns, false);
            else strips(x, 0, s->rows, s->w.values, CD_BF16, offset, t, s->w.columns, false);
        }
    }
}

static bool has_avx512(void) {
    return !plain_forced && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

// MARK: Threads

typedef void linear_function(const product *, int64_t, int64_t);

static void linear_piece(void *context, int64_t from, int64_t to) {
    const product *p = context;
#if defined(__x86_64__)
    static linear_function *const wide[] = {wide_linear_f32, wide_linear_bf16, wide_linear_i8, wide_linear_e4m3};
    if (has_avx512()) {
        wide[p->w.type](p, from, to);
        return;
    }
#endif
    static linear_function *const plain[] = {plain_linear_f32, plain_linear_bf16, plain_linear_i8, plain_linear_e4m3};
    plain[p->w.type](p, from, to);
}

static void expand_piece(void *context, int64_t from, int64_t to) {
    const product *p = context;
#if defined(__x86_64__)
    if (has_avx512()) {
        wide_expand(p, from, to);
        return;
    }
#endif
    plain_expand(p, from, to);
}

static void slices_piece(void *context, int64_t from, int64_t to) {
    const slices *s = context;
#if defined(__x86_64__)
    if (has_avx512()) {
        wide_slices(s, from, to);
        return;
    }
#endif
    (s->w.type == CD_F32 ? plain_slices_f32 : plain_slices_bf16)(s, from, to);
}

void cd_slices(cd_pool *pool, const float *x, int64_t rows, int64_t inner, cd_matrix w, float *t, int64_t batch) {
    slices s = {x, w, t, rows, inner, w.rows / inner, batch};
    cd_parallel(pool, s.count, cd_piece(pool, s.count, 1, rows * inner * w.columns * batch), slices_piece, &s);
}

void cd_linear(cd_pool *pool, cd_matrix w, const float *x, int64_t xstride, float *y, int64_t ystride,
               const int32_t *places, int64_t batch, bool add) {
    product p = {w, x, y, places, xstride, ystride, batch, 0, add};
    cd_parallel(pool, w.rows, cd_piece(pool, w.rows, 6, w.columns * batch), linear_piece, &p);
}

void cd_expand(cd_pool *pool, cd_matrix a, const float *x, int64_t xstride, float *y, int64_t ystride, int64_t width,
               int64_t batch, bool add) {
    product p = {a, x, y, NULL, xstride, ystride, batch, width, add};
    cd_parallel(pool, a.rows, cd_piece(pool, a.rows, 4, a.columns * batch * width), expand_piece, &p);
}
