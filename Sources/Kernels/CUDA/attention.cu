// Attention of one to eight new tokens per sequence over a paged cache of keys and values: bound by the bytes of the cache.
//
// A thread block takes one key-value head of one sequence and up to four splits of SPLIT_TOKENS tokens; its four warps take a block of the cache's
// sixty-four tokens together, sixteen each, with rings in shared memory that copies fill before the kernel in front has ended and across the
// ends of splits. A row is a query head of the group and a new token, the heads of a token beside one another: sixteen rows stand in a tile of
// the tensor cores, and a warp has one or two such tiles, for which it reads keys and values once. What the warps have of a split is put
// together by twos; the thread block that finishes its rows last combines the splits in their order, so results do not depend on what else runs,
// nor on how many splits a block takes, nor on the other rows: what a row may not see counts exactly nothing. Whoever has a new token's split
// normalises and turns its key and appends it with the value; where the rows are more than a block takes, each of its blocks does, all with the
// same bits.
#ifndef D
#define D 128       // dimensions of a head
#define KV_BYTES 2  // bfloat16; 1: e4m3
#define STAGES 3    // tiles in a ring
#define WARPS 4
#define BLOCKS 2    // that share a multiprocessor
#define TOKENS 1    // new tokens of a sequence at most: 1, 2, 4 or 8
#define ROWS 8      // that a block takes, at least the group's heads: 8, 16 or 32
#endif
#define TILES ((ROWS + 15) / 16)
#define HALVES (ROWS == 8 ? 1 : 2)      // of a tile, eight rows each
#define UNITS (TILES * HALVES)
#define TILE 16
#define PIECES (D * KV_BYTES / 16)      // 16-byte pieces of a token's key
#define SIDE (TILE * D * KV_BYTES)      // bytes of a tile's keys
#define STAGE (2 * SIDE + (KV_BYTES == 1 ? 128 : 0))
#define WIDTH (D / 32)                  // values of a head that a lane holds: lane, lane + 32, …
#define MEETING (8 * D)                 // floats: sums of eight rows
#define NOTHING (-1e30f)
#define UNSEEN (-2e30f)                 // lower: its share is zero also where there is nothing yet

#if KV_BYTES == 1
/// Four e4m3 values to float16, which holds each exactly.
__device__ __forceinline__ uint2 widened(u32 four) {
    uint2 result;
#if __CUDA_ARCH__ >= 890
    asm("{ .reg .b16 low, high; mov.b32 {low, high}, %2; cvt.rn.f16x2.e4m3x2 %0, low; cvt.rn.f16x2.e4m3x2 %1, high; }"
        : "=r"(result.x), "=r"(result.y) : "r"(four));
#else
    // Sign, exponent and mantissa shifted into place are the value times 2^-8.
    const u32 low = __byte_perm(four, 0, 0x4140), high = __byte_perm(four, 0, 0x4342);
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(result.x) : "r"(((low & 0x00800080u) << 8) | ((low & 0x007f007fu) << 7)), "r"(0x5c005c00u));
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(result.y) : "r"(((high & 0x00800080u) << 8) | ((high & 0x007f007fu) << 7)), "r"(0x5c005c00u));
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
/// 2^x. Below 2^-126 it is zero, which no float16 could tell from it.
__device__ __forceinline__ float shareOf(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
#define OF_FOUR(i) ((i) & 1)   // of two neighbouring sums, whose values a lane has beside one another: which has the i-th, and where
#define IN_PAIR(i) ((i) >> 1)
#define KEY_TURN(t) (PIECES == 8 ? ((t) & 1) << 2 : 0)
#define VALUE_TURN(t) (PIECES == 8 ? (t) & 7 : ((t) >> 1) & 3)
#else
#define operand packed
#define product multiply
#define shareOf exp2f
#define OF_FOUR(i) ((i) >> 1)
#define IN_PAIR(i) ((i) & 1)
// In which bits of its place a piece of a token in a tile differs from where it stands in memory, so that neither copies nor reads meet in banks.
#define KEY_TURN(t) (((t) & 1) << 2)
#define VALUE_TURN(t) ((t) & 7)
#endif

/// What a column is turned by, as much as a lane needs.
struct Angles {
    float cosines[WIDTH / 2], sines[WIDTH / 2];
    __device__ __forceinline__ void load(const AttentionArguments &a, int column) {
        const u64 at = (u64)column * (D / 2) + (threadIdx.x & 31);
#pragma unroll
        for (int i = 0; i < WIDTH / 2; i++)
            cosines[i] = ((const float *)a.cosines)[at + 32 * i], sines[i] = ((const float *)a.sines)[at + 32 * i];
    }
};

/// A norm's gains, or ones where there is none.
__device__ __forceinline__ void loadNorm(float (&norm)[WIDTH], u64 gains) {
#pragma unroll
    for (int i = 0; i < WIDTH; i++) norm[i] = gains ? wide(((const u16 *)gains)[(threadIdx.x & 31) + 32 * i]) : 1;
}

/// What a lane holds of a head, normalised where there is a norm, and turned. Each operation is rounded by itself, here and below, so that
/// all variants have the same bits.
__device__ __forceinline__ void prepare(float (&v)[WIDTH], bool isNormed, const float (&norm)[WIDTH], float epsilon, const Angles &angles) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) sum = __fmaf_rn(v[i], v[i], sum);
    const float scale = isNormed ? rsqrtf(__fmaf_rn(sumOverWarp(sum), 1.f / D, epsilon)) : 1;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) v[i] = __fmul_rn(__fmul_rn(scale, norm[i]), v[i]);
#pragma unroll
    for (int i = 0; i < WIDTH / 2; i++) {
        const float cosine = angles.cosines[i], sine = angles.sines[i], a = v[i], b = v[i + WIDTH / 2];
        v[i] = __fmaf_rn(a, cosine, -__fmul_rn(b, sine));
        v[i + WIDTH / 2] = __fmaf_rn(a, sine, __fmul_rn(b, cosine));
    }
}

/// Of eight rows of a tile's sums four values of a lane's row, at four places of sixteen dimensions' sums.
__device__ __forceinline__ float4 ofUnit(const float (&sums)[D / 8][4], int half, int k) {
    return make_float4(
        sums[2 * k + OF_FOUR(0)][2 * half + IN_PAIR(0)], sums[2 * k + OF_FOUR(1)][2 * half + IN_PAIR(1)],
        sums[2 * k + OF_FOUR(2)][2 * half + IN_PAIR(2)], sums[2 * k + OF_FOUR(3)][2 * half + IN_PAIR(3)]);
}

/// The `index`-th four values of a row, as they stand in parts.
__device__ __forceinline__ void storeResult(u16 *row, int index, float4 y, float scale) {
    const u32 a = packed(__fmul_rn(y.x, scale), __fmul_rn(y.y, scale)), b = packed(__fmul_rn(y.z, scale), __fmul_rn(y.w, scale));
#if KV_BYTES == 1
    ((uint2 *)row)[index] = make_uint2(a, b);
#else
    u32 *to = (u32 *)row + index / 4 * 8 + index % 4;
    to[0] = a, to[4] = b;
#endif
}

/// What others wrote.
__device__ __forceinline__ float2 loadFresh(const float2 *from) {
    float2 v;
    asm volatile("ld.global.cg.v2.f32 {%0,%1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(from) : "memory");
    return v;
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

/// Copies where it is wanted, without a branch.
__device__ __forceinline__ void copyAsyncIf(bool isWanted, u32 to, u64 from, int bytes) {
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %3, 0; @p cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2; }"
                 ::"r"(to), "l"(from), "r"(bytes), "r"((u32)isWanted) : "memory");
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, BLOCKS) attention(const __grid_constant__ AttentionArguments a) {
    extern __shared__ __align__(128) u8 memory[];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const int head = blockIdx.y, sequence = blockIdx.z, group = a.queryHeads / a.kvHeads;
    letNextBegin();
#if TOKENS == 1
    const int rowsEach = 1, slices = 1, slice = 0, turn = blockIdx.x;
#else
    // Blocks that take other rows of the same split run beside one another, so that keys and values come from memory once.
    const int rowsEach = a.rowsEach, slices = (group * rowsEach + ROWS - 1) / ROWS, slice = blockIdx.x % slices, turn = blockIdx.x / slices;
#endif
    const int column = sequence * rowsEach;  // of the sequence's first new token, whose table serves all of them
    // A lane has a block of the cache each, its part of this head: what is loaded for every tile would be waited for every time.
    const int perSplit = SPLIT_TOKENS / BLOCK_TOKENS, firstBlock = turn * a.each * perSplit;
    const u32 partOfLane = (lane < a.each * perSplit && firstBlock + lane < a.tableStride
        ? ((const int *)a.tables)[(u64)column * a.tableStride + firstBlock + lane] : 0) * a.kvHeads + head;
#if TOKENS == 1
    const int present = 1, oldest = ((const int *)a.positions)[column], position = oldest;
#else
    const int positionOfLane = lane < rowsEach ? ((const int *)a.positions)[column + lane] : -1;
    const int present = __popc(__ballot_sync(~0u, positionOfLane >= 0));
    const int oldest = __shfl_sync(~0u, positionOfLane, 0), position = oldest + present - 1;
#endif
    const int rows = min(ROWS, group * present - slice * ROWS);
    if (TOKENS > 1 && rows <= 0) return;
    const int inverse = TOKENS == 1 ? 0 : (65535 + group) / group;  // exact for 128 rows of 16 heads
    auto tokenOf = [&](int r) { return TOKENS == 1 ? 0 : (slice * ROWS + r) * inverse >> 16; };
    auto lowestOf = [&](int position) { return a.window ? max(0, position + 1 - a.window) : 0; };
    const int lowest = lowestOf(oldest);
    const int lowestSplit = lowest / SPLIT_TOKENS, lastSplit = position / SPLIT_TOKENS, active = lastSplit - lowestSplit + 1;
    const int from = max(turn * a.each, lowestSplit), to = min((turn + 1) * a.each - 1, lastSplit);  // splits
    if (from > to) return;
    // Blocks of the cache; the tiles of the first and the last may lie beyond what is attended to. All rows see all of the whole ones.
    const int first = max(from * perSplit, lowest / BLOCK_TOKENS), last = min((to + 1) * perSplit - 1, position / BLOCK_TOKENS);
    const int firstWhole = (lowestOf(position) + BLOCK_TOKENS - 1) / BLOCK_TOKENS, lastWhole = (oldest + 1) / BLOCK_TOKENS - 1;
    u8 *own = memory + warp * STAGES * STAGE;
    const u32 ring = sharedAddress(own);
    float *meeting = (float *)(memory + WARPS * STAGES * STAGE);  // [2 · UNITS][sum of a lane][lane]
    float *states = meeting + 2 * UNITS * MEETING;                // [2 · UNITS][maximum, total][row of 8]
    // As operands: [tile][D / 32][two products][lane][eight values]. Those of one tile go to registers, and sums meet in their place afterwards;
    // of a second tile there is no room for them beside its sums.
    u16 *queries = TILES == 1 ? (u16 *)meeting : (u16 *)(states + 2 * UNITS * 16);

    auto partOf = [&](int block) { return __shfl_sync(~0u, partOfLane, block - firstBlock); };  // a warp asks together
    // A tile is a run of bytes, of which a lane copies every thirty-second piece of sixteen.
    const int tokenOfLane = lane / PIECES;
    const u64 keysOfLane = a.keys + warp * SIDE + lane * 16, valuesOfLane = a.values + warp * SIDE + lane * 16;
#if KV_BYTES == 1
    const u64 scalesOfLane = (lane < 4 ? a.keyScales : a.valueScales) + warp * TILE * 4 + (lane & 3) * 16;
#endif
    auto copyTile = [&](int block, int slot) {
        const int reach = block <= last ? position - (block * BLOCK_TOKENS + warp * TILE) : -1;  // tokens beyond are zeros
        const u32 part = partOf(block), to = ring + slot * STAGE + lane * 16;
        const u64 keys = keysOfLane + (u64)part * (4 * SIDE), values = valuesOfLane + (u64)part * (4 * SIDE);
#pragma unroll
        for (int i = 0; i < SIDE / 512; i++) {
            const int t = i * (32 / PIECES) + tokenOfLane, bytes = t <= reach ? 16 : 0;
            copyAsync((to ^ KEY_TURN(t) << 4) + i * 512, (const void *)(keys + i * 512), bytes);
            copyAsync((to + SIDE ^ VALUE_TURN(t) << 4) + i * 512, (const void *)(values + i * 512), bytes);
        }
#if KV_BYTES == 1
        copyAsyncIf(lane < 8, to + 2 * SIDE, scalesOfLane + (u64)part * (BLOCK_TOKENS * 4), reach < 0 ? 0 : 16);
#endif
        commitCopies();
    };
    // Tiles that are complete do not wait for the new tokens.
    int early = 0;
    while (early < STAGES - 1 && (first + early) * BLOCK_TOKENS + (warp + 1) * TILE <= oldest) copyTile(first + early, early), early++;
    // What is loaded is asked for before anything is waited for: behind so many copies each wait takes microseconds.
    const int perWarp = 16 * TILES / WARPS, fresh = (2 * TOKENS + WARPS - 1) / WARPS;  // rows of a warp; its new keys, of even warps, or values
    const bool hasNew = position >= from * SPLIT_TOKENS && oldest < (to + 1) * SPLIT_TOKENS;
    Angles angles[perWarp], anglesNew[fresh];
    float norm[WIDTH], normNew[WIDTH];
    loadNorm(norm, a.queryNorm);
#pragma unroll
    for (int i = 0; i < perWarp; i++) {
        if (TOKENS > 1 || i == 0) angles[i].load(a, column + tokenOf(min(i * WARPS + warp, rows - 1)));
        else angles[i] = angles[0];
    }
    if (hasNew) {
        loadNorm(normNew, a.keyNorm);
#pragma unroll
        for (int i = 0; i < fresh; i++) anglesNew[i].load(a, column + min((i * WARPS + warp) / 2, present - 1));
    }
    waitForPrevious();

    auto load = [&](u16(&v)[WIDTH], int token, int at) {
        const u16 *from = (const u16 *)a.heads + (u64)(column + token) * a.stride + at * D + lane;
#pragma unroll
        for (int i = 0; i < WIDTH; i++) asm volatile("ld.global.cg.u16 %0, [%1];" : "=h"(v[i]) : "l"(from + 32 * i) : "memory");
    };
    u16 loaded[perWarp][WIDTH], loadedNew[fresh][WIDTH];
#pragma unroll
    for (int i = 0; i < perWarp; i++) {
        const int r = min(i * WARPS + warp, rows - 1), token = tokenOf(r);
        load(loaded[i], token, head * group + (slice * ROWS + r - token * group));
    }
    if (hasNew) {
#pragma unroll
        for (int i = 0; i < fresh; i++)
            load(loadedNew[i], min((i * WARPS + warp) / 2, present - 1), a.queryHeads + (warp & 1 ? a.kvHeads : 0) + head);
    }
#pragma unroll
    for (int i = 0; i < perWarp; i++) {
        const int r = i * WARPS + warp;
        float v[WIDTH];
#pragma unroll
        for (int j = 0; j < WIDTH; j++) v[j] = wide(loaded[i][j]);
        prepare(v, a.queryNorm != 0, norm, a.epsilon, angles[i]);
#pragma unroll
        for (int j = 0; j < WIDTH; j++) {
            // Sixteen dimensions of a row per 16-byte piece of the keys in fp8, eight in bfloat16.
#if KV_BYTES == 2
            const int chunk = j, piece = lane / 8;
#else
            const int chunk = (lane / 16 + 2 * j) / 4 * 2 + (lane / 8 & 1), piece = (lane / 16 + 2 * j) % 4;
#endif
            const int pair = lane % 8 / 2, at = ((r / 16 * (D / 32) + chunk) * 2 + pair / 2) * 32 + r % 8 * 4 + piece;
            queries[at * 8 + pair % 2 * 4 + r / 8 % 2 * 2 + lane % 2] = r < rows ? (u16)operand(v[j], 0.f) : 0;
        }
    }
    if (hasNew) {
#pragma unroll
        for (int i = 0; i < fresh; i++) {
            const int token = (i * WARPS + warp) / 2, at = oldest + token;
            if (token >= present || at < from * SPLIT_TOKENS || at >= (to + 1) * SPLIT_TOKENS) continue;
            float v[WIDTH];
#pragma unroll
            for (int j = 0; j < WIDTH; j++) v[j] = wide(loadedNew[i][j]);
            if (!(warp & 1)) prepare(v, a.keyNorm != 0, normNew, a.epsilon, anglesNew[i]);
            const u64 row = (u64)partOf(at / BLOCK_TOKENS) * BLOCK_TOKENS + at % BLOCK_TOKENS;
            append(v, warp & 1 ? a.values : a.keys, warp & 1 ? a.valueScales : a.keyScales, row);
        }
        __threadfence();
    }
    __syncthreads();
    for (; early < STAGES - 1; early++) copyTile(first + early, early);

    const u32 queriesOfLane = sharedAddress(queries) + lane * 16;
    uint4 query[D / 32][2];
#pragma unroll
    for (int i = 0; i < D / 32; i++)
#pragma unroll
        for (int o = 0; o < 2; o++) query[i][o] = loadShared(queriesOfLane + (i * 2 + o) * 512);
    auto queryOf = [&](int m, int i, int o) { return m == 0 ? query[i][o] : loadShared(queriesOfLane + ((m * (D / 32) + i) * 2 + o) * 512); };
    __syncthreads();  // what the queries stood in is used again
    float output[TILES][D / 8][4], most[UNITS] = {}, total[UNITS] = {};
    const float scale = a.scale * 1.44269504f;

    const int rowsOfAll = group * rowsEach;
    auto resultOf = [&](int r) {  // D values
        const int token = tokenOf(r);
        return (u16 *)a.output + ((u64)(column + token) * a.queryHeads + head * group + (slice * ROWS + r - token * group)) * D;
    };
    // What this warp has of a unit to another or with another's: whoever is first is the first of the sum.
    auto leave = [&](int u, int place) {
        float4 *to = (float4 *)(meeting + place * MEETING) + lane;
#pragma unroll
        for (int k = 0; k < D / 16; k++) to[k * 32] = ofUnit(output[u / HALVES], u % HALVES, k);
        if (q == 0) states[place * 16 + g] = most[u], states[place * 16 + 8 + g] = total[u];
    };
    auto sum = [&](bool isFirst, float own, float mine, float their, float theirs) {
        return isFirst ? __fmaf_rn(own, mine, __fmul_rn(their, theirs)) : __fmaf_rn(their, theirs, __fmul_rn(own, mine));
    };
    auto meet = [&](int u, int place, bool isFirst) {
        const float4 *from = (const float4 *)(meeting + place * MEETING) + lane;
        const float theirs = states[place * 16 + g], top = fmaxf(most[u], theirs);
        const float own = exp2f(most[u] - top), their = exp2f(theirs - top);
        most[u] = top;
        total[u] = sum(isFirst, own, total[u], their, states[place * 16 + 8 + g]);
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            const float4 v = from[k * 32];
            const float theirs[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float &mine = output[u / HALVES][2 * k + OF_FOUR(i)][2 * (u % HALVES) + IN_PAIR(i)];
                mine = sum(isFirst, own, mine, their, theirs[i]);
            }
        }
    };
    int read = 0, block = first;
    for (int split = from; split <= to; split++) {
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int i = 0; i < D / 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) output[m][i][j] = 0;
#pragma unroll
        for (int u = 0; u < UNITS; u++) most[u] = NOTHING, total[u] = 0;
        const int lastOfSplit = min(last, (split + 1) * perSplit - 1);
        for (; block <= lastOfSplit; block++) {
            copyTile(block + STAGES - 1, read == 0 ? STAGES - 1 : read - 1);
            waitForCopies<STAGES - 1>();
            __syncwarp();
            const u32 at = ring + read * STAGE;
#if KV_BYTES == 1
            const u8 *here = own + read * STAGE;
#endif
            read = read == STAGES - 1 ? 0 : read + 1;
            // A product is waited for by the next into the same sums: four sums, of which two are added in the end, are under way at once.
            float score[TILES][2][4], other[TILES][2][4];
#pragma unroll
            for (int m = 0; m < TILES; m++)
#pragma unroll
                for (int j = 0; j < 2; j++)
#pragma unroll
                    for (int i = 0; i < 4; i++) score[m][j][i] = other[m][j][i] = 0;
            const u32 keysAt = at + g * (D * KV_BYTES) + (q << 4 ^ KEY_TURN(g) << 4);
#if KV_BYTES == 2
#pragma unroll
            for (int i = 0; i < D / 32; i++) {
                const uint4 k0 = loadShared((keysAt ^ (i & 1) << 6) + (i >> 1) * 128);
                const uint4 k1 = loadShared((keysAt ^ (i & 1) << 6) + (i >> 1) * 128 + 8 * D * KV_BYTES);
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    const uint4 a0 = queryOf(m, i, 0), a1 = queryOf(m, i, 1);
                    multiply(score[m][0], a0.x, a0.y, a0.z, a0.w, k0.x, k0.y);
                    multiply(score[m][1], a0.x, a0.y, a0.z, a0.w, k1.x, k1.y);
                    multiply(other[m][0], a1.x, a1.y, a1.z, a1.w, k0.z, k0.w);
                    multiply(other[m][1], a1.x, a1.y, a1.z, a1.w, k1.z, k1.w);
                }
            }
#else
#pragma unroll
            for (int i = 0; i < D / 64; i++) {
                const uint4 k0 = loadShared(keysAt ^ i << 6), k1 = loadShared((keysAt ^ i << 6) + 8 * D * KV_BYTES);
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const uint2 w0 = widened(half ? k0.z : k0.x), w1 = widened(half ? k1.z : k1.x);
                    const uint2 w2 = widened(half ? k0.w : k0.y), w3 = widened(half ? k1.w : k1.y);
#pragma unroll
                    for (int m = 0; m < TILES; m++) {
                        const uint4 a0 = queryOf(m, 2 * i + half, 0), a1 = queryOf(m, 2 * i + half, 1);
                        product(score[m][0], a0.x, a0.y, a0.z, a0.w, w0.x, w0.y);
                        product(score[m][1], a0.x, a0.y, a0.z, a0.w, w1.x, w1.y);
                        product(other[m][0], a1.x, a1.y, a1.z, a1.w, w2.x, w2.y);
                        product(other[m][1], a1.x, a1.y, a1.z, a1.w, w3.x, w3.y);
                    }
                }
            }
#endif
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
#if KV_BYTES == 1
                    const float keyScale = ((const float *)(here + 2 * SIDE))[j * 8 + 2 * q + i];
#endif
#pragma unroll
                    for (int u = 0; u < UNITS; u++) {
                        float &s = score[u / HALVES][j][2 * (u % HALVES) + i];
                        s = __fadd_rn(s, other[u / HALVES][j][2 * (u % HALVES) + i]);
#if KV_BYTES == 1
                        s = __fmul_rn(s, keyScale);
#endif
                        s = __fmul_rn(s, scale);
                    }
                }
            if (block < firstWhole || block > lastWhole) {
#pragma unroll
                for (int u = 0; u < UNITS; u++) {
                    const int seen = oldest + tokenOf(u * 8 + g), lowestSeen = lowestOf(seen);
#pragma unroll
                    for (int j = 0; j < 2; j++)
#pragma unroll
                        for (int i = 0; i < 2; i++) {
                            const int at = block * BLOCK_TOKENS + warp * TILE + j * 8 + 2 * q + i;
                            if (at < lowestSeen || at > seen) score[u / HALVES][j][2 * (u % HALVES) + i] = UNSEEN;
                        }
                }
            }
            float above[UNITS], shrink[UNITS];
#pragma unroll
            for (int u = 0; u < UNITS; u++) {
                const int m = u / HALVES, i = 2 * (u % HALVES);
                above[u] = fmaxf(fmaxf(score[m][0][i], score[m][0][i + 1]), fmaxf(score[m][1][i], score[m][1][i + 1]));
            }
#pragma unroll
            for (int u = 0; u < UNITS; u++) above[u] = fmaxf(above[u], __shfl_xor_sync(~0u, above[u], 1));
#pragma unroll
            for (int u = 0; u < UNITS; u++) {
                above[u] = fmaxf(fmaxf(above[u], __shfl_xor_sync(~0u, above[u], 2)), most[u]);
                shrink[u] = exp2f(most[u] - above[u]);  // most tiles of a short split have something larger
                most[u] = above[u];
                total[u] = __fmul_rn(total[u], shrink[u]);
            }
#pragma unroll
            for (int u = 0; u < UNITS; u++)
#pragma unroll
                for (int i = 0; i < D / 8; i++)
#pragma unroll
                    for (int j = 2 * (u % HALVES); j < 2 * (u % HALVES) + 2; j++)
                        output[u / HALVES][i][j] = __fmul_rn(output[u / HALVES][i][j], shrink[u]);
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
#if KV_BYTES == 1
                    const float valueScale = ((const float *)(here + 2 * SIDE))[16 + j * 8 + 2 * q + i];
#endif
#pragma unroll
                    for (int u = 0; u < UNITS; u++) {
                        float &s = score[u / HALVES][j][2 * (u % HALVES) + i];
                        s = shareOf(__fsub_rn(s, most[u]));
                        total[u] = __fadd_rn(total[u], s);
#if KV_BYTES == 1
                        s = __fmul_rn(s, valueScale);
#endif
                    }
                }
            u32 shares[TILES][4];
#pragma unroll
            for (int m = 0; m < TILES; m++)
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    shares[m][2 * j] = operand(score[m][j][0], score[m][j][1]);
                    shares[m][2 * j + 1] = HALVES == 2 ? operand(score[m][j][2], score[m][j][3]) : 0;
                }
            // Transposed by eights: of two neighbouring bytes in fp8, which are those of an even and an odd dimension.
            const int t = (lane & 7) + (lane & 8);
            const u32 valuesAt = at + SIDE + t * (D * KV_BYTES) + ((lane >> 4) << 4 ^ VALUE_TURN(t) << 4);
#pragma unroll
            for (int i = 0; i < PIECES / 2; i++) {
                const int turn = PIECES == 4 ? i & 1 : i & 3;
                u32 b0, b1, b2, b3;
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                             : "=r"(b0), "=r"(b1), "=r"(b2), "=r"(b3)
                             : "r"((valuesAt ^ turn << 5) + (i - turn) * 32)
                             : "memory");
#if KV_BYTES == 2
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    const u32(&p)[4] = shares[m];
                    product(output[m][2 * i], p[0], p[1], p[2], p[3], b0, b1);
                    product(output[m][2 * i + 1], p[0], p[1], p[2], p[3], b2, b3);
                }
#else
                const uint2 w0 = widened(__byte_perm(b0, 0, 0x3120)), w1 = widened(__byte_perm(b1, 0, 0x3120));
                const uint2 w2 = widened(__byte_perm(b2, 0, 0x3120)), w3 = widened(__byte_perm(b3, 0, 0x3120));
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    const u32(&p)[4] = shares[m];
                    product(output[m][4 * i], p[0], p[1], p[2], p[3], w0.x, w1.x);
                    product(output[m][4 * i + 1], p[0], p[1], p[2], p[3], w0.y, w1.y);
                    product(output[m][4 * i + 2], p[0], p[1], p[2], p[3], w2.x, w3.x);
                    product(output[m][4 * i + 3], p[0], p[1], p[2], p[3], w2.y, w3.y);
                }
#endif
            }
            __syncwarp();
        }

        // The end of a split: of a unit's four parts those of warps 0 and 2, and of 1 and 3, are added, then both sums, by as many warps
        // at a time as there are units: `takerOf` is the warp that has the unit in the end.
        auto takerOf = [&](int u) { return u * (WARPS / UNITS); };
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            total[u] = __fadd_rn(total[u], __shfl_xor_sync(~0u, total[u], 1));
            total[u] = __fadd_rn(total[u], __shfl_xor_sync(~0u, total[u], 2));
        }
        __syncthreads();
#pragma unroll
        for (int u = 0; u < UNITS; u++)
            if ((takerOf(u) ^ warp) & 2) leave(u, 2 * u + (warp & 1));
        __syncthreads();
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            if ((takerOf(u) ^ warp) & 2) continue;
            meet(u, 2 * u + (warp & 1), !(takerOf(u) & 2));
            __syncwarp();
            if (warp != takerOf(u)) leave(u, 2 * u + (warp & 1));
        }
        __syncthreads();
        // Addresses are not kept in registers while tiles are read.
        int part = sequence * a.kvHeads + head;
        asm volatile("" : "+r"(part));
        float *partial = (float *)a.partial + (u64)part * a.splits * rowsOfAll * (D + 4) + slice * ROWS * D;
        float *levels = (float *)a.partial + (u64)part * a.splits * rowsOfAll * (D + 4) + (u64)a.splits * rowsOfAll * D + slice * ROWS * 2;
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            if (warp != takerOf(u)) continue;
            meet(u, 2 * u + 1 - (takerOf(u) & 1), !(takerOf(u) & 1));
            const int r = u * 8 + g;
            if (r >= rows) continue;
            const u64 place = (u64)(split - lowestSplit) * rowsOfAll + r;
            if (active == 1) {
                const float scale = 1 / total[u];
                u16 *result = resultOf(r);
#pragma unroll
                for (int k = 0; k < D / 16; k++) storeResult(result, k * 4 + q, ofUnit(output[u / HALVES], u % HALVES, k), scale);
            } else {
                if (q == 0) ((float2 *)levels)[place] = make_float2(most[u], total[u]);
#pragma unroll
                for (int k = 0; k < D / 16; k++) ((float4 *)(partial + place * D))[k * 4 + q] = ofUnit(output[u / HALVES], u % HALVES, k);
            }
        }
    }
    waitForCopies<0>();
    if (active == 1) return;
    __shared__ int arrived;
    const u64 whole = (u64)sequence * a.kvHeads + head;
    const float *partial = (const float *)a.partial + whole * a.splits * rowsOfAll * (D + 4) + slice * ROWS * D;
    const float *levels = (const float *)a.partial + whole * a.splits * rowsOfAll * (D + 4) + (u64)a.splits * rowsOfAll * D + slice * ROWS * 2;
    int *counter = (int *)a.counters + whole * slices + slice;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        arrived = atomicAdd(counter, to - from + 1);
        __threadfence();
    }
    __syncthreads();
    if (arrived + to - from + 1 != active) return;
    // A row's own splits, in their order: those of which it sees nothing are not its.
    auto firstSplitOf = [&](int r) { return TOKENS == 1 ? 0 : lowestOf(oldest + tokenOf(r)) / SPLIT_TOKENS - lowestSplit; };
    auto endOf = [&](int r) { return TOKENS == 1 ? active : (oldest + tokenOf(r)) / SPLIT_TOKENS - lowestSplit + 1; };
    float *weights = (float *)memory;  // [split][row], of as many rows as there is room for; below zero where a split is not the row's
    const int atOnce = min(ROWS, (WARPS * STAGES * STAGE / 4 + 2 * UNITS * MEETING) / active);
    for (int start = 0; start < rows; start += atOnce) {
        // Weights of the splits first, so that what follows are loads that do not wait for one another.
        const int count = min(atOnce, rows - start);
        float2 level[ROWS / WARPS];
        auto levelOf = [&](int r, int s) {  // of the s-th split of a row's own
            const int split = firstSplitOf(start + r) + s;
            return r < count && split < endOf(start + r) ? loadFresh((const float2 *)levels + (u64)split * rowsOfAll + start + r)
                                                         : make_float2(NOTHING, 0);
        };
#pragma unroll
        for (int i = 0; i < ROWS / WARPS; i++) level[i] = levelOf(i * WARPS + warp, lane);
#pragma unroll
        for (int i = 0; i < ROWS / WARPS; i++) {
            const int r = i * WARPS + warp;
            float top = level[i].x, sum = 0;
#pragma unroll 1
            for (int s = lane + 32; s < active; s += 32) top = fmaxf(top, levelOf(r, s).x);
#pragma unroll
            for (int distance = 16; distance; distance >>= 1) top = fmaxf(top, __shfl_xor_sync(~0u, top, distance));
            const int firstSplit = firstSplitOf(start + r), own = endOf(start + r) - firstSplit;
#pragma unroll 1
            for (int s = lane; s < own && r < count; s += 32) {
                const float2 here = s == lane ? level[i] : levelOf(r, s);
                const float weight = exp2f(here.x - top);
                weights[(firstSplit + s) * atOnce + r] = weight;
                sum = __fmaf_rn(weight, here.y, sum);
            }
            sum = sumOverWarp(sum);
            if (lane == 0) states[r] = 1 / sum;
        }
        __syncthreads();
        // Two columns at a time, of which each has four values.
        const int columns = count * (D / 4), step = WARPS * 32;
        for (int index = threadIdx.x; index < columns; index += 2 * step) {
            float y[2][4] = {};
            int at[2], r[2], firstSplit[2], end[2];
#pragma unroll
            for (int c = 0; c < 2; c++) {
                at[c] = min(index + c * step, columns - 1), r[c] = at[c] / (D / 4);
                firstSplit[c] = firstSplitOf(start + r[c]), end[c] = endOf(start + r[c]);
            }
            const float4 *from = (const float4 *)(partial + start * D);
            const int batch = BLOCKS > 2 ? 8 : 16;  // as there are registers
            for (int s = 0; s < active; s += batch) {
                uint4 v[batch][2];
#pragma unroll
                for (int i = 0; i < batch; i++)
#pragma unroll
                    for (int c = 0; c < 2; c++) v[i][c] = loadFresh((const void *)(from + (u64)min(s + i, active - 1) * rowsOfAll * (D / 4) + at[c]));
#pragma unroll
                for (int i = 0; i < batch; i++)
#pragma unroll
                    for (int c = 0; c < 2; c++) {
                        if (s + i < firstSplit[c] || s + i >= end[c]) continue;
                        const float weight = weights[(s + i) * atOnce + r[c]];
                        y[c][0] = __fmaf_rn(weight, __uint_as_float(v[i][c].x), y[c][0]), y[c][1] = __fmaf_rn(weight, __uint_as_float(v[i][c].y), y[c][1]);
                        y[c][2] = __fmaf_rn(weight, __uint_as_float(v[i][c].z), y[c][2]), y[c][3] = __fmaf_rn(weight, __uint_as_float(v[i][c].w), y[c][3]);
                    }
            }
#pragma unroll
            for (int c = 0; c < 2; c++)
                if (index + c * step < columns)
                    storeResult(resultOf(start + r[c]), (index + c * step) % (D / 4), make_float4(y[c][0], y[c][1], y[c][2], y[c][3]), states[r[c]]);
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) *counter = 0;
}
