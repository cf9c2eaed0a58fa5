// libtorch's packages hold gloo compiled in, and none of its headers, which c10d's ProcessGroupGloo.hpp includes.
// These five declare what that header names, as gloo does and no more; all of it is called inside of libtorch alone.
#pragma once
#include <chrono>
#include <memory>

namespace gloo {
class Context {
  public:
    void setTimeout(std::chrono::milliseconds);
};
}  // namespace gloo
