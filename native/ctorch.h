// libtorch behind a pure C ABI: status codes, opaque handles, no logic.
//
// Every function returns CT_OK or CT_FAILED and writes its result through the last pointers. After
// CT_FAILED, ct_last_error() holds libtorch's message for the calling thread. A `ct_tensor` that a
// function writes is owned by the caller and freed with ct_free. Inputs are only borrowed.
//
// The ABI depends on no libtorch type, so one program runs against any libtorch that this shim was
// compiled for.
#ifndef CTORCH_H
#define CTORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ct_tensor ct_tensor;

enum { CT_OK = 0, CT_FAILED = 1 };

// Element types. The numbers are this ABI's own.
typedef enum {
    CT_BOOL = 0, CT_U8, CT_I8, CT_I16, CT_U16, CT_I32, CT_U32, CT_I64, CT_U64,
    CT_F8E4M3, CT_F8E5M2, CT_F16, CT_BF16, CT_F32, CT_F64
} ct_dtype;

typedef enum { CT_CPU = 0, CT_CUDA = 1 } ct_device_kind;

typedef enum {
    CT_NEG = 0, CT_ABS, CT_EXP, CT_LOG, CT_SQRT, CT_RSQRT, CT_RECIPROCAL, CT_SIN, CT_COS, CT_TANH,
    CT_SIGMOID, CT_SILU, CT_RELU, CT_GELU, CT_SQUARE, CT_SIGN, CT_ISFINITE, CT_LOGICAL_NOT, CT_ROUND
} ct_unary_op;

typedef enum {
    CT_ADD = 0, CT_SUB, CT_MUL, CT_DIV, CT_POW, CT_MAXIMUM, CT_MINIMUM,
    CT_EQ, CT_NE, CT_LT, CT_LE, CT_GT, CT_GE, CT_AND, CT_OR
} ct_binary_op;

typedef enum {
    CT_SUM = 0, CT_MEAN, CT_AMAX, CT_AMIN, CT_LOGSUMEXP, CT_ARGMAX, CT_NORM2, CT_PROD, CT_ALL, CT_ANY
} ct_reduction;

// Runtime
const char *ct_last_error(void);
const char *ct_torch_version(void);
int ct_set_threads(int count);
int ct_threads(int *out);
int ct_seed(uint64_t seed);
int ct_device_count(ct_device_kind kind, int *out);
int ct_synchronize(ct_device_kind kind, int index);
// Peak bytes that libtorch's allocator held on a device; 0 for the CPU, which keeps no count.
int ct_peak_memory(ct_device_kind kind, int index, int64_t *out);
// Bytes of a CUDA device that no process has taken; 0 for the CPU.
int ct_free_memory(ct_device_kind kind, int index, int64_t *out);

// Lets the C allocator keep what is freed for reuse, up to 1 GiB, instead of returning large blocks at once: a
// forward pass frees and allocates the same few sizes over and over, and fresh pages cost as much as the operations.
int ct_keep_freed_memory(void);

// Makes the C allocator map every block above 1 MiB by itself and unmap it when it is freed, so that the process holds
// what is in use and nothing else. glibc raises that limit up to 32 MiB by itself, and the heap then fragments.
int ct_return_freed_memory(void);

// Gives memory that the C allocator keeps for reuse back to the system.
int ct_release_unused_memory(void);

// Creation. `dims` has `rank` entries.
int ct_full(const int64_t *dims, int rank, double value, ct_dtype, ct_device_kind, int index, ct_tensor **out);
int ct_empty(const int64_t *dims, int rank, ct_dtype, ct_device_kind, int index, ct_tensor **out);
int ct_arange(double start, double end, double step, ct_dtype, ct_device_kind, int index, ct_tensor **out);
int ct_eye(int64_t rows, int64_t columns, ct_dtype, ct_device_kind, int index, ct_tensor **out);
// Standard normal (`normal`) or uniform [0, 1) values from a generator of their own, on the CPU.
int ct_random(const int64_t *dims, int rank, bool normal, uint64_t seed, ct_dtype, ct_tensor **out);
/* Made where it stays: other devices give other values. */
int ct_noise(const int64_t *dims, int rank, uint64_t seed, ct_dtype, ct_device_kind, int index, ct_tensor **out);
// Borrows `data`, contiguous in row-major order, without copying; `release(context)` runs when the
// last tensor that views it is freed.
int ct_from_memory(void *data, const int64_t *dims, int rank, ct_dtype,
                   void (*release)(void *context), void *context, ct_tensor **out);

// Properties
void ct_free(ct_tensor *);
int ct_rank(const ct_tensor *, int *out);
int ct_dims(const ct_tensor *, int64_t *dims);
int ct_type(const ct_tensor *, ct_dtype *out);
int ct_device(const ct_tensor *, ct_device_kind *kind, int *index);
int ct_data(const ct_tensor *, void **out);
int ct_is_contiguous(const ct_tensor *, bool *out);
int ct_item(const ct_tensor *, double *out);

// Conversions and views
int ct_to(const ct_tensor *, ct_dtype, ct_device_kind, int index, bool copy, ct_tensor **out);
// The same elements on a device, copied behind the work that is queued there, without waiting for it.
int ct_upload(const ct_tensor *, ct_device_kind, int index, ct_tensor **out);
int ct_contiguous(const ct_tensor *, ct_tensor **out);
int ct_clone(const ct_tensor *, ct_tensor **out);
int ct_detach(const ct_tensor *, ct_tensor **out);
/* The same bytes as elements of another type of their size. */
int ct_view_as(const ct_tensor *, ct_dtype, ct_tensor **out);
int ct_reshape(const ct_tensor *, const int64_t *dims, int rank, ct_tensor **out);
int ct_permute(const ct_tensor *, const int64_t *order, int rank, ct_tensor **out);
int ct_expand(const ct_tensor *, const int64_t *dims, int rank, ct_tensor **out);
int ct_narrow(const ct_tensor *, int64_t dim, int64_t start, int64_t length, ct_tensor **out);
int ct_select(const ct_tensor *, int64_t dim, int64_t index, ct_tensor **out);
int ct_squeeze(const ct_tensor *, int64_t dim, ct_tensor **out);
int ct_unsqueeze(const ct_tensor *, int64_t dim, ct_tensor **out);
int ct_flip(const ct_tensor *, int64_t dim, ct_tensor **out);
int ct_diagonal(const ct_tensor *, ct_tensor **out);
int ct_diag_embed(const ct_tensor *, ct_tensor **out);
int ct_triangle(const ct_tensor *, bool upper, int64_t diagonal, ct_tensor **out);
int ct_cat(ct_tensor *const *, int count, int64_t dim, ct_tensor **out);
int ct_stack(ct_tensor *const *, int count, int64_t dim, ct_tensor **out);
int ct_index_select(const ct_tensor *, int64_t dim, const ct_tensor *index, ct_tensor **out);
int ct_gather(const ct_tensor *, int64_t dim, const ct_tensor *index, ct_tensor **out);
int ct_repeat_interleave(const ct_tensor *, int64_t repeats, int64_t dim, ct_tensor **out);
int ct_pad(const ct_tensor *, const int64_t *amounts, int count, double value, ct_tensor **out);

// Elementwise
int ct_unary(ct_unary_op, const ct_tensor *, ct_tensor **out);
int ct_binary(ct_binary_op, const ct_tensor *, const ct_tensor *, ct_tensor **out);
int ct_binary_scalar(ct_binary_op, const ct_tensor *, double, ct_tensor **out);
int ct_clamp(const ct_tensor *, double low, double high, ct_tensor **out);
int ct_where(const ct_tensor *condition, const ct_tensor *yes, const ct_tensor *no, ct_tensor **out);
int ct_masked_fill(const ct_tensor *, const ct_tensor *mask, double value, ct_tensor **out);

// In place
int ct_copy_(ct_tensor *into, const ct_tensor *from);
int ct_fill_(ct_tensor *, double value);
int ct_add_(ct_tensor *, const ct_tensor *, double alpha);
int ct_mul_(ct_tensor *, double factor);
int ct_addmm_(ct_tensor *, const ct_tensor *a, const ct_tensor *b, double beta, double alpha);
int ct_index_copy_(ct_tensor *, int64_t dim, const ct_tensor *index, const ct_tensor *source);
int ct_exp_(ct_tensor *);
int ct_multiply_(ct_tensor *, const ct_tensor *factor);
int ct_scatter_add_(ct_tensor *, int64_t dim, const ct_tensor *index, const ct_tensor *source);
int ct_scatter_(ct_tensor *, int64_t dim, const ct_tensor *index, const ct_tensor *source);

// Reductions. `whole` reduces over every dimension and ignores `dim` and `keep`.
int ct_reduce(ct_reduction, const ct_tensor *, bool whole, int64_t dim, bool keep, ct_tensor **out);
int ct_cumsum(const ct_tensor *, int64_t dim, ct_tensor **out);
int ct_sort(const ct_tensor *, int64_t dim, bool descending, ct_tensor **values, ct_tensor **indices);
int ct_topk(const ct_tensor *, int64_t count, int64_t dim, ct_tensor **values, ct_tensor **indices);

// Products
int ct_matmul(const ct_tensor *, const ct_tensor *, ct_tensor **out);
int ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *bias_or_null, ct_tensor **out);
int ct_einsum(const char *equation, ct_tensor *const *, int count, ct_tensor **out);

// Neural network
int ct_embedding(const ct_tensor *table, const ct_tensor *ids, ct_tensor **out);
int ct_softmax(const ct_tensor *, int64_t dim, bool logarithm, ct_tensor **out);
// x · weightᵀ of matrices, in float32 whatever their type.
int ct_linear_float(const ct_tensor *x, const ct_tensor *weight, ct_tensor **out);
// log softmax over the last dimension, float32 whatever the type of the logits.
int ct_log_softmax_float(const ct_tensor *, ct_tensor **out);
int ct_rms_norm(const ct_tensor *, const ct_tensor *weight, double epsilon, ct_tensor **out);
// [a·cos − b·sin, b·cos + a·sin] of the halves a, b of the last dimension; the tables are broadcast.
int ct_rotate(const ct_tensor *, const ct_tensor *cosines, const ct_tensor *sines, ct_tensor **out);
// silu(gate) · up
int ct_swiglu(const ct_tensor *gate, const ct_tensor *up, ct_tensor **out);
int ct_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v,
                 const ct_tensor *mask_or_null, bool causal, bool grouped, ct_tensor **out);
// Attention of the last queries of a sequence, [batch, queries, heads, headDim], to all its tokens, keys and values
// [batch, tokens, kvHeads, headDim]: each sees the `window` tokens up to itself, or with 0 all of them. GPU, 16 bits.
int ct_flash_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, int64_t window, ct_tensor **out);
// cuDNN's attention, without a mask or with that of equally many queries and tokens; laid out as for ct_attention.
// totals: ln Σ exp(scores), float32 [batch, heads, queries].
int ct_cudnn_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, bool causal, ct_tensor **out,
                       ct_tensor **totals);
// Whether libtorch would take cuDNN's.
int ct_prefers_cudnn(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, bool causal, bool *out);
// Mean (or with `mean` false, per-row) negative log-likelihood of `targets` under softmax(logits).
int ct_cross_entropy(const ct_tensor *logits, const ct_tensor *targets, bool mean, ct_tensor **out);

// Linear algebra (float32, float64)
int ct_svd(const ct_tensor *, ct_tensor **u, ct_tensor **s, ct_tensor **vh);
int ct_svdvals(const ct_tensor *, ct_tensor **s);
int ct_qr(const ct_tensor *, ct_tensor **q, ct_tensor **r);
int ct_eigh(const ct_tensor *, ct_tensor **values, ct_tensor **vectors);
int ct_eigvalsh(const ct_tensor *, ct_tensor **values);
// `info` is 0 where the matrix is positive definite, else the order of the failing minor.
int ct_cholesky(const ct_tensor *, ct_tensor **lower, int *info);
int ct_solve(const ct_tensor *a, const ct_tensor *b, ct_tensor **x);
int ct_solve_triangular(const ct_tensor *a, const ct_tensor *b, bool upper, bool left, ct_tensor **x);
int ct_lstsq(const ct_tensor *a, const ct_tensor *b, ct_tensor **x);

// Gradients
int ct_set_gradients(bool enabled, bool *previous);
int ct_require_gradient(ct_tensor *, bool required);
int ct_requires_gradient(const ct_tensor *, bool *out);
int ct_backward(const ct_tensor *);
// The accumulated gradient, or NULL where there is none.
int ct_gradient(const ct_tensor *, ct_tensor **out);
int ct_clear_gradient(ct_tensor *);
// d(output)/d(inputs[i]) into gradients[i] without touching the inputs' own gradients.
int ct_gradients(const ct_tensor *output, ct_tensor *const *inputs, int count, ct_tensor **gradients);
// The same for an output of any shape: d⟨upstream, output⟩/d(inputs[i]).
int ct_pulled_back(const ct_tensor *output, const ct_tensor *upstream, ct_tensor *const *inputs, int count,
                   ct_tensor **gradients);

// Optimisation, over lists of `count` tensors of one type on one device
// 2-norm of all elements together, shape [].
int ct_total_norm(ct_tensor *const *tensors, int count, ct_tensor **out);
// One AdamW step in place. `step`: float32, this step's number, on the tensors' device. Gradients are divided by
// `divisor`, a float32 of shape [], and nothing happens where `skip`, alike, is 1; either may be NULL.
int ct_adamw_(ct_tensor *const *parameters, ct_tensor *const *gradients, ct_tensor *const *means,
              ct_tensor *const *squares, int count, const ct_tensor *step, double rate, double beta1, double beta2,
              double decay, double epsilon, const ct_tensor *divisor_or_null, const ct_tensor *skip_or_null);

// Processes that compute together (c10d): gloo for tensors on the CPU, NCCL for those of a GPU. Every process makes the
// same calls in the same order with contiguous tensors of the same shapes and types.
typedef struct ct_group ct_group;
// Called on a thread of its own where another process is lost and nothing has asked for 10 seconds; ends the process.
typedef void (*ct_lost)(const char *cause);

// Makes `index` the device of the calling thread, where work goes that names none; nothing for the CPU.
int ct_use_device(ct_device_kind kind, int index);
// Returns once all `size` processes have come to the store at `host`:`port`, which the one that `serves` keeps itself.
// `name`: of this attempt; one store may outlive several. `kind`: of the tensors beside those on the CPU.
// `patience`: seconds that a process is waited for at the start, and that it may give no sign of life afterwards.
int ct_group_make(const char *host, int port, bool serves, const char *name, int rank, int size, ct_device_kind kind,
                  double patience, ct_lost lost, ct_group **out);
// The sum over processes, in place.
int ct_group_sum_(ct_group *, ct_tensor *);
// What process `root` has, in place.
int ct_group_broadcast_(ct_group *, ct_tensor *, int root);
// Waits for all processes to come here and frees the group.
int ct_group_close(ct_group *);
// After a failure: stops watching, and waits for nobody.
void ct_group_abandon(ct_group *);

#ifdef __cplusplus
}
#endif
#endif
