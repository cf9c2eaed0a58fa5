// See ctorch.h.
#include "handles.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/SDPBackend.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/csrc/api/include/torch/version.h>

#include <malloc.h>

#include <string>
#include <vector>

thread_local std::string last_error;

namespace {

at::ScalarType scalar_type(ct_dtype type) {
    switch (type) {
        case CT_BOOL: return at::kBool;
        case CT_U8: return at::kByte;
        case CT_I8: return at::kChar;
        case CT_I16: return at::kShort;
        case CT_U16: return at::kUInt16;
        case CT_I32: return at::kInt;
        case CT_U32: return at::kUInt32;
        case CT_I64: return at::kLong;
        case CT_U64: return at::kUInt64;
        case CT_F8E4M3: return at::kFloat8_e4m3fn;
        case CT_F8E5M2: return at::kFloat8_e5m2;
        case CT_F16: return at::kHalf;
        case CT_BF16: return at::kBFloat16;
        case CT_F32: return at::kFloat;
        case CT_F64: return at::kDouble;
    }
    TORCH_CHECK(false, "unknown element type ", static_cast<int>(type));
}

ct_dtype element_type(at::ScalarType type) {
    switch (type) {
        case at::kBool: return CT_BOOL;
        case at::kByte: return CT_U8;
        case at::kChar: return CT_I8;
        case at::kShort: return CT_I16;
        case at::kUInt16: return CT_U16;
        case at::kInt: return CT_I32;
        case at::kUInt32: return CT_U32;
        case at::kLong: return CT_I64;
        case at::kUInt64: return CT_U64;
        case at::kFloat8_e4m3fn: return CT_F8E4M3;
        case at::kFloat8_e5m2: return CT_F8E5M2;
        case at::kHalf: return CT_F16;
        case at::kBFloat16: return CT_BF16;
        case at::kFloat: return CT_F32;
        case at::kDouble: return CT_F64;
        default: TORCH_CHECK(false, "element type ", type, " has no place in this ABI");
    }
}

at::Device device_of(ct_device_kind kind, int index) {
    return kind == CT_CPU ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<int8_t>(index));
}

at::TensorOptions options(ct_dtype type, ct_device_kind kind, int index) {
    return at::TensorOptions().dtype(scalar_type(type)).device(device_of(kind, index));
}

at::IntArrayRef list(const int64_t *dims, int rank) { return {dims, static_cast<size_t>(rank)}; }

}  // namespace

// Runtime

const char *ct_last_error(void) { return last_error.c_str(); }
const char *ct_torch_version(void) { return TORCH_VERSION; }
int ct_set_threads(int count) { return guarded([&] { at::set_num_threads(count); }); }
int ct_threads(int *out) { return guarded([&] { *out = at::get_num_threads(); }); }
int ct_seed(uint64_t seed) { return guarded([&] { at::manual_seed(seed); }); }

int ct_device_count(ct_device_kind kind, int *out) {
    return guarded([&] {
        *out = kind == CT_CPU ? 1
                              : (at::globalContext().hasCUDA() ? at::accelerator::deviceCount() : 0);
    });
}

int ct_synchronize(ct_device_kind kind, int index) {
    return guarded([&] {
        if (kind == CT_CUDA) at::accelerator::synchronizeDevice(static_cast<int8_t>(index));
    });
}

int ct_peak_memory(ct_device_kind kind, int index, int64_t *out) {
    return guarded([&] {
        *out = 0;
        if (kind != CT_CUDA) return;
        auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<int8_t>(index));
        *out = stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
    });
}

int ct_free_memory(ct_device_kind kind, int index, int64_t *out) {
    return guarded([&] {
        *out = 0;
        if (kind != CT_CUDA) return;
        auto memory = at::getDeviceAllocator(at::kCUDA)->getMemoryInfo(static_cast<c10::DeviceIndex>(index));
        *out = static_cast<int64_t>(memory.first);
    });
}

int ct_keep_freed_memory(void) {
    constexpr int limit = 1 << 30;
    mallopt(M_MMAP_THRESHOLD, limit);
    mallopt(M_TRIM_THRESHOLD, limit);
    return CT_OK;
}

int ct_return_freed_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    return CT_OK;
}

int ct_release_unused_memory(void) {
    malloc_trim(0);
    return CT_OK;
}

// Creation

int ct_full(const int64_t *dims, int rank, double value, ct_dtype type, ct_device_kind kind, int index,
            ct_tensor **out) {
    return made(out, [&] { return at::full(list(dims, rank), value, options(type, kind, index)); });
}

int ct_empty(const int64_t *dims, int rank, ct_dtype type, ct_device_kind kind, int index,
             ct_tensor **out) {
    return made(out, [&] { return at::empty(list(dims, rank), options(type, kind, index)); });
}

int ct_arange(double start, double end, double step, ct_dtype type, ct_device_kind kind, int index,
              ct_tensor **out) {
    return made(out, [&] { return at::arange(start, end, step, options(type, kind, index)); });
}

int ct_eye(int64_t rows, int64_t columns, ct_dtype type, ct_device_kind kind, int index,
           ct_tensor **out) {
    return made(out, [&] { return at::eye(rows, columns, options(type, kind, index)); });
}

int ct_random(const int64_t *dims, int rank, bool normal, uint64_t seed, ct_dtype type,
              ct_tensor **out) {
    return made(out, [&] {
        auto generator = at::detail::createCPUGenerator(seed);
        auto wanted = options(type, CT_CPU, 0);
        return normal ? at::randn(list(dims, rank), generator, wanted)
                      : at::rand(list(dims, rank), generator, wanted);
    });
}

int ct_noise(const int64_t *dims, int rank, uint64_t seed, ct_dtype type, ct_device_kind kind,
             int index, ct_tensor **out) {
    return made(out, [&] {
        auto wanted = options(type, kind, index);
        // A copy of the device's own generator: its state is not disturbed.
        auto generator = at::globalContext().defaultGenerator(wanted.device()).clone();
        generator.set_current_seed(seed);
        return at::randn(list(dims, rank), generator, wanted);
    });
}

int ct_from_memory(void *data, const int64_t *dims, int rank, ct_dtype type,
                   void (*release)(void *), void *context, ct_tensor **out) {
    return made(out, [&] {
        return at::from_blob(
            data, list(dims, rank), [release, context](void *) { if (release) release(context); },
            options(type, CT_CPU, 0));
    });
}

// Properties

void ct_free(ct_tensor *tensor) { delete tensor; }

int ct_rank(const ct_tensor *t, int *out) {
    return guarded([&] { *out = static_cast<int>(t->value.dim()); });
}

int ct_dims(const ct_tensor *t, int64_t *dims) {
    return guarded([&] {
        auto sizes = t->value.sizes();
        std::copy(sizes.begin(), sizes.end(), dims);
    });
}

int ct_type(const ct_tensor *t, ct_dtype *out) {
    return guarded([&] { *out = element_type(t->value.scalar_type()); });
}

int ct_device(const ct_tensor *t, ct_device_kind *kind, int *index) {
    return guarded([&] {
        *kind = t->value.is_cuda() ? CT_CUDA : CT_CPU;
        *index = t->value.is_cuda() ? t->value.get_device() : 0;
    });
}

int ct_data(const ct_tensor *t, void **out) {
    return guarded([&] { *out = t->value.data_ptr(); });
}

int ct_is_contiguous(const ct_tensor *t, bool *out) {
    return guarded([&] { *out = t->value.is_contiguous(); });
}

int ct_item(const ct_tensor *t, double *out) {
    return guarded([&] { *out = t->value.to(at::kDouble).item<double>(); });
}

// Conversions and views

int ct_to(const ct_tensor *t, ct_dtype type, ct_device_kind kind, int index, bool copy,
          ct_tensor **out) {
    return made(out, [&] {
        return t->value.to(device_of(kind, index), scalar_type(type), /*non_blocking=*/false, copy);
    });
}

int ct_upload(const ct_tensor *t, ct_device_kind kind, int index, ct_tensor **out) {
    return made(out, [&] {
        if (kind == CT_CPU) return t->value;
        // Only from pinned memory does the host not wait for the device.
        return t->value.pin_memory().to(device_of(kind, index), t->value.scalar_type(), /*non_blocking=*/true);
    });
}
int ct_contiguous(const ct_tensor *t, ct_tensor **out) {
    return made(out, [&] { return t->value.contiguous(); });
}
int ct_clone(const ct_tensor *t, ct_tensor **out) {
    return made(out, [&] { return t->value.clone(at::MemoryFormat::Contiguous); });
}
int ct_detach(const ct_tensor *t, ct_tensor **out) {
    return made(out, [&] { return t->value.detach(); });
}
int ct_reshape(const ct_tensor *t, const int64_t *dims, int rank, ct_tensor **out) {
    return made(out, [&] { return t->value.reshape(list(dims, rank)); });
}
int ct_view_as(const ct_tensor *t, ct_dtype type, ct_tensor **out) {
    return made(out, [&] { return t->value.view(scalar_type(type)); });
}
int ct_permute(const ct_tensor *t, const int64_t *order, int rank, ct_tensor **out) {
    return made(out, [&] { return t->value.permute(list(order, rank)); });
}
int ct_expand(const ct_tensor *t, const int64_t *dims, int rank, ct_tensor **out) {
    return made(out, [&] { return t->value.expand(list(dims, rank)); });
}
int ct_narrow(const ct_tensor *t, int64_t dim, int64_t start, int64_t length, ct_tensor **out) {
    return made(out, [&] { return t->value.narrow(dim, start, length); });
}
int ct_select(const ct_tensor *t, int64_t dim, int64_t index, ct_tensor **out) {
    return made(out, [&] { return t->value.select(dim, index); });
}
int ct_squeeze(const ct_tensor *t, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return t->value.squeeze(dim); });
}
int ct_unsqueeze(const ct_tensor *t, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return t->value.unsqueeze(dim); });
}
int ct_flip(const ct_tensor *t, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return t->value.flip({dim}); });
}
int ct_diagonal(const ct_tensor *t, ct_tensor **out) {
    return made(out, [&] { return t->value.diagonal(0, -2, -1); });
}
int ct_diag_embed(const ct_tensor *t, ct_tensor **out) {
    return made(out, [&] { return t->value.diag_embed(); });
}
int ct_triangle(const ct_tensor *t, bool upper, int64_t diagonal, ct_tensor **out) {
    return made(out, [&] { return upper ? t->value.triu(diagonal) : t->value.tril(diagonal); });
}
int ct_cat(ct_tensor *const *tensors, int count, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return at::cat(values(tensors, count), dim); });
}
int ct_stack(ct_tensor *const *tensors, int count, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return at::stack(values(tensors, count), dim); });
}
int ct_index_select(const ct_tensor *t, int64_t dim, const ct_tensor *index, ct_tensor **out) {
    return made(out, [&] { return t->value.index_select(dim, index->value); });
}
int ct_gather(const ct_tensor *t, int64_t dim, const ct_tensor *index, ct_tensor **out) {
    return made(out, [&] { return t->value.gather(dim, index->value); });
}
int ct_repeat_interleave(const ct_tensor *t, int64_t repeats, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return t->value.repeat_interleave(repeats, dim); });
}
int ct_pad(const ct_tensor *t, const int64_t *amounts, int count, double value, ct_tensor **out) {
    return made(out, [&] { return at::constant_pad_nd(t->value, list(amounts, count), value); });
}

// Elementwise

int ct_unary(ct_unary_op op, const ct_tensor *t, ct_tensor **out) {
    return made(out, [&]() -> at::Tensor {
        const at::Tensor &a = t->value;
        switch (op) {
            case CT_NEG: return a.neg();
            case CT_ABS: return a.abs();
            case CT_EXP: return a.exp();
            case CT_LOG: return a.log();
            case CT_SQRT: return a.sqrt();
            case CT_RSQRT: return a.rsqrt();
            case CT_RECIPROCAL: return a.reciprocal();
            case CT_SIN: return a.sin();
            case CT_COS: return a.cos();
            case CT_TANH: return a.tanh();
            case CT_SIGMOID: return a.sigmoid();
            case CT_SILU: return at::silu(a);
            case CT_RELU: return a.relu();
            case CT_GELU: return at::gelu(a);
            case CT_SQUARE: return a.square();
            case CT_SIGN: return a.sign();
            case CT_ISFINITE: return a.isfinite();
            case CT_LOGICAL_NOT: return a.logical_not();
            case CT_ROUND: return a.round();
        }
        TORCH_CHECK(false, "unknown unary operation ", static_cast<int>(op));
    });
}

// `Right` is a tensor or a scalar; libtorch overloads each of these for both but `pow` and the
// extrema, which the callers below map.
template <typename Right>
static at::Tensor binary(ct_binary_op op, const at::Tensor &a, const Right &b) {
    switch (op) {
        case CT_ADD: return a.add(b);
        case CT_SUB: return a.sub(b);
        case CT_MUL: return a.mul(b);
        case CT_DIV: return a.div(b);
        case CT_POW: return a.pow(b);
        case CT_EQ: return a.eq(b);
        case CT_NE: return a.ne(b);
        case CT_LT: return a.lt(b);
        case CT_LE: return a.le(b);
        case CT_GT: return a.gt(b);
        case CT_GE: return a.ge(b);
        default: TORCH_CHECK(false, "unknown binary operation ", static_cast<int>(op));
    }
}

int ct_binary(ct_binary_op op, const ct_tensor *a, const ct_tensor *b, ct_tensor **out) {
    return made(out, [&] {
        switch (op) {
            case CT_MAXIMUM: return at::maximum(a->value, b->value);
            case CT_MINIMUM: return at::minimum(a->value, b->value);
            case CT_AND: return at::logical_and(a->value, b->value);
            case CT_OR: return at::logical_or(a->value, b->value);
            default: return binary(op, a->value, b->value);
        }
    });
}

int ct_binary_scalar(ct_binary_op op, const ct_tensor *a, double b, ct_tensor **out) {
    return made(out, [&] {
        switch (op) {
            case CT_MAXIMUM: return a->value.clamp_min(b);
            case CT_MINIMUM: return a->value.clamp_max(b);
            default: return binary(op, a->value, at::Scalar(b));
        }
    });
}

int ct_clamp(const ct_tensor *t, double low, double high, ct_tensor **out) {
    return made(out, [&] { return t->value.clamp(low, high); });
}
int ct_where(const ct_tensor *condition, const ct_tensor *yes, const ct_tensor *no, ct_tensor **out) {
    return made(out, [&] { return at::where(condition->value, yes->value, no->value); });
}
int ct_masked_fill(const ct_tensor *t, const ct_tensor *mask, double value, ct_tensor **out) {
    return made(out, [&] { return t->value.masked_fill(mask->value, value); });
}

// In place

int ct_copy_(ct_tensor *into, const ct_tensor *from) {
    return guarded([&] {
        // copy_ would broadcast; a silent broadcast into a cache or a checkpoint is a bug.
        TORCH_CHECK(into->value.sizes() == from->value.sizes(), "copy needs equal shapes");
        into->value.copy_(from->value);
    });
}
int ct_fill_(ct_tensor *t, double value) { return guarded([&] { t->value.fill_(value); }); }
int ct_add_(ct_tensor *t, const ct_tensor *other, double alpha) {
    return guarded([&] { t->value.add_(other->value, alpha); });
}
int ct_mul_(ct_tensor *t, double factor) { return guarded([&] { t->value.mul_(factor); }); }
int ct_addmm_(ct_tensor *t, const ct_tensor *a, const ct_tensor *b, double beta, double alpha) {
    return guarded([&] { t->value.addmm_(a->value, b->value, beta, alpha); });
}
int ct_index_copy_(ct_tensor *t, int64_t dim, const ct_tensor *index, const ct_tensor *source) {
    return guarded([&] { t->value.index_copy_(dim, index->value, source->value); });
}
int ct_exp_(ct_tensor *t) {
    return guarded([&] { t->value.exp_(); });
}
int ct_multiply_(ct_tensor *t, const ct_tensor *factor) {
    return guarded([&] { t->value.mul_(factor->value); });
}
int ct_scatter_add_(ct_tensor *t, int64_t dim, const ct_tensor *index, const ct_tensor *source) {
    return guarded([&] { t->value.scatter_add_(dim, index->value, source->value); });
}
int ct_scatter_(ct_tensor *t, int64_t dim, const ct_tensor *index, const ct_tensor *source) {
    return guarded([&] { t->value.scatter_(dim, index->value, source->value); });
}

// Reductions

int ct_reduce(ct_reduction op, const ct_tensor *t, bool whole, int64_t dim, bool keep,
              ct_tensor **out) {
    return made(out, [&]() -> at::Tensor {
        const at::Tensor a = whole ? t->value.reshape({-1}) : t->value;
        if (whole) dim = 0, keep = false;
        switch (op) {
            case CT_SUM: return a.sum(dim, keep);
            case CT_MEAN: return a.mean(dim, keep);
            case CT_AMAX: return a.amax(dim, keep);
            case CT_AMIN: return a.amin(dim, keep);
            case CT_LOGSUMEXP: return a.logsumexp(dim, keep);
            case CT_ARGMAX: return a.argmax(dim, keep);
            case CT_NORM2: return at::linalg_vector_norm(a, 2, at::IntArrayRef{dim}, keep);
            case CT_PROD: return a.prod(dim, keep);
            case CT_ALL: return a.all(dim, keep);
            case CT_ANY: return a.any(dim, keep);
        }
        TORCH_CHECK(false, "unknown reduction ", static_cast<int>(op));
    });
}

int ct_cumsum(const ct_tensor *t, int64_t dim, ct_tensor **out) {
    return made(out, [&] { return t->value.cumsum(dim); });
}

static void write_pair(std::tuple<at::Tensor, at::Tensor> pair, ct_tensor **first, ct_tensor **second) {
    *first = new ct_tensor{std::get<0>(pair)};
    *second = new ct_tensor{std::get<1>(pair)};
}

int ct_sort(const ct_tensor *t, int64_t dim, bool descending, ct_tensor **values,
            ct_tensor **indices) {
    return guarded([&] {
        write_pair(at::sort(t->value, /*stable=*/true, dim, descending), values, indices);
    });
}

int ct_topk(const ct_tensor *t, int64_t count, int64_t dim, ct_tensor **values, ct_tensor **indices) {
    return guarded([&] { write_pair(t->value.topk(count, dim), values, indices); });
}

// Products

int ct_matmul(const ct_tensor *a, const ct_tensor *b, ct_tensor **out) {
    return made(out, [&] { return at::matmul(a->value, b->value); });
}
int ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *bias, ct_tensor **out) {
    return made(out, [&] { return at::linear(x->value, weight->value, optional(bias)); });
}
int ct_einsum(const char *equation, ct_tensor *const *tensors, int count, ct_tensor **out) {
    return made(out, [&] { return at::einsum(equation, values(tensors, count)); });
}

// Neural network

int ct_embedding(const ct_tensor *table, const ct_tensor *ids, ct_tensor **out) {
    return made(out, [&] { return at::embedding(table->value, ids->value); });
}
int ct_softmax(const ct_tensor *t, int64_t dim, bool logarithm, ct_tensor **out) {
    return made(out, [&] { return logarithm ? t->value.log_softmax(dim) : t->value.softmax(dim); });
}
int ct_linear_float(const ct_tensor *x, const ct_tensor *weight, ct_tensor **out) {
    return made(out, [&] {
        auto turned = weight->value.t();
        if (x->value.is_cuda() && x->value.scalar_type() != at::kFloat) return at::mm(x->value, turned, at::kFloat);
        return at::mm(x->value.to(at::kFloat), turned.to(at::kFloat));
    });
}
int ct_log_softmax_float(const ct_tensor *t, ct_tensor **out) {
    return made(out, [&] { return at::log_softmax(t->value, -1, at::kFloat); });
}
int ct_swiglu(const ct_tensor *gate, const ct_tensor *up, ct_tensor **out) {
    return made(out, [&] {
        auto activated = at::silu(gate->value);
        // In place, autograd would keep a copy of what is overwritten.
        return activated.requires_grad() ? activated.mul(up->value) : activated.mul_(up->value);
    });
}

int ct_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, const ct_tensor *mask,
                 bool causal, bool grouped, ct_tensor **out) {
    return made(out, [&] {
        return at::scaled_dot_product_attention(q->value, k->value, v->value, optional(mask),
                                                /*dropout_p=*/0.0, causal, /*scale=*/std::nullopt,
                                                grouped);
    });
}
int ct_flash_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, int64_t window, ct_tensor **out) {
    return made(out, [&] {
        std::optional<at::Tensor> none;
        std::optional<double> scale;
        std::optional<int64_t> before, behind;
        if (window > 0) before = window - 1, behind = 0;
        // With fewer queries than tokens the diagonal ends at the last of both.
        return std::get<0>(at::_flash_attention_forward(q->value, k->value, v->value, none, none, q->value.size(1),
                                                        k->value.size(1), /*dropout_p=*/0.0, /*is_causal=*/true,
                                                        /*return_debug_mask=*/false, scale, before, behind));
    });
}
int ct_cudnn_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, bool causal, ct_tensor **out,
                       ct_tensor **totals) {
    return guarded([&] {
        auto results = at::_scaled_dot_product_cudnn_attention(q->value, k->value, v->value, std::nullopt,
                                                               /*compute_log_sumexp=*/true, /*dropout_p=*/0.0, causal);
        auto &sums = std::get<1>(results);
        *out = new ct_tensor{std::get<0>(results)};
        *totals = new ct_tensor{sums.reshape({q->value.size(0), q->value.size(1), q->value.size(2)})};
    });
}
int ct_prefers_cudnn(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, bool causal, bool *out) {
    return guarded([&] {
        auto choice = at::_fused_sdp_choice(q->value, k->value, v->value, std::nullopt, /*dropout_p=*/0.0, causal,
                                            std::nullopt, /*enable_gqa=*/q->value.size(1) != k->value.size(1));
        *out = choice == static_cast<int64_t>(at::SDPBackend::cudnn_attention);
    });
}
int ct_cross_entropy(const ct_tensor *logits, const ct_tensor *targets, bool mean, ct_tensor **out) {
    return made(out, [&] {
        return at::cross_entropy_loss(logits->value, targets->value, /*weight=*/{},
                                      mean ? at::Reduction::Mean : at::Reduction::None);
    });
}

// Linear algebra

int ct_svd(const ct_tensor *t, ct_tensor **u, ct_tensor **s, ct_tensor **vh) {
    return guarded([&] {
        auto [left, singular, right] = at::linalg_svd(t->value, /*full_matrices=*/false);
        *u = new ct_tensor{left};
        *s = new ct_tensor{singular};
        *vh = new ct_tensor{right};
    });
}
int ct_svdvals(const ct_tensor *t, ct_tensor **s) {
    return made(s, [&] { return at::linalg_svdvals(t->value); });
}
int ct_qr(const ct_tensor *t, ct_tensor **q, ct_tensor **r) {
    return guarded([&] { write_pair(at::linalg_qr(t->value), q, r); });
}
int ct_eigh(const ct_tensor *t, ct_tensor **values, ct_tensor **vectors) {
    return guarded([&] { write_pair(at::linalg_eigh(t->value), values, vectors); });
}
int ct_eigvalsh(const ct_tensor *t, ct_tensor **values) {
    return made(values, [&] { return at::linalg_eigvalsh(t->value); });
}
int ct_cholesky(const ct_tensor *t, ct_tensor **lower, int *info) {
    return guarded([&] {
        auto [factor, status] = at::linalg_cholesky_ex(t->value);
        *info = status.item<int>();
        *lower = new ct_tensor{factor};
    });
}
int ct_solve(const ct_tensor *a, const ct_tensor *b, ct_tensor **x) {
    return made(x, [&] { return at::linalg_solve(a->value, b->value); });
}
int ct_solve_triangular(const ct_tensor *a, const ct_tensor *b, bool upper, bool left, ct_tensor **x) {
    return made(x, [&] { return at::linalg_solve_triangular(a->value, b->value, upper, left); });
}
int ct_lstsq(const ct_tensor *a, const ct_tensor *b, ct_tensor **x) {
    return made(x, [&] {
        // gelsd tolerates rank deficiency; CUDA offers only gels.
        auto driver = a->value.is_cuda() ? "gels" : "gelsd";
        return std::get<0>(at::linalg_lstsq(a->value, b->value, std::nullopt, driver));
    });
}
