// Attention of one new token per sequence over a paged cache of keys and values: bound by the bytes of the cache.
//
// A thread block takes one key-value head of one sequence and up to four splits of SPLIT_TOKENS tokens; its four warps take a block of the cache's
// sixty-four tokens together, sixteen each, with rings in shared memory that copies fill before the kernel in front has ended and across the
// ends of splits. All query heads of the group stand in one tile of the tensor cores. What the warps have of a split is put together by twos; the
// thread block that finishes a head last combines the splits in their order, so results do not depend on what else runs, nor on
// how many splits a block takes. The block that has the new token normalises and turns its key and appends it with the value.
#ifndef D
#define D 128       // dimensions of a head
#define KV_BYTES 2  // bfloat16; 1: e4m3
#define STAGES 3    // tiles in a ring
#define WARPS 4
#define BLOCKS 2    // that share a multiprocessor
#define ROWS 8      // query heads of a key's at most: 8 or 16
#endif
#define TILE 16
#define PIECES (D * KV_BYTES / 16)      // 16-byte pieces of a token's key
#define SIDE (TILE * D * KV_BYTES)      // bytes of a tile's keys
#define STAGE (2 * SIDE + (KV_BYTES == 1 ? 128 : 0))
#define WIDTH (D / 32)                  // values of a head that a lane holds: lane, lane + 32, …
#define MEETING (ROWS * D)              // floats: a warp's sums
#define NOTHING (-1e30f)

#if KV_BYTES == 1
/// Two e4m3 values to float16, which holds each exactly.
__device__ __forceinline__ u32 widened(u32 pair) {
    u32 result;
#if __CUDA_ARCH__ >= 890
    asm("{ .reg .b16 low; cvt.u16.u32 low, %1; cvt.rn.f16x2.e4m3x2 %0, low; }" : "=r"(result) : "r"(pair));
#else
    // Sign, exponent and mantissa shifted into place are the value times 2^-8.
    const u32 spread = (pair & 0xffu) | ((pair & 0xff00u) << 8), bits = ((spread & 0x00800080u) << 8) | ((spread & 0x007f007fu) << 7);
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(result) : "r"(bits), "r"(0x5c005c00u));
#endif
    return result;
}
/// A value as e4m3, the nearest.
__device__ __forceinline__ u8 asByte(float value) {
#if __CUDA_ARCH__ >= 890
    u16 pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.f), "f"(value));
    return (u8)pair;
#else
    return 0;  // the program keeps no fp8 cache on these
#endif
}
/// Halves as operands, of queries and shares.
__device__ __forceinline__ u32 operand(float a, float b) {
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(b), "f"(a));
    return pair;
}
__device__ __forceinline__ void product(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
#define KEY_PLACE(piece, t) (PIECES == 8 ? (piece) ^ (((t) & 1) << 2) : (piece))
#define VALUE_PLACE(piece, t) (PIECES == 8 ? (piece) ^ ((t) & 7) : (piece) ^ (((t) >> 1) & 3))
#else
#define operand packed
#define product multiply
#define KEY_PLACE(piece, t) ((piece) ^ (((t) & 1) << 2))
#define VALUE_PLACE(piece, t) ((piece) ^ ((t) & 7))
#endif

/// What a lane holds of a head, normalised where there is a norm, and turned.
__device__ __forceinline__ void prepare(float (&v)[WIDTH], const u16 *norm, float epsilon, const float *cosines, const float *sines) {
    const int lane = threadIdx.x & 31;
    if (norm) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < WIDTH; i++) sum += v[i] * v[i];
        const float scale = rsqrtf(sumOverWarp(sum) / D + epsilon);
#pragma unroll
        for (int i = 0; i < WIDTH; i++) v[i] *= scale * wide(norm[lane + 32 * i]);
    }
#pragma unroll
    for (int i = 0; i < WIDTH / 2; i++) {
        const float cosine = cosines[lane + 32 * i], sine = sines[lane + 32 * i], a = v[i], b = v[i + WIDTH / 2];
        v[i] = a * cosine - b * sine;
        v[i + WIDTH / 2] = b * cosine + a * sine;
    }
}

/// Keeps what a lane holds of the new token's key or value at row `row` of the cache.
__device__ __forceinline__ void append(const float (&v)[WIDTH], u64 memory, u64 scales, u64 row) {
    const int lane = threadIdx.x & 31;
#if KV_BYTES == 2
#pragma unroll
    for (int i = 0; i < WIDTH; i++) ((u16 *)memory)[row * D + lane + 32 * i] = narrow(v[i]);
#else
    float most = 0;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) most = fmaxf(most, fabsf(v[i]));
#pragma unroll
    for (int distance = 16; distance; distance >>= 1) most = fmaxf(most, __shfl_xor_sync(~0u, most, distance));
    const float scale = most > 0 ? most / 448.f : 1.f;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) ((u8 *)memory)[row * D + lane + 32 * i] = asByte(v[i] / scale);
    if (lane == 0) ((float *)scales)[row] = scale;
#endif
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, BLOCKS) attention(const __grid_constant__ AttentionArguments a) {
    extern __shared__ __align__(128) u8 memory[];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const int head = blockIdx.y, sequence = blockIdx.z, group = a.queryHeads / a.kvHeads;
    letNextBegin();
    // A lane has a block of the cache each: what is loaded for every tile would be waited for every time.
    const int perSplit = SPLIT_TOKENS / BLOCK_TOKENS, firstBlock = blockIdx.x * a.each * perSplit;
    const int blockOfLane = lane < a.each * perSplit && firstBlock + lane < a.tableStride
        ? ((const int *)a.tables)[(u64)sequence * a.tableStride + firstBlock + lane] : 0;
    const int position = ((const int *)a.positions)[sequence];
    const int lowest = a.window ? max(0, position + 1 - a.window) : 0;
    const int lowestSplit = lowest / SPLIT_TOKENS, lastSplit = position / SPLIT_TOKENS, active = lastSplit - lowestSplit + 1;
    const int from = max((int)blockIdx.x * a.each, lowestSplit), to = min(((int)blockIdx.x + 1) * a.each - 1, lastSplit);  // splits
    if (from > to) return;
    // Blocks of the cache; the tiles of the first and the last may lie beyond what is attended to.
    const int first = max(from * perSplit, lowest / BLOCK_TOKENS), last = min((to + 1) * perSplit - 1, position / BLOCK_TOKENS);
    const u32 ring = sharedAddress(memory + warp * STAGES * STAGE);
    u8 *own = memory + warp * STAGES * STAGE;
    u16 *queries = (u16 *)(memory + WARPS * STAGES * STAGE);  // [16][D]
    float *meeting = (float *)queries;                        // afterwards: [two warps][sum of a lane][lane]
    float *states = meeting + 2 * MEETING;                    // [two warps][maximum, total][row of 16]

    auto row = [&](int block) {  // of the cache, the first of a warp's tile; a warp asks together
        return ((u64)__shfl_sync(~0u, blockOfLane, block - firstBlock) * a.kvHeads + head) * BLOCK_TOKENS + warp * TILE;
    };
    int issued = first, slot = 0;
    auto copyTile = [&]() {
        if (issued <= last) {
            const int token = issued * BLOCK_TOKENS + warp * TILE;
            const u64 place = row(issued);
            const u32 to = ring + slot * STAGE;
#pragma unroll
            for (int i = 0; i < TILE * PIECES / 32; i++) {
                const int index = i * 32 + lane, t = index / PIECES, piece = index % PIECES;
                const int bytes = token + t <= position ? 16 : 0;
                const u64 from = (place + t) * (D * KV_BYTES) + piece * 16;
                copyAsync(to + t * (D * KV_BYTES) + (KEY_PLACE(piece, t) << 4), (const u8 *)a.keys + from, bytes);
                copyAsync(
                    to + SIDE + t * (D * KV_BYTES) + (VALUE_PLACE(piece, t) << 4), (const u8 *)a.values + from, bytes);
            }
#if KV_BYTES == 1
            if (lane < 8)
                copyAsync(
                    to + 2 * SIDE + lane * 16,
                    (const float *)(lane < 4 ? a.keyScales : a.valueScales) + place + (lane & 3) * 4, 16);
#endif
        }
        commitCopies();
        issued++;
        slot = slot == STAGES - 1 ? 0 : slot + 1;
    };
    // Tiles that are complete do not wait for the new token.
    while (issued - first < STAGES - 1 && issued * BLOCK_TOKENS + (warp + 1) * TILE <= position) copyTile();
    waitForPrevious();

    const u16 *fresh = (const u16 *)a.heads + (u64)sequence * a.stride;
    const float *cosines = (const float *)a.cosines + sequence * (D / 2), *sines = (const float *)a.sines + sequence * (D / 2);
    auto load = [&](float(&v)[WIDTH], int at) {
#pragma unroll
        for (int i = 0; i < WIDTH; i++) {
            u16 bits;
            asm volatile("ld.global.cg.u16 %0, [%1];" : "=h"(bits) : "l"(fresh + at * D + lane + 32 * i) : "memory");
            v[i] = wide(bits);
        }
    };
    float v[16 / WARPS][WIDTH];
#pragma unroll
    for (int i = 0; i < 16 / WARPS; i++)
        if (i * WARPS + warp < group) load(v[i], head * group + i * WARPS + warp);
#pragma unroll
    for (int i = 0; i < 16 / WARPS; i++) {
        const int r = i * WARPS + warp;
        if (r < group) prepare(v[i], (const u16 *)a.queryNorm, a.epsilon, cosines, sines);
#pragma unroll
        for (int j = 0; j < WIDTH; j++) queries[r * D + lane + 32 * j] = r < group ? (u16)operand(v[i][j], 0.f) : 0;
    }
    if (to == lastSplit && warp >= WARPS - 2) {
        const bool isKey = warp == WARPS - 2;
        load(v[0], a.queryHeads + (isKey ? 0 : a.kvHeads) + head);
        if (isKey) prepare(v[0], (const u16 *)a.keyNorm, a.epsilon, cosines, sines);
        const u64 place = ((u64)__shfl_sync(~0u, blockOfLane, position / BLOCK_TOKENS - firstBlock) * a.kvHeads + head) * BLOCK_TOKENS;
        append(v[0], isKey ? a.keys : a.values, isKey ? a.keyScales : a.valueScales, place + position % BLOCK_TOKENS);
        __threadfence();
    }
    __syncthreads();
    while (issued - first < STAGES - 1) copyTile();

    // Queries as operand a: sixteen dimensions of a row per 16-byte piece of the keys in fp8, eight in bfloat16.
    uint4 query[2][D / 32];
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < D / 32; i++) {
#if KV_BYTES == 2
            const int dim = (q + 4 * i) * 8;
#else
            const int dim = (q + 4 * (i / 2)) * 16 + (i & 1) * 8;
#endif
            query[h][i] = loadShared(sharedAddress(queries + (g + 8 * h) * D + dim));
        }
    __syncthreads();  // what the queries stood in is used again
    float output[D / 8][4], most[2] = {NOTHING, NOTHING}, total[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < D / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) output[i][j] = 0;
    const float scale = a.scale * 1.44269504f;

    const u64 whole = (u64)sequence * a.kvHeads + head;
    float *partial = (float *)a.partial + (whole * a.splits) * group * (D + 4), *levels = partial + (u64)a.splits * group * D;
    u16 *result = (u16 *)a.output + ((u64)sequence * a.queryHeads + head * group) * D;
    // What this warp has of a split, to another or from it.
    auto leave = [&](int place) {
#pragma unroll
        for (int h = 0; h < ROWS / 8; h++) {
#pragma unroll
            for (int i = 0; i < D / 8; i++) {
                float *to = meeting + place * MEETING + (h * (D / 4) + 2 * i) * 32 + lane;
                to[0] = output[i][2 * h], to[32] = output[i][2 * h + 1];
            }
            if (q == 0) states[place * 32 + h * 8 + g] = most[h], states[place * 32 + 16 + h * 8 + g] = total[h];
        }
    };
    auto meet = [&](int place) {
#pragma unroll
        for (int h = 0; h < ROWS / 8; h++) {
            const float theirs = states[place * 32 + h * 8 + g], top = fmaxf(most[h], theirs);
            const float own = exp2f(most[h] - top), their = exp2f(theirs - top);
            most[h] = top;
            total[h] = own * total[h] + their * states[place * 32 + 16 + h * 8 + g];
#pragma unroll
            for (int i = 0; i < D / 8; i++) {
                const float *from = meeting + place * MEETING + (h * (D / 4) + 2 * i) * 32 + lane;
                output[i][2 * h] = own * output[i][2 * h] + their * from[0];
                output[i][2 * h + 1] = own * output[i][2 * h + 1] + their * from[32];
            }
        }
    };
    int read = 0;
    for (int block = first; block <= last; block++) {
        copyTile();
        waitForCopies<STAGES - 1>();
        __syncwarp();
        const u32 at = ring + read * STAGE;
        const u8 *here = own + read * STAGE;
        read = read == STAGES - 1 ? 0 : read + 1;
        const int token = block * BLOCK_TOKENS + warp * TILE;
        // A product is waited for by the next into the same sums: four sums, of which two are added in the end, are under way at once.
        float score[2][4], other[2][4];
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) score[j][i] = other[j][i] = 0;
#if KV_BYTES == 2
#pragma unroll
        for (int i = 0; i < D / 32; i++) {
            const uint4 k0 = loadShared(at + g * (D * KV_BYTES) + (KEY_PLACE(q + 4 * i, g) << 4));
            const uint4 k1 = loadShared(at + (8 + g) * (D * KV_BYTES) + (KEY_PLACE(q + 4 * i, g) << 4));
            const uint4 a0 = query[0][i], a1 = query[1][i];
            multiply(score[0], a0.x, a1.x, a0.y, a1.y, k0.x, k0.y);
            multiply(score[1], a0.x, a1.x, a0.y, a1.y, k1.x, k1.y);
            multiply(other[0], a0.z, a1.z, a0.w, a1.w, k0.z, k0.w);
            multiply(other[1], a0.z, a1.z, a0.w, a1.w, k1.z, k1.w);
        }
#else
#pragma unroll
        for (int i = 0; i < D / 64; i++) {
            const uint4 k0 = loadShared(at + g * (D * KV_BYTES) + (KEY_PLACE(q + 4 * i, g) << 4));
            const uint4 k1 = loadShared(at + (8 + g) * (D * KV_BYTES) + (KEY_PLACE(q + 4 * i, g) << 4));
            const uint4 a0 = query[0][2 * i], a1 = query[1][2 * i], a2 = query[0][2 * i + 1], a3 = query[1][2 * i + 1];
            product(score[0], a0.x, a1.x, a0.y, a1.y, widened(k0.x), widened(k0.x >> 16));
            product(score[1], a0.x, a1.x, a0.y, a1.y, widened(k1.x), widened(k1.x >> 16));
            product(other[0], a0.z, a1.z, a0.w, a1.w, widened(k0.y), widened(k0.y >> 16));
            product(other[1], a0.z, a1.z, a0.w, a1.w, widened(k1.y), widened(k1.y >> 16));
            product(score[0], a2.x, a3.x, a2.y, a3.y, widened(k0.z), widened(k0.z >> 16));
            product(score[1], a2.x, a3.x, a2.y, a3.y, widened(k1.z), widened(k1.z >> 16));
            product(other[0], a2.z, a3.z, a2.w, a3.w, widened(k0.w), widened(k0.w >> 16));
            product(other[1], a2.z, a3.z, a2.w, a3.w, widened(k1.w), widened(k1.w >> 16));
        }
#endif
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) score[j][i] += other[j][i];
        float above[2] = {most[0], most[1]};
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int at = token + j * 8 + 2 * q + (i & 1);
#if KV_BYTES == 1
                score[j][i] *= ((const float *)(here + 2 * SIDE))[j * 8 + 2 * q + (i & 1)];
#endif
                score[j][i] = at >= lowest && at <= position ? score[j][i] * scale : NOTHING;
                above[i >> 1] = fmaxf(above[i >> 1], score[j][i]);
            }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            above[h] = fmaxf(above[h], __shfl_xor_sync(~0u, above[h], 1));
            above[h] = fmaxf(above[h], __shfl_xor_sync(~0u, above[h], 2));
            // Most tiles have no larger score.
            if (__any_sync(~0u, above[h] > most[h])) {
                const float shrink = exp2f(most[h] - above[h]);
                most[h] = above[h];
                total[h] *= shrink;
#pragma unroll
                for (int i = 0; i < D / 8; i++) output[i][2 * h] *= shrink, output[i][2 * h + 1] *= shrink;
            }
        }
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int at = token + j * 8 + 2 * q + (i & 1);
                const float share = at >= lowest && at <= position ? exp2f(score[j][i] - most[i >> 1]) : 0;
                total[i >> 1] += share;
#if KV_BYTES == 1
                score[j][i] = share * ((const float *)(here + 2 * SIDE))[16 + j * 8 + 2 * q + (i & 1)];
#else
                score[j][i] = share;
#endif
            }
        const u32 p0 = operand(score[0][0], score[0][1]), p1 = operand(score[0][2], score[0][3]);
        const u32 p2 = operand(score[1][0], score[1][1]), p3 = operand(score[1][2], score[1][3]);
        // Transposed by eights: of two neighbouring bytes in fp8, which are those of an even and an odd dimension.
        const u32 value = at + SIDE;
        const int t = (lane & 7) + (lane & 8);
#pragma unroll
        for (int i = 0; i < PIECES / 2; i++) {
            u32 b0, b1, b2, b3;
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                         : "=r"(b0), "=r"(b1), "=r"(b2), "=r"(b3)
                         : "r"(value + t * (D * KV_BYTES) + (VALUE_PLACE(2 * i + (lane >> 4), t) << 4))
                         : "memory");
#if KV_BYTES == 2
            product(output[2 * i], p0, p1, p2, p3, b0, b1);
            product(output[2 * i + 1], p0, p1, p2, p3, b2, b3);
#else
            b0 = __byte_perm(b0, 0, 0x3120), b1 = __byte_perm(b1, 0, 0x3120);
            b2 = __byte_perm(b2, 0, 0x3120), b3 = __byte_perm(b3, 0, 0x3120);
            product(output[4 * i], p0, p1, p2, p3, widened(b0), widened(b1));
            product(output[4 * i + 1], p0, p1, p2, p3, widened(b0 >> 16), widened(b1 >> 16));
            product(output[4 * i + 2], p0, p1, p2, p3, widened(b2), widened(b3));
            product(output[4 * i + 3], p0, p1, p2, p3, widened(b2 >> 16), widened(b3 >> 16));
#endif
        }
        __syncwarp();
        if (block != last && (block + 1) % perSplit != 0) continue;

        // The end of a split: four warps' parts become two, then one, which is written; the others go on.
#pragma unroll
        for (int h = 0; h < 2; h++) {
            total[h] += __shfl_xor_sync(~0u, total[h], 1);
            total[h] += __shfl_xor_sync(~0u, total[h], 2);
        }
        __syncthreads();
        if (warp >= 2) leave(warp - 2);
        __syncthreads();
        if (warp < 2) meet(warp);
        __syncthreads();
        if (warp == 1) leave(1);
        __syncthreads();
        if (warp == 0) {
            meet(1);
            const int place = (block / perSplit - lowestSplit) * group;
#pragma unroll
            for (int h = 0; h < ROWS / 8; h++) {
                const int r = g + 8 * h;
                if (r >= group) break;
                const float scale = 1 / total[h];
                if (active > 1 && q == 0) ((float2 *)levels)[place + r] = make_float2(most[h], total[h]);
#pragma unroll
                for (int i = 0; i < D / 8; i++) {
                    const float y0 = output[i][2 * h], y1 = output[i][2 * h + 1];
#if KV_BYTES == 2
                    const int dim = i * 8 + 2 * q, other = dim + 1;
#else
                    const int dim = i / 2 * 16 + 4 * q + (i & 1), other = dim + 2;
#endif
                    if (active == 1) {
                        result[r * D + dim] = narrow(y0 * scale), result[r * D + other] = narrow(y1 * scale);
                    } else {
                        float *to = partial + (u64)(place + r) * D;
                        to[dim] = y0, to[other] = y1;
                    }
                }
            }
        }
#pragma unroll
        for (int i = 0; i < D / 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) output[i][j] = 0;
        most[0] = most[1] = NOTHING;
        total[0] = total[1] = 0;
    }
    waitForCopies<0>();
    if (active == 1) return;
    __shared__ int arrived;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) arrived = atomicAdd((int *)a.counters + whole, to - from + 1);
    __syncthreads();
    if (arrived + to - from + 1 != active) return;
    __threadfence();
    // Weights of the splits first, so that what follows are loads that do not wait for one another.
    float *weights = (float *)memory;  // [split][row of 16]
    for (int r = warp; r < group; r += WARPS) {
        float top = NOTHING, sum = 0;
        for (int s = lane; s < active; s += 32) top = fmaxf(top, loadFresh(levels + (s * group + r) * 2));
#pragma unroll
        for (int distance = 16; distance; distance >>= 1) top = fmaxf(top, __shfl_xor_sync(~0u, top, distance));
        for (int s = lane; s < active; s += 32) {
            const float weight = exp2f(loadFresh(levels + (s * group + r) * 2) - top);
            weights[s * 16 + r] = weight;
            sum += weight * loadFresh(levels + (s * group + r) * 2 + 1);
        }
        sum = sumOverWarp(sum);
        if (lane == 0) states[r] = 1 / sum;
    }
    __syncthreads();
    for (int index = threadIdx.x; index < group * D / 4; index += WARPS * 32) {
        const int r = index * 4 / D;
        float y[4] = {0, 0, 0, 0};
#pragma unroll 16
        for (int s = 0; s < active; s++) {
            const uint4 v = loadFresh((const uint4 *)(partial + (u64)s * group * D) + index);
            const float weight = weights[s * 16 + r];
            y[0] += weight * __uint_as_float(v.x), y[1] += weight * __uint_as_float(v.y);
            y[2] += weight * __uint_as_float(v.z), y[3] += weight * __uint_as_float(v.w);
        }
        ((uint2 *)result)[index] = make_uint2(packed(y[0] * states[r], y[1] * states[r]), packed(y[2] * states[r], y[3] * states[r]));
    }
    if (threadIdx.x == 0) ((int *)a.counters)[whole] = 0;
}
