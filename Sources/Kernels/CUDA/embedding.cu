// What stands before the first block: a token's row of the embedding, ready for the first norm. And what a draft model reads: the
// residual stream where it enters a layer.

extern "C" __global__ void __launch_bounds__(256) embed(const __grid_constant__ EmbeddingArguments a) {
    __shared__ double sums[8];
    letNextBegin();
    waitForPrevious();
    const int column = blockIdx.x;
    const u16 *from = (const u16 *)a.table + (u64)((const int *)a.tokens)[column] * a.width;
    double sum = 0;
    for (int i = threadIdx.x; i < a.width; i += 256) {
        const float value = wide(from[i]);
        ((float *)a.residual)[(u64)column * a.width + i] = value;
        ((u16 *)a.normalized)[(u64)column * a.width + i] = narrow(value * wide(((const u16 *)a.gain)[i]));
        sum += (double)value * value;
    }
    sum = sumOverWarp(sum);
    if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double all = 0;
        for (int i = 0; i < 8; i++) all += sums[i];
        ((double *)a.squares)[column * SLOTS] = all;
    }
}

extern "C" __global__ void __launch_bounds__(256) tap(const __grid_constant__ TapArguments a) {
    letNextBegin();
    waitForPrevious();
    const float *from = (const float *)a.from + (u64)blockIdx.x * a.width;
    float *to = (float *)a.to + (u64)blockIdx.x * a.stride;
    for (int i = threadIdx.x; i < a.width; i += 256) to[i] = from[i];
}
