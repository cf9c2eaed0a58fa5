// What stands before the first block and behind the head: a token's row of the embedding, and the likeliest token.

extern "C" __global__ void __launch_bounds__(256) embed(const __grid_constant__ EmbeddingArguments a) {
    __shared__ float sums[8];
    letNextBegin();
    waitForPrevious();
    const int column = blockIdx.x;
    const u16 *from = (const u16 *)a.table + (u64)((const int *)a.tokens)[column] * a.width;
    float sum = 0;
    for (int i = threadIdx.x; i < a.width; i += 256) {
        const float value = wide(from[i]);
        ((float *)a.residual)[(u64)column * a.width + i] = value;
        ((u16 *)a.normalized)[(u64)column * a.width + i] = narrow(value * wide(((const u16 *)a.gain)[i]));
        sum += value * value;
    }
    sum = sumOverWarp(sum);
    if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float all = 0;
        for (int i = 0; i < 8; i++) all += sums[i];
        ((float *)a.squares)[column * SLOTS] = all;
        ((u64 *)a.best)[column] = 0;
    }
}

extern "C" __global__ void __launch_bounds__(256) likeliest(const __grid_constant__ LikeliestArguments a) {
    letNextBegin();
    waitForPrevious();
    const float *logits = (const float *)a.logits + (u64)blockIdx.y * a.vocabulary;
    u64 best = 0;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < a.vocabulary; i += gridDim.x * 256) {
        const float value = loadFresh(logits + i);
        const u32 bits = __float_as_uint(value);
        // NaN comes first, so that it is seen.
        const u32 order = value != value ? ~0u : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
        const u64 key = (u64)order << 32 | (u32)~i;
        best = key > best ? key : best;
    }
#pragma unroll
    for (int distance = 16; distance; distance >>= 1) {
        const u64 other = __shfl_xor_sync(~0u, best, distance);
        best = other > best ? other : best;
    }
    if ((threadIdx.x & 31) == 0) atomicMax((u64 *)a.best + blockIdx.y, best);
}
