// What stands between the products of a draft model's passes (EAGLE-3, Li et al. 2025, arXiv 2503.01840): the features of the
// target's that it reads; the two norms in front of its layer; the norm in front of its head, of the rows that go on.
//
// Rows are of a multiple of 8 values, which a thread takes by fours.

/// Four values that others wrote.
__device__ __forceinline__ float4 freshFloats(const float *from) {
    const uint4 v = loadFresh((const void *)from);
    return make_float4(__uint_as_float(v.x), __uint_as_float(v.y), __uint_as_float(v.z), __uint_as_float(v.w));
}
/// Four bfloat16 values that nobody writes.
__device__ __forceinline__ float4 weights(const u16 *from) {
    const uint2 v = *(const uint2 *)from;
    return make_float4(low(v.x), high(v.x), low(v.y), high(v.y));
}
__device__ __forceinline__ void store(u16 *to, float4 v) { *(uint2 *)to = make_uint2(packed(v.x, v.y), packed(v.z, v.w)); }
__device__ __forceinline__ float4 scaled(float4 v, float scale, float4 gain) {
    return make_float4(v.x * scale * gain.x, v.y * scale * gain.y, v.z * scale * gain.z, v.w * scale * gain.w);
}
__device__ __forceinline__ float square(float4 v) { return (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w); }

#define THREADS 512

/// What a row is multiplied with in its norm; a thread brings its part of the sum of squares.
__device__ __forceinline__ float scaleOfNorm(float squares, int width, float epsilon, float (&sums)[THREADS / 32]) {
    squares = sumOverWarp(squares);
    if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = squares;
    __syncthreads();
    float all = 0;
#pragma unroll
    for (int i = 0; i < THREADS / 32; i++) all += sums[i];
    return rsqrtf(all / width + epsilon);
}

/// Rounds the features of each column, wherever they are, for the product with fc. A block takes every gridDim.y-th part of a row.
extern "C" __global__ void __launch_bounds__(256) draftFeatures(const __grid_constant__ DraftFeaturesArguments a) {
    letNextBegin();
    waitForPrevious();
    const float *from = ((const float *const *)a.rows)[blockIdx.x];
    u16 *to = (u16 *)a.features + (u64)blockIdx.x * a.width;
    for (int i = (blockIdx.y * 256 + threadIdx.x) * 4; i < a.width; i += gridDim.y * 1024)
        store(to + i, from ? freshFloats(from + i) : make_float4(0, 0, 0, 0));
}

/// z = [norm(embedding of the token) ; norm(g)], and where the residual stream begins.
extern "C" __global__ void __launch_bounds__(THREADS) draftInput(const __grid_constant__ DraftInputArguments a) {
    __shared__ float sums[2][THREADS / 32];
    letNextBegin();
    waitForPrevious();
    const u64 row = (u64)blockIdx.x * a.width;
    int token = (int)__float_as_uint(loadFresh((const float *)a.tokens + blockIdx.x));
    // Where a logit was no number there is no token, and nobody takes what comes of this.
    if (token < 0) token = 0;
    if (a.targets) token = ((const int *)a.targets)[token];
    const float *g = (const float *)a.from + row;
    const u16 *embedding = (const u16 *)a.table + (u64)token * a.width;
    float ofEmbedding = 0, ofFeatures = 0;
    for (int i = threadIdx.x * 4; i < a.width; i += THREADS * 4) {
        ofEmbedding += square(weights(embedding + i));
        ofFeatures += square(freshFloats(g + i));
    }
    const float scaleOfEmbedding = scaleOfNorm(ofEmbedding, a.width, a.epsilon, sums[0]);
    const float scaleOfFeatures = scaleOfNorm(ofFeatures, a.width, a.epsilon, sums[1]);
    u16 *z = (u16 *)a.input + 2 * row;
    for (int i = threadIdx.x * 4; i < a.width; i += THREADS * 4) {
        store(z + i, scaled(weights(embedding + i), scaleOfEmbedding, weights((const u16 *)a.inputGain + i)));
        const float4 raw = freshFloats(g + i), normed = scaled(raw, scaleOfFeatures, weights((const u16 *)a.hiddenGain + i));
        store(z + a.width + i, normed);
        *(float4 *)((float *)a.residual + row + i) = a.isNormed ? normed : raw;
    }
}

/// The rows of the residual stream that go on: kept for the next pass, and normalised for the head.
extern "C" __global__ void __launch_bounds__(THREADS) draftOutput(const __grid_constant__ DraftOutputArguments a) {
    __shared__ float sums[THREADS / 32];
    letNextBegin();
    waitForPrevious();
    const int column = a.columns ? ((const int *)a.columns)[blockIdx.x] : blockIdx.x;
    const float *from = (const float *)a.from + (u64)column * a.width;
    const u64 row = (u64)blockIdx.x * a.width;
    float squares = 0;
    for (int i = threadIdx.x * 4; i < a.width; i += THREADS * 4) {
        const float4 v = freshFloats(from + i);
        squares += square(v);
        *(float4 *)((float *)a.carried + row + i) = v;
    }
    const float scale = scaleOfNorm(squares, a.width, a.epsilon, sums);
    for (int i = threadIdx.x * 4; i < a.width; i += THREADS * 4)
        store((u16 *)a.output + row + i, scaled(freshFloats(from + i), scale, weights((const u16 *)a.gain + i)));
}
