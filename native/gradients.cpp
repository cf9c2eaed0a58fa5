// See ctorch.h: gradients, and what optimisers do with them.
#include "handles.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

// Gradients

int ct_set_gradients(bool enabled, bool *previous) {
    return guarded([&] {
        *previous = c10::GradMode::is_enabled();
        c10::GradMode::set_enabled(enabled);
    });
}
int ct_require_gradient(ct_tensor *t, bool required) {
    return guarded([&] { t->value.set_requires_grad(required); });
}
int ct_requires_gradient(const ct_tensor *t, bool *out) {
    return guarded([&] { *out = t->value.requires_grad(); });
}
int ct_backward(const ct_tensor *t) {
    return guarded([&] { t->value.backward(); });
}
int ct_gradient(const ct_tensor *t, ct_tensor **out) {
    return guarded([&] {
        *out = t->value.grad().defined() ? new ct_tensor{t->value.grad()} : nullptr;
    });
}
int ct_clear_gradient(ct_tensor *t) {
    return guarded([&] { t->value.mutable_grad() = at::Tensor(); });
}
int ct_gradients(const ct_tensor *output, ct_tensor *const *inputs, int count, ct_tensor **gradients) {
    return guarded([&] {
        auto found = torch::autograd::grad({output->value}, values(inputs, count));
        for (int i = 0; i < count; i++) gradients[i] = new ct_tensor{found[i]};
    });
}
int ct_pulled_back(const ct_tensor *output, const ct_tensor *upstream, ct_tensor *const *inputs, int count,
                   ct_tensor **gradients) {
    return guarded([&] {
        auto found = torch::autograd::grad({output->value}, values(inputs, count), {upstream->value});
        for (int i = 0; i < count; i++) gradients[i] = new ct_tensor{found[i]};
    });
}

// Optimisation

int ct_total_norm(ct_tensor *const *tensors, int count, ct_tensor **out) {
    return made(out, [&] { return at::linalg_vector_norm(at::stack(at::_foreach_norm(values(tensors, count)))); });
}
int ct_adamw_(ct_tensor *const *parameters, ct_tensor *const *gradients, ct_tensor *const *means,
              ct_tensor *const *squares, int count, const ct_tensor *step, double rate, double beta1, double beta2,
              double decay, double epsilon, const ct_tensor *divisor, const ct_tensor *skip) {
    return guarded([&] {
        // The kernels only read the step, so that one tensor serves all.
        std::vector<at::Tensor> steps(count, step->value);
        at::_fused_adamw_(values(parameters, count), values(gradients, count), values(means, count),
                          values(squares, count), /*max_exp_avg_sqs=*/{}, steps, rate, beta1, beta2, decay, epsilon,
                          /*amsgrad=*/false, /*maximize=*/false, optional(divisor), optional(skip));
    });
}
