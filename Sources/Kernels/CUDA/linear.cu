// y = x · Wᵀ for a few columns of x: bound by the bytes of W, which stream through shared memory once.
//
// One thread block per multiprocessor, which owns rows of W. Its eight warps share out the sum over k in chunks of 64; each has a ring of
// tiles (sixteen rows of a chunk) in shared memory, which copies fill far ahead, and another of x, which boxes of a tensor map fill. They
// multiply by tensor cores, W as the operand of sixteen rows. A load that is waited for takes longer than the copies run ahead, so what is
// needed behind the products is asked for before them. Warps' sums are added in a fixed order: a column's result depends on no other column,
// nor on their number.
#ifndef COLUMNS
#define COLUMNS 8  // of x at most
#define STAGES 7   // tiles in a ring
#define INPUTS 7   // chunks of x in a ring
#define EARLY 3    // tiles that are asked for before the first of x
#define TILES 4    // of rows in a pass, an even number
#define UNIT 1     // tiles of columns whose sums meet at once
#define WEIGHT 2   // bytes of a weight: 2, bfloat16; 1, int8 or e4m3
#define IS_FLOAT 1 // e4m3
#endif
#define WARPS 8
#define TILE 2048                 // bytes
#define PIECE (16 / WEIGHT)       // weights that a lane copies at once
#define TERMS (8 * PIECE)         // of a chunk
#define CHUNK (COLUMNS * TERMS * 2)  // bytes of x
#define NT ((COLUMNS + 7) / 8)    // tiles of eight columns
// Sixteen-byte pieces of a row stand at other places, so that those that are read at once are in different banks: with two bytes a weight the
// same piece of eight rows, with one four pieces of two.
#define SWIZZLE(row) (WEIGHT == 2 ? (row) & 7 : ((row) & 1) << 2)
#define MEETING (UNIT * WARPS * 8 * 36)  // floats
#define BOXES (__CUDA_ARCH__ >= 900)     // x by tensor map
// The eighth of a sum that a warp takes in a pass, or on one side of a twin's: another each time, for some have a chunk more than others.
#define SLICE(pass, side) ((warp + 3 * (twin ? 2 * (pass) + (side) : (pass))) & (WARPS - 1))

extern "C" __global__ void __launch_bounds__(WARPS * 32, 1) linear(const __grid_constant__ LinearArguments a) {
    extern __shared__ __align__(1024) u8 dynamic[];
    // Boxes are swizzled by their addresses in kilobytes.
    u8 *memory = dynamic + (-sharedAddress(dynamic) & 1023);
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const u32 inputs = sharedAddress(memory) + warp * INPUTS * CHUNK, ring = sharedAddress(memory) + WARPS * INPUTS * CHUNK + warp * STAGES * TILE;
    float *sums = (float *)(memory + WARPS * (INPUTS * CHUNK + STAGES * TILE));  // [two in turn][tile of columns][warp][column of 8][row of 32, padded to 36]
    __shared__ int4 passes[PASSES + 1];
    __shared__ float scales[COLUMNS];
    __shared__ double squares[COLUMNS];
    const bool twin = a.pairing == PAIRED_APART;
    const int tileRows = a.pairing == PAIRED ? 8 : 16, third = a.pairing == PAIRED ? 0 : 8;
    const int piece = lane & 7, laneRow = lane >> 3;
    const u32 place = laneRow * 128 + ((piece ^ SWIZZLE(laneRow)) << 4), fourOn = SWIZZLE(4) << 4;

    for (int i = threadIdx.x; i <= a.passesEach; i += WARPS * 32)
        passes[i] = i < a.passesEach ? ((const int4 *)a.passes)[blockIdx.x * a.passesEach + i] : make_int4(0, 0, 0, 0);
#if BOXES
    __shared__ __align__(8) u64 barriers[WARPS][INPUTS];  // a chunk is there
    const u32 there = sharedAddress(barriers[warp]);
    if (lane < INPUTS) makeBarrier(there + lane * 8, 1);
#endif
    __syncthreads();

    // Where the copies of weights are: pass, side of a pair, chunk, tile. A lane copies a piece of four rows of each tile, the third and
    // fourth of which are those of `up` where gate and up alternate.
    int pass = -1, side = 1, tilesLeft = 0, rowsLeft = 0, termsLeft = 0, tiles = 0, rows = 0;
    u64 from = 0, fromThird = 0, fourRows = 0, tileStep = 0;
    u32 to = 0;
#if !BOXES
    int chunks = 0;  // of x, that the weights copied so far need
#endif
    auto enter = [&]() {  // the next part that has a chunk for this warp
        do {
            if (twin && side == 0) {
                side = 1;
            } else {
                side = 0;
                pass++;
            }
            const int4 work = passes[pass];
            rows = work.z;
            if (rows == 0) return;
            const LinearPart &part = a.part[twin ? side : work.x];
            const int slice = SLICE(pass, side);
            const u64 offset = ((u64)(work.y + laneRow) * part.ldw + slice * TERMS + piece * PIECE) * WEIGHT;
            from = part.w + offset;
            fromThird = a.pairing == PAIRED ? a.part[1].w + offset : from + (u64)part.ldw * 8 * WEIGHT;
            fourRows = (u64)part.ldw * 4 * WEIGHT;
            tileStep = (u64)part.ldw * WEIGHT * tileRows;
            termsLeft = part.n - slice * TERMS;
            tiles = tilesLeft = (rows + tileRows - 1) / tileRows;
            rowsLeft = rows - laneRow;
        } while (termsLeft <= 0);
    };
    auto copyTile = [&]() {
        if (rows == 0) return;
        const int bytes = piece * PIECE < termsLeft ? 16 : 0;
        const u64 back = bytes ? 0 : (u64)piece * 16;  // nothing is read there, and the address is a valid one
        const u32 at = ring + to + place;
        if (rowsLeft > 0) copyAsync(at, (const void *)(from - back), bytes);
        if (rowsLeft > 4) copyAsync((at ^ fourOn) + 512, (const void *)(from + fourRows - back), bytes);
        if (rowsLeft > third) copyAsync(at + 1024, (const void *)(fromThird - back), bytes);
        if (rowsLeft > third + 4) copyAsync((at ^ fourOn) + 1536, (const void *)(fromThird + fourRows - back), bytes);
#if !BOXES
        if (tilesLeft == tiles) chunks++;
#endif
        from += tileStep;
        fromThird += tileStep;
        rowsLeft -= tileRows;
        to = to == (STAGES - 1) * TILE ? 0 : to + TILE;
        if (--tilesLeft == 0) {
            tilesLeft = tiles;
            rowsLeft = rows - laneRow;
            const u64 on = WARPS * 128 - tiles * tileStep;
            from += on;
            fromThird += on;
            termsLeft -= WARPS * TERMS;
            if (termsLeft <= 0) enter();
        }
    };

    letNextBegin();
    enter();
#pragma unroll 1
    for (int i = 0; i < (BOXES ? EARLY : STAGES - 1); i++) {
        copyTile();
        commitCopies();
    }
    waitForPrevious();

    u32 at = 0, slot = 0, toInput = 0;
    // Where the copies of x are, in the order of the weights'.
    int xPass = 0, xSide = 0, xLeft = 0;
#if BOXES
    u64 map = 0;
    int term = 0;
    u32 parity = 0;  // of the barrier of the chunk that is read next
#else
    u64 x = 0, fourColumns = 0;
    int known = 0;  // chunks of x copied so far
#endif
    auto enterInput = [&]() {
        for (;;) {
            const int4 work = passes[xPass];
            if (work.z == 0) {
                xLeft = 0;
                return;
            }
            const LinearPart &part = a.part[twin ? xSide : work.x];
            const int slice = SLICE(xPass, xSide);
#if BOXES
            map = (u64)a.maps[twin ? xSide : work.x];
            term = slice * TERMS;
#else
            x = part.x + ((u64)laneRow * part.ldx + slice * TERMS + piece * 8) * 2;
            fourColumns = (u64)part.ldx * 8;  // bytes
#endif
            xLeft = part.n - slice * TERMS;
            if (xLeft > 0) return;
            if (twin && xSide == 0) {
                xSide = 1;
            } else {
                xSide = 0;
                xPass++;
            }
        }
    };
    auto copyInput = [&]() {
#if BOXES
        if (lane == 0) {
            const u32 barrier = there + toInput / CHUNK * 8;
            expectBytes(barrier, CHUNK);
#pragma unroll
            for (int h = 0; h < TERMS / 64; h++) copyBox(inputs + toInput + h * COLUMNS * 128, map, term + h * 64, 0, barrier);
        }
        term += WARPS * TERMS;
#else
#pragma unroll
        for (int h = 0; h < TERMS / 64; h++) {
            const int bytes = h * 64 + piece * 8 < xLeft ? 16 : 0;
            const u64 back = bytes ? 0 : (u64)(h * 8 + piece) * 16;
#pragma unroll
            for (int i = 0; i < (COLUMNS + 3) / 4; i++)
                if (i * 4 + laneRow < a.columns)
                    copyAsync(
                        inputs + toInput + h * COLUMNS * 128 + i * 512 + (i & 1 ? place ^ fourOn : place), (const void *)(x + h * 128 + i * fourColumns - back), bytes);
        }
        known++;
        x += WARPS * TERMS * 2;
#endif
        toInput = toInput == (INPUTS - 1) * CHUNK ? 0 : toInput + CHUNK;
        xLeft -= WARPS * TERMS;
        if (xLeft <= 0) {
            if (twin && xSide == 0) {
                xSide = 1;
            } else {
                xSide = 0;
                xPass++;
            }
            enterInput();
        }
    };
    enterInput();
#if BOXES
    for (int i = 0; i < INPUTS && xLeft > 0; i++) copyInput();
    // Copies arrive in the order in which they were asked for: what is behind the first of x delays no product.
#pragma unroll 1
    for (int i = EARLY; i < STAGES - 1; i++) {
        copyTile();
        commitCopies();
    }
#else
    // What the weights that are there already need.
    while (known < chunks && xLeft > 0) copyInput();
    commitCopies();
    bool isFirst = true;
#endif

    // A column is one warp's.
    for (int column = warp; column < COLUMNS; column += WARPS) scales[column] = 1, squares[column] = 0;
    // Loads that are used behind the products, if registers suffice to wait so long.
    double parts[NT][NT <= 2 ? SLOTS / 32 : 1];
    if (a.sums)
#pragma unroll
        for (int t = 0; t < NT; t++) {
            double sum = 0;
#pragma unroll
            for (int i = 0; i < SLOTS / 32; i++) {
                const double part = t * 8 + warp < a.columns && i * 32 + lane < a.slots
                    ? loadFresh((const double *)a.sums + (t * 8 + warp) * SLOTS + i * 32 + lane) : 0;
                if (NT <= 2) parts[t][NT <= 2 ? i : 0] = part;
                else sum += part;
            }
            if (NT > 2) parts[t][0] = sum;
        }
    bool isScaled = a.sums == 0;
    int turn = 0;
    for (int p = 0; passes[p].z; p++) {
        const int4 work = passes[p];
        float before[TILES / 2][NT], gain[TILES / 2];
#if WEIGHT == 1
        float rowScale[TILES / 2];
#pragma unroll
        for (int u = 0; u < TILES / 2; u++) {
            // Of the row that this lane adds up: those of a pair stand eight or sixteen apart.
            const int side = a.pairing == UNPAIRED ? work.x : a.pairing == PAIRED ? (lane >> 3) & 1 : lane >> 4;
            const int row = a.pairing == UNPAIRED ? u * 32 + lane : a.pairing == PAIRED ? (2 * u + (lane >> 4)) * 8 + (lane & 7) : u * 16 + (lane & 15);
            rowScale[u] = row < work.z ? ((const float *)a.part[side].scales)[work.y + row] : 0;
        }
#endif
        auto askForStream = [&]() {
            if (a.output != ADDED) return;
#pragma unroll
            for (int u = 0; u < TILES / 2; u++) {
                const int row = u * 32 + lane;
                gain[u] = row < work.z ? wide(((const u16 *)a.gain)[work.y + row]) : 0;
#pragma unroll
                for (int t = 0; t < NT; t++)
                    before[u][t] = row < work.z && t * 8 + warp < a.columns
                        ? loadFresh((const float *)a.residual + (u64)(t * 8 + warp) * a.ldy + work.y + row) : 0;
            }
        };
        if (NT <= 4) askForStream();
        const int count = (work.z + tileRows - 1) / tileRows;
        float c[TILES][NT][4];
#pragma unroll
        for (int r = 0; r < TILES; r++)
#pragma unroll
            for (int t = 0; t < NT; t++)
#pragma unroll
                for (int i = 0; i < 4; i++) c[r][t][i] = 0;
#pragma unroll
        for (int s = 0; s < 2; s++) {
            if (s == 1 && !twin) break;
            const int n = a.part[twin ? s : work.x].n;
            for (int k = SLICE(p, s) * TERMS; k < n; k += WARPS * TERMS) {
                uint4 b[NT][TERMS / 32];
#pragma unroll
                for (int r = 0; r < TILES; r++) {
                    if (r >= count || (s == 1 && r >= TILES / 2)) break;
                    copyTile();
#if BOXES
                    commitCopies();
                    waitForCopies<STAGES - 1>();
                    if (r == 0) waitForBarrier(there + slot / CHUNK * 8, parity);
#else
                    if (xLeft > 0 && known < chunks) copyInput();
                    commitCopies();
                    if (isFirst)
                        waitForCopies<1>();
                    else
                        waitForCopies<STAGES - 1>();
                    isFirst = false;
#endif
                    __syncwarp();
                    if (r == 0) {
#pragma unroll
                        for (int t = 0; t < NT; t++) {
                            // Columns that are not there: what is read for them reaches no other.
                            const int own = WEIGHT == 2 ? lane & 7 : g, column = COLUMNS % 8 ? min(own, COLUMNS - 1) : own;
                            const int turn = COLUMNS % 8 && BOXES ? 0 : BOXES ? column : SWIZZLE(column);
#pragma unroll
                            for (int h = 0; h < TERMS / 64; h++) {
                                const u32 input = inputs + slot + h * COLUMNS * 128 + t * 1024 + column * 128;
#if WEIGHT == 2
                                b[t][0] = loadMatrices(input + (((lane >> 3) ^ turn) << 4));
                                b[t][1] = loadMatrices(input + ((((lane >> 3) + 4) ^ turn) << 4));
#else
                                // Of each half pieces 2q and 2q + 1.
                                b[t][2 * h] = loadShared(input + (((2 * q) ^ turn) << 4));
                                b[t][2 * h + 1] = loadShared(input + (((2 * q + 1) ^ turn) << 4));
                                halve(b[t][2 * h]), halve(b[t][2 * h + 1]);
#endif
                            }
                        }
                    }
#if WEIGHT == 2
                    // Sixteen terms of sixteen rows at a time.
                    const u32 tile = ring + at + (lane & 15) * 128 + (((lane >> 4) ^ SWIZZLE(lane)) << 4);
                    const uint4 a0 = loadMatrices(tile), a1 = loadMatrices(tile ^ 32), a2 = loadMatrices(tile ^ 64), a3 = loadMatrices(tile ^ 96);
#else
                    const u32 tile = ring + at + g * 128 + ((q ^ SWIZZLE(g)) << 4);
                    const uint4 a0 = loadShared(tile), a1 = loadShared(tile + 1024);
                    const uint4 a2 = loadShared(tile ^ 64), a3 = loadShared((tile ^ 64) + 1024);
#endif
                    at = at == (STAGES - 1) * TILE ? 0 : at + TILE;
                    // The products read every lane's registers: behind them no lane reads the tile or the chunk of x any more.
                    float(&into)[NT][4] = c[s == 1 ? (TILES / 2 + r) % TILES : r];
#if WEIGHT == 2
                    // A product is waited for by the next into the same sums: other columns stand between them.
#pragma unroll
                    for (int t = 0; t < NT; t++) multiply(into[t], a0.x, a0.y, a0.z, a0.w, b[t][0].x, b[t][0].y);
#pragma unroll
                    for (int t = 0; t < NT; t++) multiply(into[t], a1.x, a1.y, a1.z, a1.w, b[t][0].z, b[t][0].w);
#pragma unroll
                    for (int t = 0; t < NT; t++) multiply(into[t], a2.x, a2.y, a2.z, a2.w, b[t][1].x, b[t][1].y);
#pragma unroll
                    for (int t = 0; t < NT; t++) multiply(into[t], a3.x, a3.y, a3.z, a3.w, b[t][1].z, b[t][1].w);
#else
#pragma unroll
                    for (int i = 0; i < 8; i++) {
                        // Four terms of sixteen.
                        const uint4 &upper = i < 4 ? a0 : a2, &lower = i < 4 ? a1 : a3;
                        const u32 above = i % 4 == 0 ? upper.x : i % 4 == 1 ? upper.y : i % 4 == 2 ? upper.z : upper.w;
                        const u32 below = i % 4 == 0 ? lower.x : i % 4 == 1 ? lower.y : i % 4 == 2 ? lower.z : lower.w;
                        const u32 w0 = widened<false>(above), w1 = widened<false>(below);
                        const u32 w2 = widened<true>(above), w3 = widened<true>(below);
#pragma unroll
                        for (int t = 0; t < NT; t++) {
                            const uint4 &x = b[t][i / 2];
                            multiplyHalves(into[t], w0, w1, w2, w3, i % 2 ? x.z : x.x, i % 2 ? x.w : x.y);
                        }
                    }
#endif
                    if (r == 0) {
#if BOXES
                        if (xLeft > 0) copyInput();
                        if (slot == (INPUTS - 1) * CHUNK) parity ^= 1;
#endif
                        slot = slot == (INPUTS - 1) * CHUNK ? 0 : slot + CHUNK;
                    }
                }
            }
        }
        if (NT > 4) askForStream();
        if (!isScaled) {
            isScaled = true;
#pragma unroll
            for (int t = 0; t < NT; t++) {
                double sum = 0;
#pragma unroll
                for (int i = 0; i < (NT <= 2 ? SLOTS / 32 : 1); i++) sum += parts[t][i];
                sum = sumOverWarp(sum);
                if (t * 8 + warp < COLUMNS) scales[t * 8 + warp] = rsqrtf((float)sum * a.inverseWidth + a.epsilon);
            }
        }
        // Thirty-two rows at a time: a warp adds what all have of one column of eight.
#pragma unroll
        for (int u = 0; u < TILES / 2; u++) {
            if (twin ? u >= count : 2 * u >= count) break;
#pragma unroll
            for (int first = 0; first < NT; first += UNIT) {
                if (first * 8 >= a.columns) break;
                turn ^= 1;
#pragma unroll
                for (int t = first; t < min(first + UNIT, NT); t++) {
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        float *own = sums + turn * MEETING + (((t - first) * WARPS + SLICE(p, half)) * 8 + q * 2) * 36 + g;
                        // A twin's second tile is the other part's.
                        const float *from0 = c[half ? 2 * u + 1 : 2 * u][t], *from1 = c[half ? TILES / 2 + u : u][t];
                        float v[4];
#pragma unroll
                        for (int i = 0; i < 4; i++) v[i] = twin ? from1[i] : from0[i];
                        own[half * 16] = v[0];
                        own[half * 16 + 36] = v[1];
                        own[half * 16 + 8] = v[2];
                        own[half * 16 + 44] = v[3];
                    }
                }
                // What met before the last time has been read by all who are here.
                __syncthreads();
#pragma unroll
                for (int t = first; t < min(first + UNIT, NT); t++) {
                    const int column = t * 8 + warp, row = u * 32 + lane;
                    if (column >= a.columns) break;
                    const bool isThere = row < work.z;
                    const u64 spot = (u64)column * a.ldy + work.y + row;
                    float slices[WARPS];
#pragma unroll
                    for (int w = 0; w < WARPS; w++) slices[w] = sums[turn * MEETING + (((t - first) * WARPS + w) * 8 + warp) * 36 + lane];
                    float y = sumOfSlices(slices) * scales[column];
#if WEIGHT == 1
                    y *= rowScale[u] * (INPUT_SCALE * WEIGHT_SCALE);
#endif
                    if (a.pairing != UNPAIRED) {
                        const float up = __shfl_down_sync(~0u, y, twin ? 16 : 8);
                        const int unit = twin ? u * 16 + lane : (2 * u + (lane >> 4)) * 8 + (lane & 7);
                        if ((twin ? lane < 16 : !(lane & 8)) && unit < work.z)
                            ((u16 *)a.part[0].y)[(u64)column * a.ldy + work.y + unit] = narrow(y / (1 + __expf(-y)) * up);
                    } else {
                        if (isThere && a.part[work.x].bias) y += wide(((const u16 *)a.part[work.x].bias)[work.y + row]);
                        if (a.output == ROUNDED) {
                            if (isThere) ((u16 *)a.part[work.x].y)[spot] = narrow(y);
                        } else if (a.output == FLOATS) {
                            if (isThere) ((float *)a.part[work.x].y)[spot] = y;
                        } else {
                            const float sum = isThere ? before[u][t] + y : 0;
                            if (isThere) {
                                ((float *)a.residual)[spot] = sum;
                                ((u16 *)a.normalized)[spot] = narrow(sum * gain[u]);
                            }
                            const double square = sumOverWarp((double)sum * sum);
                            if (lane == 0) squares[column] += square;
                        }
                    }
                }
            }
        }
    }
    if (a.output == ADDED && lane == 0)
        for (int column = warp; column < a.columns; column += WARPS) ((double *)a.squares)[column * SLOTS + blockIdx.x] = squares[column];
}
