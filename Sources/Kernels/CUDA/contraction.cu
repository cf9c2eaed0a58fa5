// Networks of small tensors, multiplied with a few sequences' activations without ever being multiplied out: one launch per tensor.
//
// A launch is the product of a tensor, laid out as a matrix [rows, terms], with activations of which every sequence has many columns: the
// modes that the tensor does not touch. Where a column begins, where its terms stand and where results go is said by tables, so that any
// network of any modes is a chain of these. A block has 64 rows and 64 columns, and a part of the terms where rows are few; parts are summed in
// `assemble`, in a fixed order that has nothing to do with the number of sequences. A column's sum depends on no other column.
#define TILE 64          // rows and columns of a block
#define TERMS 32         // of a stage
#define STAGES 4
#define PITCH 80         // bytes of a row of a stage: eight of them lie in different banks
#define STAGE (2 * TILE * PITCH)
typedef double Square;   // of the residual stream's squares, as all kernels have their sums
#define STAGED (2 * TILE + 16)  // bytes of a column of results on their way out

/// Past the first level of cache, as `loadFresh`.
__device__ __forceinline__ u16 freshValue(u64 from) {
    u16 v;
    asm volatile("ld.global.cg.u16 %0, [%1];" : "=h"(v) : "l"(from) : "memory");
    return v;
}

extern "C" __global__ void __launch_bounds__(128) contraction(const __grid_constant__ ContractionArguments a) {
    __shared__ __align__(128) u8 memory[STAGES * STAGE];
    const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5, piece = thread & 3;
    const int tileColumn = blockIdx.x * TILE, tileRow = blockIdx.y * TILE, columns = a.columns * a.sequences;
    const int chunks = (a.terms + TERMS - 1) / TERMS;
    const int first = (int)((long long)blockIdx.z * chunks / a.splits), last = (int)((long long)(blockIdx.z + 1) * chunks / a.splits);
    const u32 stages = sharedAddress(memory);

    // A thread copies a piece of two rows and of two columns.
    u64 row[2], column[2];
    bool isRow[2];
    int left[2];  // terms that the column has
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int r = tileRow + thread / 4 + 32 * i, c = tileColumn + thread / 4 + 32 * i;
        isRow[i] = r < a.rows;
        row[i] = a.matrix + (u64)(isRow[i] ? r : 0) * a.ldw * 2;
        left[i] = 0;
        column[i] = a.input;
        if (c < columns) {
            const int offset = ((const int *)a.inputColumns)[c % a.columns];
            left[i] = a.inputWidth - offset;
            column[i] += ((u64)(c / a.columns) * a.inputStride + offset) * 2;
        }
    }
    auto copyRows = [&](int chunk) {
        const int k = chunk * TERMS + piece * 8;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const bool isThere = chunk < last && isRow[i] && k < a.ldw;
            copyAsync(stages + chunk % STAGES * STAGE + (thread / 4 + 32 * i) * PITCH + piece * 16,
                      (const void *)(row[i] + (isThere ? 2 * k : 0)), isThere ? 16 : 0);
        }
    };
    auto copyColumns = [&](int chunk) {
        const int k = chunk * TERMS + piece * 8;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const u32 to = chunk % STAGES * STAGE + (TILE + thread / 4 + 32 * i) * PITCH + piece * 16;
            if (!a.inputTerms) {
                const int count = chunk < last ? min(max(min(left[i], a.terms) - k, 0), 8) : 0;
                copyAsync(stages + to, (const void *)(column[i] + (count ? 2 * k : 0)), 2 * count);
            } else {
                u16 values[8];
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    const int offset = chunk < last && k + j < a.terms ? ((const int *)a.inputTerms)[k + j] : left[i];
                    values[j] = offset < left[i] ? freshValue(column[i] + 2 * offset) : 0;
                }
                *(uint4 *)(memory + to) = make_uint4(
                    values[0] | (u32)values[1] << 16, values[2] | (u32)values[3] << 16, values[4] | (u32)values[5] << 16, values[6] | (u32)values[7] << 16);
            }
        }
    };
    letNextBegin();
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) copyRows(first + i);
    waitForPrevious();
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) {
        copyColumns(first + i);
        commitCopies();
    }
    const int warpRow = (warp >> 1) * 32, warpColumn = (warp & 1) * 32;
    float c[2][4][4];
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) c[i][j][e] = 0;
#pragma unroll 1
    for (int chunk = first; chunk < last; chunk++) {
        waitForCopies<STAGES - 2>();
        __syncthreads();
        copyRows(chunk + STAGES - 1);
        copyColumns(chunk + STAGES - 1);
        commitCopies();
        const u32 stage = stages + chunk % STAGES * STAGE;
#pragma unroll
        for (int k = 0; k < TERMS; k += 16) {
            uint4 w[2], x[2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                w[i] = loadMatrices(stage + (warpRow + 16 * i + (lane & 15)) * PITCH + 2 * k + (lane >> 4) * 16);
                x[i] = loadMatrices(stage + (TILE + warpColumn + 16 * i + (lane & 7) + (lane >> 4) * 8) * PITCH + 2 * k + (lane >> 3 & 1) * 16);
            }
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const uint4 &b = x[j >> 1];
                    multiply(c[i][j], w[i].x, w[i].y, w[i].z, w[i].w, j & 1 ? b.z : b.x, j & 1 ? b.w : b.y);
                }
        }
    }
    waitForCopies<0>();
    const int g = lane >> 2, q = lane & 3;
    if (a.isLast) {
        int place[4][2];
        u64 base[4][2];
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int n = tileColumn + warpColumn + 8 * j + 2 * q + e;
                place[j][e] = n < columns ? ((const int *)a.outputColumns)[n % a.columns] : a.outputWidth;
                base[j][e] = a.output + ((u64)blockIdx.z * a.splitStride + (u64)(n / a.columns) * a.outputStride) * 4;
            }
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int m = tileRow + warpRow + 16 * i + 8 * half + g;
                if (m >= a.rows) continue;
                const int at = ((const int *)a.outputRows)[m];
#pragma unroll
                for (int j = 0; j < 4; j++)
#pragma unroll
                    for (int e = 0; e < 2; e++)
                        if (at + place[j][e] < a.outputWidth) ((float *)base[j][e])[at + place[j][e]] = c[i][j][2 * half + e];
            }
        return;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                *(u16 *)(memory + (warpColumn + 8 * j + 2 * q + (e & 1)) * STAGED + 2 * (warpRow + 16 * i + 8 * (e >> 1) + g)) = narrow(c[i][j][e]);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < TILE * TILE / 8 / 128; i++) {
        const int item = i * 128 + thread, n = tileColumn + item / (TILE / 8), m = tileRow + item % (TILE / 8) * 8;
        if (n >= columns || m >= a.rows) continue;
        u16 *to = (u16 *)a.output + (u64)(n / a.columns) * a.outputStride + ((const int *)a.outputColumns)[n % a.columns];
        const u16 *from = (const u16 *)(memory + item / (TILE / 8) * STAGED) + item % (TILE / 8) * 8;
        if (a.isWide) {
            *(uint4 *)(to + ((const int *)a.outputRows)[m]) = *(const uint4 *)from;
        } else {
            for (int j = 0; j < 8; j++)
                if (m + j < a.rows) to[((const int *)a.outputRows)[m + j]] = from[j];
        }
    }
}

/// Sums parts of products, of terms or of splits, and makes of them what the layer behind reads. A block has some rows of a sequence; its
/// warps share out the parts, and their sums are added in order.
extern "C" __global__ void __launch_bounds__(256) assemble(const __grid_constant__ AssemblyArguments a) {
    __shared__ float sums[2][8][32];
    __shared__ Square squaresOf[8];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, column = blockIdx.y;
    letNextBegin();
    waitForPrevious();
    float scale = 1;
    if (a.sums) {
        const Square part = (int)threadIdx.x < a.slots ? loadFresh((const Square *)a.sums + column * SLOTS + threadIdx.x) : 0;
        const Square sum = sumOverWarp(part);
        if (lane == 0) squaresOf[warp] = sum;
        __syncthreads();
        Square all = 0;
        for (int i = 0; i < 8; i++) all += squaresOf[i];
        scale = rsqrtf((float)all * a.inverseWidth + a.epsilon);
    }
    Square squares = 0;
    const bool isPaired = a.pairing != UNPAIRED;
    for (int p = 0; p < (isPaired ? 1 : a.count); p++) {
        const int rows = a.part[p].rows;
        const int from = (int)((long long)blockIdx.x * rows / gridDim.x), to = (int)((long long)(blockIdx.x + 1) * rows / gridDim.x);
        for (int start = from; start < to; start += 32) {
            const int row = start + lane;
            for (int side = 0; side < (isPaired ? 2 : 1); side++) {
                const AssemblyPart &part = a.part[p + side];
                const float *values = (const float *)part.parts + (u64)column * part.rows + row;
                float sum = 0;
                if (row < to)
#pragma unroll 4
                    for (int i = warp; i < part.count; i += 8) sum += loadFresh(values + (u64)i * part.stride);
                sums[side][warp][lane] = sum;
            }
            __syncthreads();
            if (warp == 0 && row < to) {
                float y = 0, up = 0;
#pragma unroll
                for (int i = 0; i < 8; i++) y += sums[0][i][lane];
                y *= scale;
                const AssemblyPart &part = a.part[p];
                const u64 place = (u64)column * a.ldy + row;
                if (isPaired) {
#pragma unroll
                    for (int i = 0; i < 8; i++) up += sums[1][i][lane];
                    ((u16 *)part.y)[place] = narrow(y / (1 + __expf(-y)) * (up * scale));
                } else {
                    if (part.bias) y += wide(((const u16 *)part.bias)[row]);
                    if (a.output == ROUNDED) {
                        ((u16 *)part.y)[place] = narrow(y);
                    } else if (a.output == FLOATS) {
                        ((float *)part.y)[place] = y;
                    } else {
                        const float sum = loadFresh((const float *)a.residual + place) + y;
                        ((float *)a.residual)[place] = sum;
                        ((u16 *)a.normalized)[place] = narrow(sum * wide(((const u16 *)a.gain)[row]));
                        squares += (Square)sum * sum;
                    }
                }
            }
            __syncthreads();
        }
    }
    if (a.output == ADDED && warp == 0) {
        squares = sumOverWarp(squares);
        if (lane == 0) ((Square *)a.squares)[column * SLOTS + blockIdx.x] = squares;
    }
}
