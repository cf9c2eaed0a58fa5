// Attention of one new token per sequence over a paged cache of keys and values: bound by the bytes of the cache.
//
// A thread block takes one key-value head of one sequence and SPLIT_TOKENS of its tokens; its four warps take tiles of sixteen tokens in turn, each
// with a ring in shared memory that copies fill before the kernel in front has ended. All query heads of the group stand in one tile
// of the tensor cores. The block that finishes a head last combines the splits in their order, so results do not depend on
// what else runs. The block that has the new token normalises and turns its key and appends it with the value.
#ifndef D
#define D 128       // dimensions of a head
#define KV_BYTES 2  // bfloat16; 1: e4m3
#define STAGES 3    // tiles in a ring
#define WARPS 4
#endif
#define TILE 16
#define PIECES (D * KV_BYTES / 16)      // 16-byte pieces of a token's key
#define SIDE (TILE * D * KV_BYTES)      // bytes of a tile's keys
#define STAGE (2 * SIDE + (KV_BYTES == 1 ? 128 : 0))
#define WIDTH (D / 32)                  // values of a head that a lane holds: lane, lane + 32, …
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

extern "C" __global__ void __launch_bounds__(WARPS * 32, 8 / WARPS) attention(const __grid_constant__ AttentionArguments a) {
    extern __shared__ __align__(128) u8 memory[];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const int split = blockIdx.x, head = blockIdx.y, sequence = blockIdx.z, group = a.queryHeads / a.kvHeads;
    letNextBegin();
    // A lane has a block of the split's each: what is loaded for every tile would be waited for every time.
    const int ownBlock = split * (SPLIT_TOKENS / BLOCK_TOKENS) + lane;
    const int blockOfLane = lane < SPLIT_TOKENS / BLOCK_TOKENS && ownBlock < a.tableStride ? ((const int *)a.tables)[(u64)sequence * a.tableStride + ownBlock] : 0;
    const int position = ((const int *)a.positions)[sequence];
    const int lowest = a.window ? max(0, position + 1 - a.window) : 0;
    const int firstSplit = lowest / SPLIT_TOKENS, lastSplit = position / SPLIT_TOKENS, active = lastSplit - firstSplit + 1;
    if (split < firstSplit || split > lastSplit) return;
    const int begin = max(split * SPLIT_TOKENS, lowest) / TILE * TILE, end = min((split + 1) * SPLIT_TOKENS, position + 1);
    const int tiles = (end - begin + TILE - 1) / TILE;
    u8 *own = memory + warp * STAGES * STAGE;
    const u32 ring = sharedAddress(own);
    u16 *queries = (u16 *)(memory + WARPS * STAGES * STAGE);  // [16][D]
    float *states = (float *)(queries + 16 * D);              // [warp][row of 16]: maximum, sum

    auto row = [&](int token) {  // of the cache; a warp asks together
        const int block = __shfl_sync(~0u, blockOfLane, token / BLOCK_TOKENS % (SPLIT_TOKENS / BLOCK_TOKENS));
        return ((u64)block * a.kvHeads + head) * BLOCK_TOKENS + token % BLOCK_TOKENS;
    };
    int issued = 0;
    auto copyTile = [&]() {
        const int tile = issued * WARPS + warp;
        if (tile < tiles) {
            const int token = begin + tile * TILE;
            const u64 place = row(token);
            const u32 to = ring + issued % STAGES * STAGE;
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
    };
    // Tiles that are complete do not wait for the new token.
    while (issued < STAGES - 1 && begin + (issued * WARPS + warp + 1) * TILE <= position) copyTile();
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
    for (int i = warp; i < 16; i += WARPS) {
        float v[WIDTH];
        if (i < group) {
            load(v, head * group + i);
            prepare(v, (const u16 *)a.queryNorm, a.epsilon, cosines, sines);
        }
#pragma unroll
        for (int j = 0; j < WIDTH; j++) queries[i * D + lane + 32 * j] = i < group ? (u16)operand(v[j], 0.f) : 0;
    }
    if (split == lastSplit && warp >= WARPS - 2) {
        const bool isKey = warp == WARPS - 2;
        float v[WIDTH];
        load(v, a.queryHeads + (isKey ? 0 : a.kvHeads) + head);
        if (isKey) prepare(v, (const u16 *)a.keyNorm, a.epsilon, cosines, sines);
        append(v, isKey ? a.keys : a.values, isKey ? a.keyScales : a.valueScales, row(position));
        __threadfence();
    }
    __syncthreads();
    while (issued < STAGES - 1) copyTile();

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
    float output[D / 8][4], most[2] = {NOTHING, NOTHING}, total[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < D / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) output[i][j] = 0;
    const float scale = a.scale * 1.44269504f;

    for (int done = 0; done * WARPS + warp < tiles; done++) {
        copyTile();
        waitForCopies<STAGES - 1>();
        __syncwarp();
        const u32 at = ring + done % STAGES * STAGE;
        const int token = begin + (done * WARPS + warp) * TILE;
        float score[2][4];
#pragma unroll
        for (int j = 0; j < 2; j++) {
#pragma unroll
            for (int i = 0; i < 4; i++) score[j][i] = 0;
            const u32 key = at + (j * 8 + g) * (D * KV_BYTES);
#if KV_BYTES == 2
#pragma unroll
            for (int i = 0; i < D / 32; i++) {
                const uint4 k = loadShared(key + (KEY_PLACE(q + 4 * i, g) << 4));
                multiply(score[j], query[0][i].x, query[1][i].x, query[0][i].y, query[1][i].y, k.x, k.y);
                multiply(score[j], query[0][i].z, query[1][i].z, query[0][i].w, query[1][i].w, k.z, k.w);
            }
#else
#pragma unroll
            for (int i = 0; i < D / 64; i++) {
                const uint4 k = loadShared(key + (KEY_PLACE(q + 4 * i, g) << 4));
                const uint4 a0 = query[0][2 * i], a1 = query[1][2 * i], a2 = query[0][2 * i + 1], a3 = query[1][2 * i + 1];
                product(score[j], a0.x, a1.x, a0.y, a1.y, widened(k.x), widened(k.x >> 16));
                product(score[j], a0.z, a1.z, a0.w, a1.w, widened(k.y), widened(k.y >> 16));
                product(score[j], a2.x, a3.x, a2.y, a3.y, widened(k.z), widened(k.z >> 16));
                product(score[j], a2.z, a3.z, a2.w, a3.w, widened(k.w), widened(k.w >> 16));
            }
#endif
        }
        float above[2] = {most[0], most[1]};
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int at = token + j * 8 + 2 * q + (i & 1);
#if KV_BYTES == 1
                score[j][i] *= ((const float *)(own + done % STAGES * STAGE + 2 * SIDE))[j * 8 + 2 * q + (i & 1)];
#endif
                score[j][i] = at >= lowest && at < end ? score[j][i] * scale : NOTHING;
                above[i >> 1] = fmaxf(above[i >> 1], score[j][i]);
            }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            above[h] = fmaxf(above[h], __shfl_xor_sync(~0u, above[h], 1));
            above[h] = fmaxf(above[h], __shfl_xor_sync(~0u, above[h], 2));
            const float shrink = exp2f(most[h] - above[h]);
            most[h] = above[h];
            total[h] *= shrink;
#pragma unroll
            for (int i = 0; i < D / 8; i++) output[i][2 * h] *= shrink, output[i][2 * h + 1] *= shrink;
        }
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int at = token + j * 8 + 2 * q + (i & 1);
                const float share = at >= lowest && at < end ? exp2f(score[j][i] - most[i >> 1]) : 0;
                total[i >> 1] += share;
#if KV_BYTES == 1
                score[j][i] = share * ((const float *)(own + done % STAGES * STAGE + 2 * SIDE))[16 + j * 8 + 2 * q + (i & 1)];
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
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        total[h] += __shfl_xor_sync(~0u, total[h], 1);
        total[h] += __shfl_xor_sync(~0u, total[h], 2);
    }

    // The warps' parts, in their order.
    waitForCopies<0>();
    __syncthreads();
    float *parts = (float *)memory;  // [warp][row of 8 or 16][D]
    const int rows = group > 8 ? 16 : 8;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (h * 8 >= rows) break;
        const int r = g + 8 * h;
        if (q == 0) states[(warp * 16 + r) * 2] = most[h], states[(warp * 16 + r) * 2 + 1] = total[h];
#pragma unroll
        for (int i = 0; i < D / 8; i++) {
            float *to = parts + (warp * rows + r) * D;
#if KV_BYTES == 2
            *(float2 *)(to + i * 8 + 2 * q) = make_float2(output[i][2 * h], output[i][2 * h + 1]);
#else
            to[i / 2 * 16 + 4 * q + (i & 1)] = output[i][2 * h];
            to[i / 2 * 16 + 4 * q + 2 + (i & 1)] = output[i][2 * h + 1];
#endif
        }
    }
    __syncthreads();
    const u64 whole = (u64)sequence * a.kvHeads + head;
    float *partial = (float *)a.partial + (whole * a.splits) * group * (D + 4), *levels = partial + (u64)a.splits * group * D;
    u16 *result = (u16 *)a.output + ((u64)sequence * a.queryHeads + head * group) * D;
    for (int index = threadIdx.x; index < group * D; index += WARPS * 32) {
        const int r = index / D, dim = index % D;
        float top = NOTHING, sum = 0, y = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++) top = fmaxf(top, states[(w * 16 + r) * 2]);
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            const float weight = exp2f(states[(w * 16 + r) * 2] - top);
            sum += weight * states[(w * 16 + r) * 2 + 1];
            y += weight * parts[(w * rows + r) * D + dim];
        }
        if (active == 1) {
            result[index] = narrow(y / sum);
        } else {
            const int place = (split - firstSplit) * group + r;
            partial[(u64)place * D + dim] = y;
            if (dim == 0) ((float2 *)levels)[place] = make_float2(top, sum);
        }
    }
    if (active == 1) return;
    __shared__ int arrived;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) arrived = atomicAdd((int *)a.counters + whole, 1);
    __syncthreads();
    if (arrived != active - 1) return;
    __threadfence();
    // Weights of the splits first, so that what follows are loads that do not wait for one another.
    float *weights = (float *)memory;  // [split][row of 16]; then the sums
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
