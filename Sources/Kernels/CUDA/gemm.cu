// y = x · Wᵀ for many columns of x (compute capability 9.0): tensor cores read both from shared memory, which copy engines fill.
//
// A thread block takes units of work in turn: a tile of rows of W, or a part of its sums. One warp asks for chunks of 64 terms of both
// operands, as far ahead as there is room; two warpgroups multiply, x as the operand of 64 rows. Sums have the order of `linear`: every
// eighth chunk belongs to one of eight slices, and those are added by `sumOfSlices`. So a column has the same bits in either kernel. Where
// several blocks share a tile's slices, the one that ends last adds. Rows of all but floats are even in number.
#ifndef COLUMNS
#define COLUMNS 64  // of x in a tile: 64 or 128
#define ROWS 40     // of W that a warpgroup multiplies at a time
#define STEP 40     // of those in one instruction
#define STAGES 8
#define PAIRING UNPAIRED
#define BLOCKS_OF_COLUMNS 1
#endif
#define GROUPS 2                                      // of warps that multiply
#define SIDES (PAIRING == PAIRED_APART ? 2 : 1)       // of a pair, one behind the other
#define BOX (PAIRING == PAIRED ? ROWS / 2 : ROWS)     // rows of a copy
#define SPREAD (COLUMNS == 64 ? GROUPS : 1)           // groups that have rows of their own; they share the columns otherwise
#define INPUT_BYTES (COLUMNS * 128)
#define WEIGHT_BYTES (SPREAD * ROWS * 128)
#define STAGE (INPUT_BYTES + WEIGHT_BYTES)
#define SUMS (ROWS / 2)                               // of a thread

// Sums of a warp's lane: rows g and g + 8 of x, pairs of rows of W.
#define FOUR(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define MULTIPLY(N, REGISTERS, A, B, C, ...)                                                                              \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, " C ", 0; wgmma.mma_async.sync.aligned.m64n" #N                           \
                 "k16.f32.bf16.bf16 {" REGISTERS "}, " A ", " B ", p, 1, 1, 0, 0; }"                                      \
                 : __VA_ARGS__ : "l"(x), "l"(w), "r"(adds))
/// d += x · wᵀ of 64 · STEP · 16, by descriptors of shared memory; d = x · wᵀ where it does not add.
__device__ __forceinline__ void multiplyTile(float *d, u64 x, u64 w, int adds) {
#if STEP == 8
    MULTIPLY(8, "%0,%1,%2,%3", "%4", "%5", "%6", FOUR(d, 0));
#elif STEP == 16
    MULTIPLY(16, "%0,%1,%2,%3,%4,%5,%6,%7", "%8", "%9", "%10", FOUR(d, 0), FOUR(d, 4));
#elif STEP == 24
    MULTIPLY(24, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11", "%12", "%13", "%14", FOUR(d, 0), FOUR(d, 4), FOUR(d, 8));
#elif STEP == 32
    MULTIPLY(32, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15", "%16", "%17", "%18", FOUR(d, 0), FOUR(d, 4), FOUR(d, 8), FOUR(d, 12));
#elif STEP == 40
    MULTIPLY(40, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19", "%20", "%21", "%22", FOUR(d, 0), FOUR(d, 4), FOUR(d, 8),
             FOUR(d, 12), FOUR(d, 16));
#elif STEP == 48
    MULTIPLY(48, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23", "%24", "%25", "%26", FOUR(d, 0), FOUR(d, 4),
             FOUR(d, 8), FOUR(d, 12), FOUR(d, 16), FOUR(d, 20));
#elif STEP == 56
    MULTIPLY(56, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27", "%28", "%29", "%30", FOUR(d, 0), FOUR(d, 4), FOUR(d, 8), FOUR(d, 12), FOUR(d, 16), FOUR(d, 20), FOUR(d, 24));
#elif STEP == 64
    MULTIPLY(64, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31", "%32", "%33", "%34", FOUR(d, 0), FOUR(d, 4), FOUR(d, 8), FOUR(d, 12), FOUR(d, 16), FOUR(d, 20), FOUR(d, 24), FOUR(d, 28));
#else
#error "no instruction for so many rows"
#endif
}
__device__ __forceinline__ void beginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commitProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int count>
__device__ __forceinline__ void waitForProducts() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(count) : "memory"); }
/// Rows of 128 bytes whose pieces are exchanged by row, as copies by tensor maps lay them down.
__device__ __forceinline__ u64 describe(u32 address) { return (u64)(address >> 4) | (u64)64 << 32 | (u64)1 << 62; }
/// The warps that multiply wait for one another.
__device__ __forceinline__ void meet() { asm volatile("bar.sync 1, 256;" ::: "memory"); }

extern "C" __global__ void __launch_bounds__(384, 1) gemm(const __grid_constant__ GemmArguments a) {
    extern __shared__ __align__(1024) u8 dynamic[];
    const u32 memory = (sharedAddress(dynamic) + 1023) & ~1023u;
    __shared__ __align__(8) u64 barriers[2 * STAGES + 1];
    __shared__ float scales[COLUMNS * BLOCKS_OF_COLUMNS];
    __shared__ double meeting[GROUPS][64];
    __shared__ int isLast;
    const u32 full = sharedAddress(barriers), empty = full + STAGES * 8, scaled = empty + STAGES * 8;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) makeBarrier(full + i * 8, 1), makeBarrier(empty + i * 8, GROUPS * 4);
        makeBarrier(scaled, 96);
    }
    __syncthreads();
    letNextBegin();
    const int4 *units = (const int4 *)a.units + blockIdx.x * a.unitsEach;

    if (warp < 4) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (warp > 0) {
            // What each column is normalised by.
            waitForPrevious();
            for (int column = warp - 1; column < a.columns; column += 3) {
                double sum = 0;
                if (a.sums)
#pragma unroll
                    for (int i = 0; i < SLOTS / 32; i++)
                        sum += i * 32 + lane < a.slots ? loadFresh((const double *)a.sums + column * SLOTS + i * 32 + lane) : 0;
                sum = sumOverWarp(sum);
                if (lane == 0) scales[column] = a.sums ? rsqrtf((float)sum * a.inverseWidth + a.epsilon) : 1;
            }
            arrive(scaled);
        } else if (lane == 0) {
            // A walk over the chunks of all units in the order in which they are multiplied.
            struct Walk {
                const GemmArguments &a;
                const int4 *units;
                int4 unit;
                int number = 0, side = 0, slice, chunk, chunks;
                __device__ Walk(const GemmArguments &a, const int4 *units) : a(a), units(units), unit(units[0]) {
                    begin();
                    advance();
                }
                __device__ bool isOver() const { return unit.w >> 8 == 0; }
                __device__ int part() const { return SIDES == 2 ? side : unit.x; }
                __device__ void begin() {
                    chunks = (a.part[part()].n + 63) / 64;
                    slice = (unit.w & 255) * 2;
                    chunk = slice - 8;
                }
                __device__ void advance() {
                    for (;;) {
                        chunk += 8;
                        if (chunk < chunks || isOver()) return;
                        if (++slice < ((unit.w & 255) + (unit.w >> 8)) * 2) {
                            chunk = slice - 8;
                            continue;
                        }
                        if (++side == SIDES) {
                            side = 0;
                            number++;
                            unit = number < a.unitsEach ? units[number] : make_int4(0, 0, 0, 0);
                        }
                        begin();
                    }
                }
            };
            auto copyWeights = [&](const Walk &walk, u32 to, u32 barrier) {
                expectBytes(barrier, WEIGHT_BYTES + a.columnsEach * 128);
                const int row = walk.unit.y;
#pragma unroll
                for (int group = 0; group < SPREAD; group++) {
                    const u32 own = to + INPUT_BYTES + group * ROWS * 128;
                    copyBox(own, (u64)a.weights[walk.part()], walk.chunk * 64, row + group * BOX, barrier);
                    if (PAIRING == PAIRED) copyBox(own + BOX * 128, (u64)a.weights[1], walk.chunk * 64, row + group * BOX, barrier);
                }
            };
            auto copyInputs = [&](const Walk &walk, u32 to, u32 barrier) {
                copyBox(to, (u64)a.inputs[PAIRING == PAIRED ? 0 : walk.part()], walk.chunk * 64, (walk.unit.z >> 16) * a.columnsEach, barrier);
            };
            Walk weights(a, units), inputs(a, units);
            int early = 0;
            for (; early < STAGES && !weights.isOver(); early++, weights.advance()) copyWeights(weights, memory + early * STAGE, full + early * 8);
            for (int i = 0; i < 3; i++) asm volatile("prefetch.tensormap [%0];" ::"l"(a.inputs[i]) : "memory");
            waitForPrevious();
            for (int i = 0; i < early; i++, inputs.advance()) copyInputs(inputs, memory + i * STAGE, full + i * 8);
            int stage = 0;
            u32 parity = 0;
            for (; !weights.isOver(); weights.advance()) {
                waitForBarrier(empty + stage * 8, parity);
                copyWeights(weights, memory + stage * STAGE, full + stage * 8);
                copyInputs(weights, memory + stage * STAGE, full + stage * 8);
                if (++stage == STAGES) stage = 0, parity ^= 1;
            }
        }
        return;
    }

    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    waitForPrevious();
    const int group = (warp >> 2) - 1, g = lane >> 2, q = lane & 3, thread = threadIdx.x - 128;
    const u32 ownInput = memory + (SPREAD == 1 ? group * 64 * 128 : 0), ownWeights = memory + INPUT_BYTES + (SPREAD == 1 ? 0 : group * ROWS * 128);
    int stage = 0, held = -1;
    u32 parity = 0;
    bool isScaled = false;
    for (int number = 0; number < a.unitsEach; number++) {
        const int4 unit = units[number];
        const int first = unit.w & 255, count = unit.w >> 8, tile = unit.z & 0xffff, block = unit.z >> 16;
        if (count == 0) break;
        float *const shared = (float *)a.partial + ((u64)(tile * BLOCKS_OF_COLUMNS + block) * 4 * SIDES * SUMS * 256 + thread * 4);
        float total[SIDES][SUMS];
#pragma unroll
        for (int side = 0; side < SIDES; side++) {
            const int chunks = (a.part[SIDES == 2 ? side : unit.x].n + 63) / 64;
            auto multiplySlice = [&](float (&sums)[SUMS], int slice) {
                for (int chunk = slice; chunk < chunks; chunk += 8) {
                    waitForBarrier(full + stage * 8, parity);
                    beginProducts();
#pragma unroll
                    for (int k = 0; k < 4; k++)
#pragma unroll
                        for (int step = 0; step < ROWS / STEP; step++)
                            multiplyTile(sums + step * STEP / 2, describe(ownInput + stage * STAGE + k * 32),
                                         describe(ownWeights + stage * STAGE + step * STEP * 128 + k * 32), k > 0 || chunk > slice);
                    commitProducts();
                    // Those of the chunk before are over.
                    waitForProducts<1>();
                    if (held >= 0 && lane == 0) arrive(empty + held * 8);
                    held = stage;
                    if (++stage == STAGES) stage = 0, parity ^= 1;
                }
            };
            for (int quarter = first; quarter < first + count; quarter++) {
                float even[SUMS], odd[SUMS];
                multiplySlice(even, 2 * quarter);
                multiplySlice(odd, 2 * quarter + 1);
                waitForProducts<0>();
                if (held >= 0 && lane == 0) arrive(empty + held * 8);
                held = -1;
                const bool isEven = 2 * quarter < chunks, isOdd = 2 * quarter + 1 < chunks;
#pragma unroll
                for (int i = 0; i < SUMS; i++) even[i] = (isEven ? even[i] : 0) + (isOdd ? odd[i] : 0);
                if (count == 4) {
#pragma unroll
                    for (int i = 0; i < SUMS; i++) total[side][i] = quarter == 0 ? even[i] : total[side][i] + even[i];
                } else {
#pragma unroll
                    for (int i = 0; i < SUMS; i += 4)
                        *(float4 *)(shared + ((quarter * SIDES + side) * SUMS + i) * 256) = make_float4(even[i], even[i + 1], even[i + 2], even[i + 3]);
                }
            }
        }
        if (count < 4) {
            __threadfence();
            meet();
            int *counter = (int *)a.counters + tile * BLOCKS_OF_COLUMNS + block;
            if (thread == 0) {
                isLast = atomicAdd(counter, count) + count == 4;
                if (isLast) *counter = 0;
            }
            meet();
            if (!isLast) continue;
            __threadfence();
#pragma unroll
            for (int side = 0; side < SIDES; side++)
#pragma unroll
                for (int i = 0; i < SUMS; i += 4) {
                    float4 v[4];
#pragma unroll
                    for (int quarter = 0; quarter < 4; quarter++) {
                        const uint4 bits = loadFresh((const void *)(shared + ((quarter * SIDES + side) * SUMS + i) * 256));
                        v[quarter] = make_float4(__uint_as_float(bits.x), __uint_as_float(bits.y), __uint_as_float(bits.z), __uint_as_float(bits.w));
                    }
                    total[side][i] = ((v[0].x + v[1].x) + v[2].x) + v[3].x;
                    total[side][i + 1] = ((v[0].y + v[1].y) + v[2].y) + v[3].y;
                    total[side][i + 2] = ((v[0].z + v[1].z) + v[2].z) + v[3].z;
                    total[side][i + 3] = ((v[0].w + v[1].w) + v[2].w) + v[3].w;
                }
        }
        if (!isScaled) waitForBarrier(scaled, 0);
        isScaled = true;

        const LinearPart &part = a.part[PAIRING == UNPAIRED ? unit.x : 0];
        const int tileRow = unit.y + (SPREAD == 1 ? 0 : group * BOX), rows = a.rows[PAIRING == UNPAIRED ? unit.x : 0];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int own = (SPREAD == 1 ? group * 64 : 0) + (warp & 3) * 16 + half * 8 + g, column = block * a.columnsEach + own;
            const bool isColumn = own < a.columnsEach && column < a.columns;
            const float scale = isColumn ? scales[column] : 0;
            double square = 0;
            float2 before[PAIRING == UNPAIRED ? ROWS / 8 : 1];
            if (PAIRING == UNPAIRED && a.output == ADDED)
#pragma unroll
                for (int j = 0; j < ROWS / 8; j++) {
                    const int row = tileRow + j * 8 + q * 2;
                    before[j] = isColumn && row < rows ? *(const float2 *)((const float *)a.residual + (u64)column * a.ldy + row) : make_float2(0, 0);
                }
#pragma unroll
            for (int j = 0; j < (PAIRING == PAIRED ? ROWS / 16 : ROWS / 8); j++) {
                const int row = tileRow + j * 8 + q * 2;
                const bool isThere = isColumn && row < rows;
                const u64 spot = (u64)column * a.ldy + row;
                float y0 = total[0][4 * j + 2 * half] * scale, y1 = total[0][4 * j + 2 * half + 1] * scale;
                if (PAIRING != UNPAIRED) {
                    const float up0 = total[SIDES - 1][(PAIRING == PAIRED ? ROWS / 4 : 0) + 4 * j + 2 * half] * scale;
                    const float up1 = total[SIDES - 1][(PAIRING == PAIRED ? ROWS / 4 : 0) + 4 * j + 2 * half + 1] * scale;
                    y0 = y0 / (1 + __expf(-y0)) * up0, y1 = y1 / (1 + __expf(-y1)) * up1;
                    if (isThere) *(u32 *)((u16 *)part.y + spot) = packed(y0, y1);
                    continue;
                }
                if (isThere && part.bias) {
                    const u32 bias = *(const u32 *)((const u16 *)part.bias + row);
                    y0 += low(bias), y1 += high(bias);
                }
                if (a.output == ROUNDED) {
                    if (isThere) *(u32 *)((u16 *)part.y + spot) = packed(y0, y1);
                } else if (a.output == FLOATS) {
                    // Rows of a vocabulary may be odd in number.
                    if (isThere) ((float *)part.y)[spot] = y0;
                    if (isThere && row + 1 < rows) ((float *)part.y)[spot + 1] = y1;
                } else if (isThere) {
                    const u32 gain = __ldg((const u32 *)((const u16 *)a.gain + row));
                    const float sum0 = before[j].x + y0, sum1 = before[j].y + y1;
                    *(float2 *)((float *)a.residual + spot) = make_float2(sum0, sum1);
                    *(u32 *)((u16 *)a.normalized + spot) = packed(sum0 * low(gain), sum1 * high(gain));
                    square += (double)sum0 * sum0 + (double)sum1 * sum1;
                }
            }
            if (PAIRING == UNPAIRED && a.output == ADDED) {
                square += __shfl_xor_sync(~0u, square, 1);
                square += __shfl_xor_sync(~0u, square, 2);
                if (SPREAD == 1) {
                    if (q == 0 && isColumn) ((double *)a.squares)[column * SLOTS + tile] = square;
                } else if (q == 0) {
                    meeting[group][own] = square;
                }
            }
        }
        if (PAIRING == UNPAIRED && a.output == ADDED) {
            if (SPREAD > 1) {
                meet();
                const int column = block * a.columnsEach + thread;
                if (thread < a.columnsEach && column < a.columns) ((double *)a.squares)[column * SLOTS + tile] = meeting[0][thread] + meeting[1][thread];
                meet();
            }
            // What reads them adds as many as there are thread blocks.
            if (tile == 0)
                for (int i = thread; i < a.columnsEach * SLOTS; i += 256) {
                    const int column = block * a.columnsEach + i / SLOTS, slot = i % SLOTS;
                    if (slot >= a.tiles && slot < a.slotsWritten && column < a.columns) ((double *)a.squares)[column * SLOTS + slot] = 0;
                }
        }
    }
}
