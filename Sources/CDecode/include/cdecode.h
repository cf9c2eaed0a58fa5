// What a CPU does for a token or a few: products of rows with weights that are read once, and what stands between them.
// Values are float32; weights may be bfloat16, or int8 or e4m3 with a scale for each row. Every function spreads its work over the threads of a pool and returns
// when it is done; equal inputs give equal bits, whatever the number of threads.
#ifndef CDECODE_H
#define CDECODE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cd_pool cd_pool;

// Threads that wait for work; the caller is one of them.
cd_pool *cd_pool_make(int threads);
void cd_pool_free(cd_pool *);

// Whether vector units are left alone that the processor has: for tests of the code for those without.
void cd_force_plain(bool);

typedef enum { CD_F32, CD_BF16, CD_I8, CD_E4M3 } cd_type;

// A matrix [rows, columns], row after row.
typedef struct {
    const void *values;
    cd_type type;
    int64_t rows, columns;
    const float *scales; // of the rows, where values take one byte, which only cd_linear reads
} cd_matrix;

// y[b, r] (+)= Σ_c w[r, c] · x[b, c] for b < batch; rows of x and y lie xstride and ystride values apart.
// y may be addressed through places: y[b, places[r]].
void cd_linear(cd_pool *, cd_matrix w, const float *x, int64_t xstride, float *y, int64_t ystride,
               const int32_t *places, int64_t batch, bool add);

// Σ over the first dimension of x: y[b, r, i] (+)= Σ_k a[r, k] · x[b, k, i], i < width.
void cd_expand(cd_pool *, cd_matrix a, const float *x, int64_t xstride, float *y, int64_t ystride, int64_t width,
               int64_t batch, bool add);

// t[b, s, i, :] = Σ_j x[b, i, j] · w[s, j, :], x [batch, rows, inner] and w [slices · inner, width]: what the second core
// of a train makes of a token, slice by slice of the bond.
void cd_slices(cd_pool *, const float *x, int64_t rows, int64_t inner, cd_matrix w, float *t, int64_t batch);

// y = x / √(mean(x²) + epsilon) · weight of every row of width values.
void cd_rms_norm(cd_pool *, const float *x, const float *weight, float *y, int64_t rows, int64_t width, double epsilon);

// x ← silu(x) · up
void cd_swiglu(cd_pool *, float *x, const float *up, int64_t count);

// x ← x + y
void cd_add(cd_pool *, float *x, const float *y, int64_t count);

// New tokens of several sequences, of one sequence perhaps several at positions that follow one another: normalises queries and keys (where there are weights), turns them,
// remembers key and value, and attends. Caches are [blocks, kvHeads, blockTokens, headDim].
typedef struct {
    int64_t heads, kv_heads, head_dim, block_tokens;
    // Of the projections' biases nothing is known here: they are in x.
    const float *query_norm, *key_norm; // or NULL
    double epsilon;
    float *keys, *values;
    int64_t window; // tokens that are seen at most; 0: all
} cd_attention;

typedef struct {
    const int64_t *blocks;
    int64_t position;
    const float *cosines, *sines; // headDim / 2, of the position
} cd_sequence;

// queries [count, heads · headDim] and keys are changed; out [count, heads · headDim].
void cd_attend(cd_pool *, const cd_attention *, const cd_sequence *, int64_t count, float *queries, float *keys,
               const float *values, float *out);

// Reads all values, for a measure of the memory's bandwidth.
void cd_read(cd_pool *, const float *values, int64_t count);

#endif
