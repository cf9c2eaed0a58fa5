// y = x · Wᵀ for a few columns of x: bound by the bytes of W, which stream through shared memory once.
//
// One thread block per multiprocessor, which owns rows of W. Its eight warps share out the sum over k in chunks of 64; each has a ring of
// tiles (sixteen rows of a chunk) in shared memory, which copies fill far ahead, and another of x. They multiply by tensor cores, W as the
// operand of sixteen rows. A load that is waited for takes longer than the copies run ahead, so what is needed behind the products is asked for
// before them. Warps' sums are added in a fixed order: a column's result depends on no other column, nor on their number.
#ifndef COLUMNS
#define COLUMNS 8  // of x at most
#define STAGES 7   // tiles in a ring
#endif
#define WARPS 8
#define TILE 2048                 // bytes
#define CHUNK (COLUMNS * 128)     // bytes of x
#define RING (STAGES * (TILE + CHUNK))
#define NT ((COLUMNS + 7) / 8)    // tiles of eight columns

extern "C" __global__ void __launch_bounds__(WARPS * 32, 1) linear(const __grid_constant__ LinearArguments a) {
    extern __shared__ __align__(128) u8 memory[];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const u32 ring = sharedAddress(memory) + warp * RING, inputs = ring + STAGES * TILE;
    float *sums = (float *)(memory + WARPS * RING);  // [warp][column of 8][row of 32, padded to 36]
    __shared__ int4 passes[PASSES + 1];
    const bool twin = a.pairing == PAIRED_APART;
    const int tileRows = a.pairing == PAIRED ? 8 : 16, third = a.pairing == PAIRED ? 0 : 8;
    const int piece = lane & 7, laneRow = lane >> 3;
    const u32 place = laneRow * 128 + ((piece ^ ((laneRow & 1) << 2)) << 4);

    for (int i = threadIdx.x; i <= a.passesEach; i += WARPS * 32)
        passes[i] = i < a.passesEach ? ((const int4 *)a.passes)[blockIdx.x * a.passesEach + i] : make_int4(0, 0, 0, 0);
    __syncthreads();

    // Where the copies of weights are: pass, side of a pair, chunk, tile. A lane copies a piece of four rows of each tile, the third and
    // fourth of which are those of `up` where gate and up alternate.
    int pass = -1, side = 1, tilesLeft = 0, rowsLeft = 0, termsLeft = 0, tiles = 0, rows = 0;
    u64 from = 0, fromThird = 0, fourRows = 0, tileStep = 0;
    u32 to = 0;
    int chunks = 0;  // of x, that the weights copied so far need
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
            const u64 offset = ((u64)(work.y + laneRow) * part.ldw + warp * 64 + piece * 8) * 2;
            from = part.w + offset;
            fromThird = a.pairing == PAIRED ? a.part[1].w + offset : from + (u64)part.ldw * 16;
            fourRows = (u64)part.ldw * 8;
            tileStep = (u64)part.ldw * 2 * tileRows;
            termsLeft = part.n - warp * 64;
            tiles = tilesLeft = (rows + tileRows - 1) / tileRows;
            rowsLeft = rows - laneRow;
        } while (termsLeft <= 0);
    };
    auto copyTile = [&]() {
        if (rows == 0) return;
        const int bytes = piece * 8 < termsLeft ? 16 : 0;
        const u64 back = bytes ? 0 : (u64)piece * 16;  // nothing is read there, and the address is a valid one
        const u32 at = ring + to + place;
        if (rowsLeft > 0) copyAsync(at, (const void *)(from - back), bytes);
        if (rowsLeft > 4) copyAsync(at + 512, (const void *)(from + fourRows - back), bytes);
        if (rowsLeft > third) copyAsync(at + 1024, (const void *)(fromThird - back), bytes);
        if (rowsLeft > third + 4) copyAsync(at + 1536, (const void *)(fromThird + fourRows - back), bytes);
        if (tilesLeft == tiles) chunks++;
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
            termsLeft -= WARPS * 64;
            if (termsLeft <= 0) enter();
        }
    };

    letNextBegin();
    enter();
#pragma unroll 1
    for (int i = 0; i < STAGES - 1; i++) {
        copyTile();
        commitCopies();
    }
    waitForPrevious();

    u32 at = 0, slot = 0, toInput = 0;
    int known = 0;  // chunks of x copied so far
    // Where the copies of x are, in the order of the weights'.
    int xPass = 0, xSide = 0, xLeft = 0;
    u64 x = 0, fourColumns = 0;
    auto enterInput = [&]() {
        for (;;) {
            const int4 work = passes[xPass];
            if (work.z == 0) {
                xLeft = 0;
                return;
            }
            const LinearPart &part = a.part[twin ? xSide : work.x];
            x = part.x + ((u64)laneRow * part.ldx + warp * 64 + piece * 8) * 2;
            fourColumns = (u64)part.ldx * 8;  // bytes
            xLeft = part.n - warp * 64;
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
        const int bytes = piece * 8 < xLeft ? 16 : 0;
        const u64 back = bytes ? 0 : (u64)piece * 16;
#pragma unroll
        for (int i = 0; i < (COLUMNS + 3) / 4; i++)
            if (i * 4 + laneRow < a.columns)
                copyAsync(inputs + toInput + i * 512 + place, (const void *)(x + i * fourColumns - back), bytes);
        toInput = toInput == (STAGES - 1) * CHUNK ? 0 : toInput + CHUNK;
        known++;
        x += WARPS * 128;
        xLeft -= WARPS * 64;
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
    // What the weights that are there already need.
    while (known < chunks && xLeft > 0) copyInput();
    commitCopies();
    bool isFirst = true;

    float scale[NT], squares[NT];
#pragma unroll
    for (int t = 0; t < NT; t++) scale[t] = 1, squares[t] = 0;
    // Loads that are used behind the products, if registers suffice to wait so long.
    float parts[NT][NT <= 2 ? SLOTS / 32 : 1];
    if (a.sums)
#pragma unroll
        for (int t = 0; t < NT; t++) {
            float sum = 0;
#pragma unroll
            for (int i = 0; i < SLOTS / 32; i++) {
                const float part = t * 8 + warp < a.columns && i * 32 + lane < a.slots
                    ? loadFresh((const float *)a.sums + (t * 8 + warp) * SLOTS + i * 32 + lane) : 0;
                if (NT <= 2) parts[t][NT <= 2 ? i : 0] = part;
                else sum += part;
            }
            if (NT > 2) parts[t][0] = sum;
        }
    bool isScaled = a.sums == 0;
    for (int p = 0; passes[p].z; p++) {
        const int4 work = passes[p];
        float before[2][NT], gain[2];
        if (a.output == ADDED)
#pragma unroll
            for (int u = 0; u < 2; u++) {
                const int row = u * 32 + lane;
                gain[u] = row < work.z ? wide(((const u16 *)a.gain)[work.y + row]) : 0;
#pragma unroll
                for (int t = 0; t < NT; t++)
                    before[u][t] = row < work.z && t * 8 + warp < a.columns
                        ? loadFresh((const float *)a.residual + (u64)(t * 8 + warp) * a.ldy + work.y + row) : 0;
            }
        const int count = (work.z + tileRows - 1) / tileRows;
        float c[4][NT][4];
#pragma unroll
        for (int r = 0; r < 4; r++)
#pragma unroll
            for (int t = 0; t < NT; t++)
#pragma unroll
                for (int i = 0; i < 4; i++) c[r][t][i] = 0;
#pragma unroll
        for (int s = 0; s < 2; s++) {
            if (s == 1 && !twin) break;
            const int n = a.part[twin ? s : work.x].n;
            for (int k = warp * 64; k < n; k += WARPS * 64) {
                uint4 b[NT][2];
#pragma unroll
                for (int r = 0; r < 4; r++) {
                    if (r >= count || (s == 1 && r >= 2)) break;
                    copyTile();
                    if (xLeft > 0 && known < chunks) copyInput();
                    commitCopies();
                    if (isFirst)
                        waitForCopies<1>();
                    else
                        waitForCopies<STAGES - 1>();
                    isFirst = false;
                    __syncwarp();
                    const u32 swizzled = g * 128 + ((q ^ ((g & 1) << 2)) << 4);
                    if (r == 0) {
#pragma unroll
                        for (int t = 0; t < NT; t++) {
                            // Columns that are not there: what is read for them reaches no other.
                            const int column = COLUMNS % 8 ? min(g, COLUMNS - 1) : g;
                            const u32 input = inputs + slot + t * 1024 + column * 128 + ((q ^ ((column & 1) << 2)) << 4);
                            b[t][0] = loadShared(input);
                            b[t][1] = loadShared(input ^ 64);
                        }
                        slot = slot == (STAGES - 1) * CHUNK ? 0 : slot + CHUNK;
                    }
                    const u32 tile = ring + at + swizzled;
                    const uint4 a0 = loadShared(tile), a1 = loadShared(tile + 1024);
                    const uint4 a2 = loadShared(tile ^ 64), a3 = loadShared((tile ^ 64) + 1024);
                    at = at == (STAGES - 1) * TILE ? 0 : at + TILE;
                    // The products read every lane's registers: behind them no lane reads the tile any more.
                    float(&into)[NT][4] = c[s == 1 ? (2 + r) & 3 : r];
#pragma unroll
                    for (int t = 0; t < NT; t++) {
                        multiply(into[t], a0.x, a1.x, a0.y, a1.y, b[t][0].x, b[t][0].y);
                        multiply(into[t], a0.z, a1.z, a0.w, a1.w, b[t][0].z, b[t][0].w);
                        multiply(into[t], a2.x, a3.x, a2.y, a3.y, b[t][1].x, b[t][1].y);
                        multiply(into[t], a2.z, a3.z, a2.w, a3.w, b[t][1].z, b[t][1].w);
                    }
                }
            }
        }
        if (!isScaled) {
            isScaled = true;
#pragma unroll
            for (int t = 0; t < NT; t++) {
                float sum = 0;
#pragma unroll
                for (int i = 0; i < (NT <= 2 ? SLOTS / 32 : 1); i++) sum += parts[t][i];
                scale[t] = rsqrtf(sumOverWarp(sum) * a.inverseWidth + a.epsilon);
            }
        }
        // Thirty-two rows and eight columns at a time: a warp adds what all have of one column.
#pragma unroll
        for (int u = 0; u < 2; u++) {
            if (twin ? u >= count : 2 * u >= count) break;
#pragma unroll
            for (int t = 0; t < NT; t++) {
                if (t * 8 >= a.columns) break;
                float *own = sums + (warp * 8 + q * 2) * 36 + g;
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    // A twin's second tile is the other part's.
                    const float *from0 = c[half ? 2 * u + 1 : 2 * u][t], *from1 = c[half ? 2 + u : u][t];
                    float v[4];
#pragma unroll
                    for (int i = 0; i < 4; i++) v[i] = twin ? from1[i] : from0[i];
                    own[half * 16] = v[0];
                    own[half * 16 + 36] = v[1];
                    own[half * 16 + 8] = v[2];
                    own[half * 16 + 44] = v[3];
                }
                const int column = t * 8 + warp, row = u * 32 + lane;
                const bool isThere = column < a.columns && row < work.z;
                const u64 spot = (u64)column * a.ldy + work.y + row;
                __syncthreads();
                float y = 0;
#pragma unroll
                for (int w = 0; w < WARPS; w++) y += sums[(w * 8 + warp) * 36 + lane];
                y *= scale[t];
                if (column < a.columns) {
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
                            squares[t] += sumOverWarp(sum * sum);
                        }
                    }
                }
                __syncthreads();
            }
        }
    }
    if (a.output == ADDED && lane == 0) {
#pragma unroll
        for (int t = 0; t < NT; t++)
            if (t * 8 + warp < a.columns) ((float *)a.squares)[(t * 8 + warp) * SLOTS + blockIdx.x] = squares[t];
    }
}
