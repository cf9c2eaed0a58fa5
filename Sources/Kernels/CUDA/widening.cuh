// Weights of one byte on their way to the tensor cores: what kernels of linear layers share.
#if WEIGHT == 1
/// (a & mask) | b, in one instruction: the compiler takes two, with two constants.
__device__ __forceinline__ u32 maskedOr(u32 a, u32 mask, u32 b) {
    u32 result;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(result) : "r"(a), "r"(mask), "r"(b));
    return result;
}
/// Of every four terms the first and third together, and the second and fourth, as bytes are widened.
__device__ __forceinline__ void interleave(uint4 &v) {
    const uint4 old = v;
    v.x = __byte_perm(old.x, old.y, 0x5410), v.y = __byte_perm(old.x, old.y, 0x7632);
    v.z = __byte_perm(old.z, old.w, 0x5410), v.w = __byte_perm(old.z, old.w, 0x7632);
}
/// The first and third of four bytes as bfloat16 values, or, `isOdd`, the second and fourth.
template <bool isOdd>
__device__ __forceinline__ u32 widened(u32 bytes, const u32 (&masks)[4]) {
    u32 value;
#if IS_FLOAT
    // Sign, exponent and mantissa in their places are the value times 2^-120.
    const u32 upper = isOdd ? bytes : bytes << 8;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(value) : "r"(maskedOr(upper, masks[0], (upper >> 4) & masks[1])), "r"(masks[2]), "r"(masks[3]));
#else
    // 128 and the lower seven bits, less 128 or, with the sign bit, 256.
    const u32 lower = isOdd ? bytes >> 8 : bytes;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;"
        : "=r"(value) : "r"(maskedOr(lower, masks[0], masks[1])), "r"(0x3f803f80u), "r"(maskedOr(lower, masks[2], masks[3])));
#endif
    return value;
}
/// Constants of `widened`, in registers.
__device__ __forceinline__ void wideningMasks(u32 (&masks)[4]) {
#if IS_FLOAT
    asm volatile("mov.u32 %0, 0x80008000; mov.u32 %1, 0x07f007f0; mov.u32 %2, 0x7b807b80; mov.u32 %3, 0x80008000;"
#else
    asm volatile("mov.u32 %0, 0x007f007f; mov.u32 %1, 0x43004300; mov.u32 %2, 0x00800080; mov.u32 %3, 0xc300c300;"
#endif
                 : "=r"(masks[0]), "=r"(masks[1]), "=r"(masks[2]), "=r"(masks[3]));
}
__device__ __forceinline__ uint2 loadSharedPair(u32 from) {
    uint2 v;
    asm volatile("ld.shared.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(from));
    return v;
}
#endif
