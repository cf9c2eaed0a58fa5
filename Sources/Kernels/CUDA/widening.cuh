// Weights of one byte on their way to the tensor cores: what kernels of linear layers share. They and the inputs become float16 there,
// which holds every value of a byte, and of an input eight times as many digits as bfloat16 has.
#if WEIGHT == 1
// Inputs are divided by it: up to 524,000 they are finite, and what is lost of small ones is below 2.4e-7.
#define INPUT_SCALE 8.f
#if IS_FLOAT && __CUDA_ARCH__ < 890
#define WEIGHT_SCALE 256.f
#else
#define WEIGHT_SCALE 1.f
#endif

/// Two neighbours of four bytes, times 1 / WEIGHT_SCALE: the first two, or, `isUpper`, the others.
template <bool isUpper>
__device__ __forceinline__ u32 widened(u32 bytes) {
    u32 value;
#if !IS_FLOAT
    // Behind the exponent of 1,024 stands the value and 128.
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(value) : "r"(bytes ^ 0x80808080u), "r"(0x64646464u), "n"(isUpper ? 0x4342 : 0x4140));
    asm("add.rn.f16x2 %0, %0, %1;" : "+r"(value) : "r"(0xe480e480u));
#elif __CUDA_ARCH__ >= 890
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(value) : "h"((u16)(isUpper ? bytes >> 16 : bytes)));
#else
    // Sign, exponent and mantissa in their places are the value times 2^-8.
    const u32 spread = __byte_perm(bytes, 0, isUpper ? 0x3424 : 0x1404);
    value = (spread & 0x80008000u) | ((spread >> 1) & 0x3f803f80u);
#endif
    return value;
}
/// Two bfloat16 values as float16, divided by INPUT_SCALE; what is too large becomes infinite.
__device__ __forceinline__ u32 halved(u32 pair) {
    u32 value;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(value) : "f"(high(pair) / INPUT_SCALE), "f"(low(pair) / INPUT_SCALE));
    return value;
}
__device__ __forceinline__ void halve(uint4 &v) { v.x = halved(v.x), v.y = halved(v.y), v.z = halved(v.z), v.w = halved(v.w); }
/// As `multiply`, of float16 values.
__device__ __forceinline__ void multiplyHalves(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
#endif
