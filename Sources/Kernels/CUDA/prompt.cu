// What a chunk of a prompt needs between products: each tensor of activations is read once and written once, 16 bytes at a time.
#ifndef D
#define D 128     // dimensions of a head, a multiple of 16
#endif
#ifndef CHUNKS
#define CHUNKS 1  // 1,024ths of a row, rounded up
#endif
constexpr int PIECES = 4;

__device__ __forceinline__ void widen(const uint4 &from, float (&to)[8]) {
    to[0] = low(from.x), to[1] = high(from.x), to[2] = low(from.y), to[3] = high(from.y);
    to[4] = low(from.z), to[5] = high(from.z), to[6] = low(from.w), to[7] = high(from.w);
}
__device__ __forceinline__ uint4 rounded(const float (&from)[8]) {
    return make_uint4(packed(from[0], from[1]), packed(from[2], from[3]), packed(from[4], from[5]), packed(from[6], from[7]));
}

/// RMSNorm of a row, behind the addition of what a sublayer computed, where there is that. A block has a row, a thread CHUNKS pieces.
extern "C" __global__ void __launch_bounds__(128) normalize(const __grid_constant__ PromptNormArguments a) {
    __shared__ float sums[4];
    const int count = a.width / 8;
    const u64 start = (u64)blockIdx.x * count;
    uint4 *stream = (uint4 *)a.residual + start;
    uint4 row[CHUNKS];
#pragma unroll
    for (int i = 0; i < CHUNKS; i++) {
        const int at = i * 128 + threadIdx.x;
        row[i] = at < count ? stream[at] : make_uint4(0, 0, 0, 0);
    }
    float value[8], other[8];
    if (a.addend) {
        const uint4 *addend = (const uint4 *)a.addend + start;
        uint4 added[CHUNKS];
#pragma unroll
        for (int i = 0; i < CHUNKS; i++) {
            const int at = i * 128 + threadIdx.x;
            added[i] = at < count ? addend[at] : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int i = 0; i < CHUNKS; i++) {
            const int at = i * 128 + threadIdx.x;
            widen(row[i], value);
            widen(added[i], other);
#pragma unroll
            for (int j = 0; j < 8; j++) value[j] += other[j];
            row[i] = rounded(value);
            if (at < count) stream[at] = row[i];
        }
    }
    float sum = 0;
#pragma unroll
    for (int i = 0; i < CHUNKS; i++) {
        widen(row[i], value);
#pragma unroll
        for (int j = 0; j < 8; j++) sum += value[j] * value[j];
    }
    sum = sumOverWarp(sum);
    if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = sum;
    __syncthreads();
    const float scale = rsqrtf((sums[0] + sums[1] + sums[2] + sums[3]) / a.width + a.epsilon);
#pragma unroll
    for (int i = 0; i < CHUNKS; i++) {
        const int at = i * 128 + threadIdx.x;
        if (at >= count) continue;
        widen(row[i], value);
        widen(((const uint4 *)a.gain)[at], other);
#pragma unroll
        for (int j = 0; j < 8; j++) value[j] = value[j] * scale * other[j];
        ((uint4 *)a.output)[start + at] = rounded(value);
    }
}

/// Queries and keys, normalised and turned where they are; keys and values also into the cache, where it is bfloat16. D / 16 lanes have
/// a head of a token, each eight dimensions of its first half and the eight that they turn with.
extern "C" __global__ void __launch_bounds__(256) prepareHeads(const __grid_constant__ PromptHeadsArguments a) {
    constexpr int LANES = D / 16;
    const int heads = a.queryHeads + (a.keyCache ? 2 : 1) * a.kvHeads;
    const u64 item = (u64)blockIdx.x * (256 / LANES) + threadIdx.x / LANES;
    const bool exists = item < (u64)a.tokens * heads;
    const int token = exists ? (int)(item / heads) : 0, lane = threadIdx.x % LANES;
    int head = exists ? (int)(item % heads) : 0;
    const bool isQuery = head < a.queryHeads;
    if (!isQuery) head -= a.queryHeads;
    const bool isValue = !isQuery && head >= a.kvHeads;
    if (isValue) head -= a.kvHeads;
    uint4 *place = (uint4 *)(isQuery ? a.queries : isValue ? a.values : a.keys)
        + ((u64)token * (isQuery ? a.queryHeads : a.kvHeads) + head) * (D / 8) + lane;
    uint4 first = place[0], second = place[LANES];
    float x[8], y[8];
    widen(first, x);
    widen(second, y);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) sum += x[j] * x[j] + y[j] * y[j];
#pragma unroll
    for (int distance = LANES / 2; distance; distance >>= 1) sum += __shfl_xor_sync(~0u, sum, distance);
    if (!exists) return;
    if (!isValue) {
        const u64 gain = isQuery ? a.queryNorm : a.keyNorm;
        if (gain) {
            const float scale = rsqrtf(sum / D + a.epsilon);
            float g[8];
            widen(((const uint4 *)gain)[lane], g);
#pragma unroll
            for (int j = 0; j < 8; j++) x[j] *= scale * g[j];
            widen(((const uint4 *)gain)[LANES + lane], g);
#pragma unroll
            for (int j = 0; j < 8; j++) y[j] *= scale * g[j];
        }
        const u64 angles = (u64)((const int *)a.positions)[token] * (D / 2) + lane * 8;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float4 c = *(const float4 *)((const float *)a.cosines + angles + 4 * half);
            const float4 s = *(const float4 *)((const float *)a.sines + angles + 4 * half);
            const float cosine[4] = {c.x, c.y, c.z, c.w}, sine[4] = {s.x, s.y, s.z, s.w};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const float u = x[4 * half + j], v = y[4 * half + j];
                x[4 * half + j] = u * cosine[j] - v * sine[j];
                y[4 * half + j] = v * cosine[j] + u * sine[j];
            }
        }
        first = rounded(x);
        second = rounded(y);
        place[0] = first;
        place[LANES] = second;
    }
    if (isQuery || a.keyCache == 0) return;
    const int slot = ((const int *)a.slots)[token];
    const u64 row = ((u64)(slot / BLOCK_TOKENS) * a.kvHeads + head) * BLOCK_TOKENS + slot % BLOCK_TOKENS;
    uint4 *kept = (uint4 *)(isValue ? a.valueCache : a.keyCache) + row * (D / 8) + lane;
    kept[0] = first;
    kept[LANES] = second;
}

/// Attention to two parts of a sequence, out of what each of them gave: their weights are the parts of the whole softmax.
extern "C" __global__ void __launch_bounds__(256) merge(const __grid_constant__ PromptMergeArguments a) {
    const u64 item = (u64)blockIdx.x * 256 + threadIdx.x, row = item / (D / 8);
    if (row >= (u64)a.tokens * a.heads) return;
    const u64 at = row % a.heads * a.tokens + row / a.heads;
    const float x = ((const float *)a.firstTotals)[at], y = ((const float *)a.secondTotals)[at];
    const float part = 1 / (1 + __expf(y - x));
    float first[8], second[8];
    widen(((const uint4 *)a.first)[item], first);
    widen(((const uint4 *)a.second)[item], second);
#pragma unroll
    for (int j = 0; j < 8; j++) first[j] = second[j] + (first[j] - second[j]) * part;
    ((uint4 *)a.first)[item] = rounded(first);
}

/// gate = silu(gate) · up, PIECES pieces of eight to a thread.
extern "C" __global__ void __launch_bounds__(256) gate(const __grid_constant__ PromptGateArguments a) {
    const u64 start = (u64)blockIdx.x * (256 * PIECES) + threadIdx.x;
    uint4 g[PIECES], u[PIECES];
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        const u64 at = start + 256 * i;
        if (at >= a.pieces) continue;
        g[i] = ((const uint4 *)a.gate)[at];
        u[i] = ((const uint4 *)a.up)[at];
    }
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        const u64 at = start + 256 * i;
        if (at >= a.pieces) continue;
        float x[8], y[8];
        widen(g[i], x);
        widen(u[i], y);
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = __fdividef(x[j], 1 + __expf(-x[j])) * y[j];
        ((uint4 *)a.gate)[at] = rounded(x);
    }
}
