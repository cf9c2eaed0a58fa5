// A CUDA driver of one device in the host's memory, with one kernel, `fill`: what the Swift side asks of a driver can be
// tested without a GPU. It is as strict as a driver: without a current context every call fails. One thread at a time.
#ifndef SIMULATED_CUDA_H
#define SIMULATED_CUDA_H

#include "ccuda.h"

#pragma clang assume_nonnull begin

typedef struct {
    CUlaunchConfig config;
    int dependent;
} simulated_launch;

const CCUDADriver *simulated_driver(void);
// What is not freed yet: contexts, memory, streams, events, modules, graphs.
int simulated_live(void);
simulated_launch simulated_last_launch(void);
// The most dynamic shared memory that was set for the kernel.
int simulated_shared_memory(void);
void simulated_set_capability(int major, int minor);
// As on another thread: no context is current.
void simulated_forget_context(void);
// Whether the driver can tell the parameters of a kernel.
void simulated_set_knows_parameters(int knows);

#pragma clang assume_nonnull end

#endif
