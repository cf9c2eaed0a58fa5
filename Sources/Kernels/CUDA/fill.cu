// values[i] = value for i < count, with any grid of blocks.
extern "C" __global__ void fill(float *values, float value, long long count) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) values[i] = value;
}
