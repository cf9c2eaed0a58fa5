// What kernels are given: the same text is compiled with the program and with every kernel. Addresses are the device's.
#ifndef MINIMA_KERNEL_ARGUMENTS_H
#define MINIMA_KERNEL_ARGUMENTS_H

// Rows of two matrices that belong together (gate and up): not; with one input; each with an input of its own.
#define UNPAIRED 0
#define PAIRED 1
#define PAIRED_APART 2
// What becomes of a product: bfloat16; float32; added to the residual stream, which is prepared for the norm behind it.
#define ROUNDED 0
#define FLOATS 1
#define ADDED 2
// Tokens of a block of the caches of keys and values, and of a sequence's tokens those that one thread block attends to.
#define BLOCK_TOKENS 64
#define SPLIT_TOKENS 512
// Passes that a block can make over its rows.
#define PASSES 127
// Partial sums of squares that a column of the residual stream can have.
#define SLOTS 256

// Tensor maps stand at multiples of their 64 bytes among a kernel's arguments.
#ifdef __CUDACC_RTC__
#define STRUCT_OF_MAPS struct __align__(64)
#else
#define STRUCT_OF_MAPS struct
#endif

// A weight and what it is multiplied with.
typedef struct {
    unsigned long long w;     // bfloat16, int8 or e4m3 [rows, ldw], rows of whole 16 bytes
    unsigned long long x;     // bfloat16 [columns, ldx]
    unsigned long long y;     // [columns, ldy of all parts]
    unsigned long long bias;  // bfloat16 [rows], or 0
    unsigned long long scales;  // float [rows], of int8 and e4m3
    int n;                    // terms of each sum, a multiple of 8
    int ldw, ldx, unused;
} LinearPart;

typedef STRUCT_OF_MAPS {
    unsigned long long maps[3][16];  // of each part's x, boxes of 64 terms of as many columns as the kernel is compiled for (compute capability 9.0)
    LinearPart part[3];
    unsigned long long passes;      // int4 [blocks, passesEach]: part, first row, rows (at most 16 · TILES, or half as many pairs; 0 ends)
    unsigned long long sums;        // double [columns, SLOTS]: squares of x, to normalise by; or 0
    unsigned long long residual;    // float [columns, ldy]
    unsigned long long normalized;  // bfloat16 [columns, ldy]: residual · gain
    unsigned long long gain;        // bfloat16 [ldy]
    unsigned long long squares;     // double [columns, SLOTS]: of the new residual, a partial sum of each block
    float inverseWidth, epsilon;
    int passesEach, slots, columns, ldy, pairing, output, unused[2];
} LinearArguments;

// As LinearArguments, for `gemm`.
typedef STRUCT_OF_MAPS {
    unsigned long long weights[3][16];  // maps of each part's w: boxes of 64 terms of as many rows as a copy has
    unsigned long long inputs[3][16];   // of each part's x: of `columnsEach` columns
    LinearPart part[3];
    unsigned long long units;       // int4 [blocks, unitsEach]: part, first row, tile + 65536 · block of columns, first quarter of the slices + 256 · quarters (0 ends)
    unsigned long long partial;     // float [tiles, blocks of columns, 4 quarters, sides, a warpgroup's sums]: of units that have not all quarters
    unsigned long long counters;    // int [tiles, blocks of columns], zero before and after
    unsigned long long sums, residual, normalized, gain, squares;
    float inverseWidth, epsilon;
    int rows[3];                    // of each part
    int unitsEach, slots, columns, ldy, output;
    int tiles;                      // whose partial sums of squares are written; zeros are, up to `slotsWritten`
    int slotsWritten;
    int columnsEach;                // of a block of columns, at most as many as a tile has, a multiple of 8; what is multiplied beyond them is not read
    int unused[9];
} GemmArguments;

// Columns are sequences times rows of each: a sequence's new tokens one behind the other, at consecutive positions. Absent ones are the last,
// their positions are -1, and their output is not written.
typedef struct {
    unsigned long long heads;      // bfloat16 [columns, stride]: queries, keys, values of a new token, as projected
    unsigned long long queryNorm;  // bfloat16 [headDim], or 0
    unsigned long long keyNorm;
    unsigned long long cosines;    // float [columns, headDim / 2]
    unsigned long long sines;
    unsigned long long positions;  // int [columns]
    unsigned long long tables;     // int [columns, tableStride]: the sequence's blocks; that of its first column is read, and has those of all
    unsigned long long keys;       // [blocks, kvHeads, 64, headDim]
    unsigned long long values;
    unsigned long long keyScales;  // float [blocks, kvHeads, 64], where keys and values are fp8
    unsigned long long valueScales;
    unsigned long long output;     // bfloat16 [columns, heads · headDim]
    unsigned long long partial;    // float [sequences, kvHeads, splits · group · rowsEach · (headDim + 4)]: sums [split, row, headDim], then maxima and totals
    unsigned long long counters;   // int [sequences, kvHeads, thread blocks that share the rows], at most columns · kvHeads, zero before and after
    float epsilon, scale;
    int stride, tableStride, queryHeads, kvHeads, splits, window;
    int each;      // splits that a block takes, at most 4
    int rowsEach;  // columns of a sequence, at most as many as the kernel is compiled for
} AttentionArguments;

typedef struct {
    unsigned long long tokens;      // int [columns]
    unsigned long long table;       // bfloat16 [vocabulary, width]
    unsigned long long gain;        // bfloat16 [width], of the first norm
    unsigned long long residual;    // float [columns, width]
    unsigned long long normalized;  // bfloat16 [columns, width]: residual · gain
    unsigned long long squares;     // double [columns, SLOTS], the first of each
    int width, unused;
} EmbeddingArguments;

typedef struct {
    unsigned long long from;  // float [columns, width]
    unsigned long long to;    // float [columns, stride]
    int width, stride;
} TapArguments;

// Of prompts: tokens of a chunk stand one behind the other, tensors are contiguous.
typedef struct {
    unsigned long long residual;  // bfloat16 [rows, width], gains the addend
    unsigned long long addend;    // bfloat16 [rows, width], or 0
    unsigned long long gain;      // bfloat16 [width]
    unsigned long long output;    // bfloat16 [rows, width]
    int width;                    // a multiple of 8
    float epsilon;
} PromptNormArguments;

typedef struct {
    unsigned long long queries;    // bfloat16 [tokens, queryHeads, headDim]
    unsigned long long keys;       // bfloat16 [tokens, kvHeads, headDim]
    unsigned long long values;
    unsigned long long queryNorm;  // bfloat16 [headDim], or 0
    unsigned long long keyNorm;
    unsigned long long cosines;    // float [positions, headDim / 2]
    unsigned long long sines;
    unsigned long long positions;  // int [tokens]
    unsigned long long slots;      // int [tokens]: 64 · block + place in it
    unsigned long long keyCache;   // bfloat16 [blocks, kvHeads, 64, headDim], or 0
    unsigned long long valueCache;
    float epsilon;
    int tokens, queryHeads, kvHeads;
} PromptHeadsArguments;

typedef struct {
    unsigned long long gate;    // bfloat16, becomes silu(gate) · up
    unsigned long long up;
    unsigned long long pieces;  // of eight values
} PromptGateArguments;

typedef struct {
    unsigned long long first;         // bfloat16 [tokens, heads, headDim], becomes the attention to both
    unsigned long long second;
    unsigned long long firstTotals;   // float [heads, tokens]: ln Σ exp(scores) of what was attended to
    unsigned long long secondTotals;
    int tokens, heads;
} PromptMergeArguments;

// Bits of a token, where tokens are drawn.
#define TOKEN_BITS 18

// How a sequence's next token is chosen.
typedef struct {
    unsigned long long seen;   // int [(vocabulary + 31) / 32], a bit of each token that is penalised; or 0
    double uniform;            // from 0 to below 1: of the tokens that are left, likeliest first, the one it falls on
    double topP;
    float inverseTemperature;  // 0: the likeliest
    float farthest;            // -ln(minP)
    float penalty;
    int topK;                  // 0: all
} SampleChoice;

typedef struct {
    unsigned long long logits;   // float [sequences, vocabulary]
    unsigned long long choices;  // SampleChoice [sequences]
    unsigned long long tokens;   // int [sequences]: the token, or -1 where a logit is no finite number
    int vocabulary;              // at most 2^TOKEN_BITS
    int unused;
} SampleArguments;

// A tensor as a matrix, times columns of activations: of each sequence so many.
typedef struct {
    unsigned long long matrix;         // bfloat16 [rows, ldw]: terms, then zeros
    unsigned long long input;          // bfloat16, a sequence each inputStride values
    unsigned long long output;         // bfloat16, a sequence each outputStride values; of a last one float parts, each splitStride
    unsigned long long inputColumns;   // int [columns]: where a sequence's column begins
    unsigned long long inputTerms;     // int [terms], and where its terms stand behind that; 0: one behind the other, from a multiple of 8 on
    unsigned long long outputRows;     // int [rows], int [columns]: a result's place is the sum of both
    unsigned long long outputColumns;
    long long inputStride, outputStride, splitStride;
    int rows, terms, ldw, columns, sequences;
    int inputWidth, outputWidth;       // values of a sequence: zeros are read behind the first, nothing is written behind the second
    int splits;                        // of the terms, 1 but of a last one
    int isLast;
    int isWide;                        // rows go eight at a time to places that are multiples of 8
} ContractionArguments;

typedef struct {
    unsigned long long parts;  // float [count, .., rows], `stride` values from one to the next, sequences one behind the other
    unsigned long long y;      // [columns, ldy]
    unsigned long long bias;   // bfloat16 [rows], or 0
    long long stride;
    int count, rows;
} AssemblyPart;

// As in LinearArguments.
typedef struct {
    AssemblyPart part[3];
    unsigned long long sums;
    unsigned long long residual;
    unsigned long long normalized;
    unsigned long long gain;
    unsigned long long squares;
    float inverseWidth, epsilon;
    int count, slots, ldy, pairing, output, unused;
} AssemblyArguments;

// Of a draft model (EAGLE-3). Widths are multiples of 8.
typedef struct {
    unsigned long long rows;      // address of float [width] of each column, or 0 where there is none
    unsigned long long features;  // bfloat16 [columns, width]
    int width, unused;
} DraftFeaturesArguments;

typedef struct {
    unsigned long long from;        // float [columns, width]: g
    unsigned long long tokens;      // int [columns]; below 0 where there is none
    unsigned long long targets;     // int [draft's vocabulary]: the row of each token in the table; or 0: tokens are rows
    unsigned long long table;       // bfloat16 [vocabulary, width]
    unsigned long long inputGain;   // bfloat16 [width], of the embedding's norm
    unsigned long long hiddenGain;  // and of g's
    unsigned long long input;       // bfloat16 [columns, 2 · width]
    unsigned long long residual;    // float [columns, width], elsewhere than `from`
    int width;
    float epsilon;
    int isNormed;                   // the residual stream begins with the normalised g
    int unused;
} DraftInputArguments;

typedef struct {
    unsigned long long from;     // float [.., width]
    unsigned long long columns;  // int [sequences]: which of those rows each takes; or 0: one after the other
    unsigned long long carried;  // float [sequences, width]
    unsigned long long gain;     // bfloat16 [width]
    unsigned long long output;   // bfloat16 [sequences, width], normalised
    int width;
    float epsilon;
} DraftOutputArguments;

#endif
