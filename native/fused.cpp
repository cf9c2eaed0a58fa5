// See ctorch.h: operations whose gradients are written here, where those that libtorch would record are slow.
#include "handles.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// [a·c − b·s, b·c + a·s] of the halves a, b of the last dimension, in four passes over halves and no concatenation.
at::Tensor rotated(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines, double sign) {
    auto half = x.size(-1) / 2;
    auto y = at::empty_like(x);
    auto a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
    auto first = y.narrow(-1, 0, half), second = y.narrow(-1, half, half);
    at::mul_out(first, a, cosines);
    first.addcmul_(b, sines, -sign);
    at::mul_out(second, b, cosines);
    second.addcmul_(a, sines, sign);
    return y;
}

// A rotation's gradient is the gradient turned back.
struct Rotation : torch::autograd::Function<Rotation> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &cosines,
                              const at::Tensor &sines) {
        context->save_for_backward({cosines, sines});
        return rotated(x, cosines, sines, 1);
    }
    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        return {rotated(gradients[0], saved[0], saved[1], -1), {}, {}};
    }
};

// x · rstd · w. On a GPU libtorch sums the gradient by w over the rows at a fifth of the memory's speed where rows
// are many: a product with the row of rstd does it at the speed of a product.
struct RMSNorm : torch::autograd::Function<RMSNorm> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
                              double epsilon) {
        auto [y, rstd] = at::_fused_rms_norm(x, weight.sizes(), weight, epsilon);
        context->save_for_backward({x, weight, rstd});
        return y;
    }
    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        auto &x = saved[0], &weight = saved[1], &rstd = saved[2];
        auto upstream = gradients[0].contiguous();
        auto [dx, none] = at::_fused_rms_norm_backward(upstream, x, weight.sizes(), rstd, weight, {true, false});
        auto width = weight.numel();
        auto products = (upstream * x).reshape({-1, width});
        auto dw = rstd.reshape({1, -1}).to(products.scalar_type()).mm(products).reshape({width});
        return {dx, dw, {}};
    }
};

// Rows from which the product is faster; the heads' own norms are narrower and have a quicker kernel.
constexpr int64_t wide = 256;

} // namespace

int ct_rotate(const ct_tensor *t, const ct_tensor *cosines, const ct_tensor *sines, ct_tensor **out) {
    return made(out, [&] {
        bool recorded = c10::GradMode::is_enabled() && t->value.requires_grad();
        return recorded ? Rotation::apply(t->value, cosines->value, sines->value)
                        : rotated(t->value, cosines->value, sines->value, 1);
    });
}

int ct_rms_norm(const ct_tensor *t, const ct_tensor *weight, double epsilon, ct_tensor **out) {
    return made(out, [&] {
        auto &x = t->value;
        auto &w = weight->value;
        bool recorded = c10::GradMode::is_enabled() && w.requires_grad();
        if (recorded && x.is_cuda() && w.numel() >= wide && x.scalar_type() == w.scalar_type())
            return RMSNorm::apply(x, w, epsilon);
        return at::rms_norm(x, w.sizes(), w, epsilon);
    });
}
