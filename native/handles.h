// What the shim's sources share: the handle, and one try/catch per function, written once in `guarded`.
#ifndef CTORCH_HANDLES_H
#define CTORCH_HANDLES_H

#include "ctorch.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <vector>

struct ct_tensor {
    at::Tensor value;
};

extern thread_local std::string last_error;

template <typename Body>
int guarded(Body body) noexcept {
    try {
        body();
        return CT_OK;
    } catch (const c10::Error &error) {
        last_error = error.what_without_backtrace();
    } catch (const std::exception &error) {
        last_error = error.what();
    } catch (...) {
        last_error = "unknown C++ exception";
    }
    return CT_FAILED;
}

template <typename Make>
int made(ct_tensor **out, Make make) noexcept {
    return guarded([&] { *out = new ct_tensor{make()}; });
}

inline std::vector<at::Tensor> values(ct_tensor *const *tensors, int count) {
    std::vector<at::Tensor> list;
    list.reserve(count);
    for (int i = 0; i < count; i++) list.push_back(tensors[i]->value);
    return list;
}

inline std::optional<at::Tensor> optional(const ct_tensor *tensor) {
    if (tensor == nullptr) return std::nullopt;
    return tensor->value;
}

#endif
