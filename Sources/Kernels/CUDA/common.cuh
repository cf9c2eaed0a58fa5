// What the kernels share. They include nothing: NVRTC compiles them on machines that have no CUDA headers.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Programmatic dependent launch: a kernel may begin while the one before it still runs, and reads what that one writes only
// behind `waitForPrevious`.
__device__ __forceinline__ void letNextBegin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void waitForPrevious() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ float low(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }
__device__ __forceinline__ float wide(u16 value) { return __uint_as_float((u32)value << 16); }
/// Two floats rounded to bfloat16, `a` in the lower half.
__device__ __forceinline__ u32 packed(float a, float b) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(b), "f"(a));
    return pair;
}
__device__ __forceinline__ u16 narrow(float value) { return (u16)packed(value, 0.f); }

__device__ __forceinline__ u32 sharedAddress(const void *p) { return (u32)__cvta_generic_to_shared(p); }

/// Copies 16 bytes into shared memory, or writes zeros where `bytes` is 0.
__device__ __forceinline__ void copyAsync(u32 to, const void *from, int bytes) {
    asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until at most `count` of this thread's groups of copies are under way.
template <int count>
__device__ __forceinline__ void waitForCopies() { asm volatile("cp.async.wait_group %0;" ::"n"(count) : "memory"); }

__device__ __forceinline__ uint4 loadShared(u32 from) {
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from));
    return v;
}
/// Four matrices of eight rows of sixteen bytes, of which lane 8 i + j says where row j of matrix i is: a lane gets two bfloat16 values of
/// each, as the tensor cores' operands have them.
__device__ __forceinline__ uint4 loadMatrices(u32 row) {
    uint4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(row) : "memory");
    return v;
}
/// Past the first level of cache, which does not see what other multiprocessors write.
__device__ __forceinline__ uint4 loadFresh(const void *from) {
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from) : "memory");
    return v;
}
__device__ __forceinline__ float loadFresh(const float *from) {
    float v;
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(v) : "l"(from) : "memory");
    return v;
}
__device__ __forceinline__ double loadFresh(const double *from) {
    double v;
    asm volatile("ld.global.cg.f64 %0, [%1];" : "=d"(v) : "l"(from) : "memory");
    return v;
}

#if __CUDA_ARCH__ >= 900
// Barriers in shared memory, at which the bytes of copies by tensor maps arrive.
__device__ __forceinline__ void makeBarrier(u32 barrier, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1; fence.mbarrier_init.release.cluster;" ::"r"(barrier), "r"(count) : "memory");
}
__device__ __forceinline__ void expectBytes(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ __forceinline__ void waitForBarrier(u32 barrier, u32 parity) {
    u32 isOver;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(isOver) : "r"(barrier), "r"(parity) : "memory");
    } while (!isOver);
}
/// Copies a box of the tensor map at `map`, whose first element is x of row y, into shared memory.
__device__ __forceinline__ void copyBox(u32 to, u64 map, int x, int y, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                 ::"r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}
__device__ __forceinline__ void arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
#endif

/// c += a · b on tensor cores, 16×8 += 16×16 · 16×8. Which of the sixteen terms of the sum a lane holds may be chosen freely, if a and b
/// agree: lanes take eight neighbours of a row at once for two products.
__device__ __forceinline__ void multiply(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

template <class T>
__device__ __forceinline__ T sumOverWarp(T v) {
#pragma unroll
    for (int distance = 16; distance; distance >>= 1) v += __shfl_xor_sync(~0u, v, distance);
    return v;
}

/// The eight sums that a product's sum over k is shared out to, every eighth chunk each: by twos and then one behind the
/// other, so that whoever has two of them or all adds in the same order.
__device__ __forceinline__ float sumOfSlices(const float (&s)[8]) {
    return (((s[0] + s[1]) + (s[2] + s[3])) + (s[4] + s[5])) + (s[6] + s[7]);
}
