// Stands in for gloo's: see ../context.h.
#pragma once

namespace gloo::transport {
class Device;
class UnboundBuffer {
  public:
    virtual ~UnboundBuffer();
};
}  // namespace gloo::transport
