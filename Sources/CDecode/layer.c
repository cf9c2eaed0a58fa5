// What stands between the products of a decoder block.
#include "pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Compiled for several processors; which is chosen when the program starts, by what the processor can. (By the name of one,
// as in "arch=skylake-avx512", no processor of another maker is meant.)
#if defined(__x86_64__)
#define CLONED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONED
#endif

// MARK: Norm, gate, sum

typedef struct {
    const float *x, *weight;
    float *y;
    int64_t rows, width;
    double epsilon;
} norm;

static inline __attribute__((always_inline)) void normalize(const float *x, const float *weight, float *y, int64_t width, double epsilon) {
    float sums[16] = {0};
    for (int64_t i = 0; i < width; i++) sums[i % 16] += x[i] * x[i];
    double sum = 0;
    for (int i = 0; i < 16; i++) sum += sums[i];
    float scale = (float)(1 / sqrt(sum / (double)width + epsilon));
    for (int64_t i = 0; i < width; i++) y[i] = x[i] * scale * weight[i];
}

CLONED static void norm_piece(void *context, int64_t from, int64_t to) {
    const norm *n = context;
    for (int64_t row = from; row < to; row++)
        normalize(n->x + row * n->width, n->weight, n->y + row * n->width, n->width, n->epsilon);
}

void cd_rms_norm(cd_pool *pool, const float *x, const float *weight, float *y, int64_t rows, int64_t width,
                 double epsilon) {
    norm n = {x, weight, y, rows, width, epsilon};
    cd_parallel(pool, rows, cd_piece(pool, rows, 1, width), norm_piece, &n);
}

typedef struct {
    float *x;
    const float *y;
    int64_t count;
} pairs;

CLONED static void swiglu_piece(void *context, int64_t from, int64_t to) {
    const pairs *p = context;
    for (int64_t i = from; i < to; i++) p->x[i] = p->x[i] / (1 + expf(-p->x[i])) * p->y[i];
}

void cd_swiglu(cd_pool *pool, float *x, const float *up, int64_t count) {
    pairs p = {x, up, count};
    cd_parallel(pool, count, cd_piece(pool, count, 64, 20), swiglu_piece, &p);
}

void cd_add(cd_pool *pool, float *x, const float *y, int64_t count) {
    (void)pool;
    for (int64_t i = 0; i < count; i++) x[i] += y[i];
}

// MARK: Attention

typedef struct {
    const cd_attention *attention;
    const cd_sequence *sequences;
    int64_t count;
    float *queries, *keys;
    const float *values;
    float *out;
} attending;

static inline __attribute__((always_inline)) void turn(float *x, const float *cosines, const float *sines, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosines[i] - b * sines[i];
        x[i + half] = b * cosines[i] + a * sines[i];
    }
}

static inline __attribute__((always_inline)) float dot(const float *a, const float *b, int64_t count) {
    float sums[16] = {0};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; j++) sums[j] += a[i + j] * b[i + j];
    for (; i < count; i++) sums[0] += a[i] * b[i];
    for (int half = 8; half; half /= 2)
        for (int j = 0; j < half; j++) sums[j] += sums[j + half];
    return sums[0];
}

// One head of keys and values of one token, into the cache.
static inline __attribute__((always_inline)) void append(const attending *work, int64_t sequence, int64_t head) {
    const cd_attention *a = work->attention;
    const cd_sequence *s = &work->sequences[sequence];
    int64_t width = a->head_dim, size = a->block_tokens;
    float *key = work->keys + (sequence * a->kv_heads + head) * width;
    const float *value = work->values + (sequence * a->kv_heads + head) * width;
    if (a->key_norm) normalize(key, a->key_norm, key, width, a->epsilon);
    turn(key, s->cosines, s->sines, width / 2);
    int64_t place = ((s->blocks[s->position / size] * a->kv_heads + head) * size + s->position % size) * width;
    memcpy(a->keys + place, key, (size_t)width * sizeof(float));
    memcpy(a->values + place, value, (size_t)width * sizeof(float));
}

// One head of keys of one sequence, and the heads of queries that look at it.
static inline __attribute__((always_inline)) void attend(const attending *work, int64_t sequence, int64_t head) {
    const cd_attention *a = work->attention;
    const cd_sequence *s = &work->sequences[sequence];
    int64_t width = a->head_dim, size = a->block_tokens, shared = a->heads / a->kv_heads;
    int64_t end = s->position + 1, start = a->window > 0 && end > a->window ? end - a->window : 0;
    float scale = 1 / sqrtf((float)width);
    // Block by block, the largest score so far taken out (online softmax, Milakov and Gimelshein 2018,
    // arXiv 1805.02867): the order is that of the positions.
    float scores[size];
    for (int64_t q = 0; q < shared; q++) {
        float *query = work->queries + (sequence * a->heads + head * shared + q) * width;
        float *out = work->out + (sequence * a->heads + head * shared + q) * width;
        if (a->query_norm) normalize(query, a->query_norm, query, width, a->epsilon);
        turn(query, s->cosines, s->sines, width / 2);
        float most = -INFINITY, sum = 0;
        memset(out, 0, (size_t)width * sizeof(float));
        for (int64_t block = start / size; block * size < end; block++) {
            int64_t from = block * size < start ? start - block * size : 0;
            int64_t to = (block + 1) * size < end ? size : end - block * size;
            const float *keys = a->keys + (s->blocks[block] * a->kv_heads + head) * size * width;
            const float *values = a->values + (s->blocks[block] * a->kv_heads + head) * size * width;
            float best = most;
            for (int64_t t = from; t < to; t++) {
                scores[t] = dot(query, keys + t * width, width) * scale;
                if (scores[t] > best) best = scores[t];
            }
            float shrink = expf(most - best);
            sum *= shrink;
            for (int64_t i = 0; i < width; i++) out[i] *= shrink;
            most = best;
            for (int64_t t = from; t < to; t++) {
                float weight = expf(scores[t] - most);
                sum += weight;
                for (int64_t i = 0; i < width; i++) out[i] += weight * values[t * width + i];
            }
        }
        for (int64_t i = 0; i < width; i++) out[i] /= sum;
    }
}

CLONED static void append_piece(void *context, int64_t from, int64_t to) {
    const attending *work = context;
    int64_t heads = work->attention->kv_heads;
    for (int64_t item = from; item < to; item++) append(work, item / heads, item % heads);
}

CLONED static void attend_piece(void *context, int64_t from, int64_t to) {
    const attending *work = context;
    int64_t heads = work->attention->kv_heads;
    for (int64_t item = from; item < to; item++) attend(work, item / heads, item % heads);
}

void cd_attend(cd_pool *pool, const cd_attention *attention, const cd_sequence *sequences, int64_t count, float *queries,
               float *keys, const float *values, float *out) {
    attending work = {attention, sequences, count, queries, keys, values, out};
    // Several of the tokens may be of one sequence, whose later ones look at the earlier.
    cd_parallel(pool, count * attention->kv_heads, 1, append_piece, &work);
    cd_parallel(pool, count * attention->kv_heads, 1, attend_piece, &work);
}

// MARK: Bandwidth

typedef struct {
    const float *values;
    _Atomic float *sum;
} reading;

CLONED static void read_piece(void *context, int64_t from, int64_t to) {
    const reading *r = context;
    float sums[64] = {0};
    int64_t i = from;
    for (; i + 64 <= to; i += 64)
        for (int j = 0; j < 64; j++) sums[j] += r->values[i + j];
    float sum = 0;
    for (int j = 0; j < 64; j++) sum += sums[j];
    // Kept, so that no compiler leaves the reading out.
    *r->sum = sum;
}

void cd_read(cd_pool *pool, const float *values, int64_t count) {
    _Atomic float sum = 0;
    reading r = {values, &sum};
    cd_parallel(pool, count, 1 << 16, read_piece, &r);
}
