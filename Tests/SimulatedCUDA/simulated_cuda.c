#include "simulated_cuda.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma clang assume_nonnull begin

enum { invalid_value = 1, out_of_memory = 2, not_initialized = 3, invalid_context = 201, not_found = 500, bad_capture = 900 };

typedef struct {
    float *values;
    float value;
    long long count;
} fill_call;

struct CUctx_st { int references; };
struct CUmod_st { int unused; };
struct CUfunc_st { int unused; };
struct CUgraph_st { fill_call calls[16]; size_t count; };
struct CUgraphExec_st { struct CUgraph_st graph; };
struct CUstream_st { struct CUgraph_st *_Nullable capture; };
struct CUevent_st { double milliseconds; };

static const size_t memory_total = 1u << 30;
static struct CUctx_st context;
static struct CUfunc_st fill;
static CUcontext _Nullable current;
static int initialized, live, shared_memory, major = 9, minor = 0;
static simulated_launch last;
static CCUDADriver table;

#define NEED_CONTEXT if (!current || context.references == 0) return invalid_context

#define MAKE(place)                                                                                                      \
    NEED_CONTEXT;                                                                                                        \
    *place = calloc(1, sizeof **place);                                                                                  \
    live++;                                                                                                              \
    return 0

static CUresult drop(void *pointer) {
    NEED_CONTEXT;
    free(pointer);
    live--;
    return 0;
}

static CUresult do_cuInit(unsigned int flags) { initialized = 1; return flags ? invalid_value : 0; }
static CUresult do_cuDriverGetVersion(int *version) { *version = 13000; return 0; }
static CUresult do_cuGetErrorName(CUresult error, const char *_Nullable *_Nonnull name) {
    *name = error == invalid_context ? "CUDA_ERROR_INVALID_CONTEXT" : "CUDA_ERROR_OTHER";
    return error == 12345 ? invalid_value : 0;
}
static CUresult do_cuGetErrorString(CUresult error, const char *_Nullable *_Nonnull text) {
    *text = error == invalid_context ? "invalid device context" : "another error";
    return 0;
}
static CUresult do_cuDeviceGetCount(int *count) { *count = 1; return initialized ? 0 : not_initialized; }
static CUresult do_cuDeviceGet(CUdevice *device, int ordinal) { *device = 7; return ordinal ? 101 : 0; }
static CUresult do_cuDeviceGetName(char *name, int length, CUdevice device) {
    strncpy(name, "Simulated", (size_t)length);
    return device == 7 ? 0 : invalid_value;
}
static CUresult do_cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = major; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = minor; break;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 232448; break;
        default: return invalid_value;
    }
    return device == 7 ? 0 : invalid_value;
}
static CUresult do_cuDevicePrimaryCtxRetain(CUcontext _Nullable *_Nonnull made, CUdevice device) {
    context.references++;
    live++;
    *made = &context;
    return device == 7 ? 0 : invalid_value;
}
static CUresult do_cuDevicePrimaryCtxRelease(CUdevice device) {
    if (context.references == 0) return invalid_context;
    context.references--;
    live--;
    if (context.references == 0) current = NULL;
    return device == 7 ? 0 : invalid_value;
}
static CUresult do_cuCtxSetCurrent(CUcontext made) { current = made; return 0; }
static CUresult do_cuMemGetInfo(size_t *free, size_t *total) {
    NEED_CONTEXT;
    *free = memory_total / 4;
    *total = memory_total;
    return 0;
}
static CUresult do_cuMemAlloc(CUdeviceptr *address, size_t bytes) {
    NEED_CONTEXT;
    if (bytes > memory_total / 4) return out_of_memory;
    *address = (CUdeviceptr)malloc(bytes);
    live++;
    return 0;
}
static CUresult do_cuMemFree(CUdeviceptr address) { return drop((void *)address); }
static CUresult do_cuMemHostAlloc(void *_Nullable *_Nonnull address, size_t bytes, unsigned int flags) {
    NEED_CONTEXT;
    *address = malloc(bytes);
    live++;
    return flags ? invalid_value : 0;
}
static CUresult do_cuMemFreeHost(void *address) { return drop(address); }
static CUresult do_cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    NEED_CONTEXT;
    if (stream->capture) return bad_capture;
    memcpy((void *)to, from, bytes);
    return 0;
}
static CUresult do_cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    NEED_CONTEXT;
    if (stream->capture) return bad_capture;
    memcpy(to, (const void *)from, bytes);
    return 0;
}
static CUresult do_cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t count, CUstream stream) {
    NEED_CONTEXT;
    if (stream->capture) return bad_capture;
    memset((void *)to, byte, count);
    return 0;
}
static CUresult do_cuModuleLoadData(CUmodule _Nullable *_Nonnull module, const void *image) {
    if (memcmp(image, "\x7f" "ELF", 4)) return 200;
    MAKE(module);
}
static CUresult do_cuModuleUnload(CUmodule module) { return drop(module); }
static CUresult do_cuModuleGetFunction(CUfunction _Nullable *_Nonnull function, CUmodule module, const char *name) {
    NEED_CONTEXT;
    (void)module;
    *function = &fill;
    return strcmp(name, "fill") ? not_found : 0;
}
static CUresult do_cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
    NEED_CONTEXT;
    *value = attribute == CU_FUNC_ATTRIBUTE_NUM_REGS ? 12 : 0;
    return function == &fill ? 0 : invalid_value;
}
static CUresult do_cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    NEED_CONTEXT;
    if (function != &fill || attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return invalid_value;
    shared_memory = value;
    return 0;
}
static CUresult do_cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int threads, size_t bytes) {
    NEED_CONTEXT;
    *blocks = bytes ? (int)(232448 / bytes) : 2048 / threads;
    return function == &fill ? 0 : invalid_value;
}
static void run(const fill_call *call) {
    for (long long i = 0; i < call->count; i++) call->values[i] = call->value;
}
static CUresult do_cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void *_Nullable *_Nullable parameters,
                                    void *_Nullable *_Nullable extra) {
    NEED_CONTEXT;
    if (function != &fill || !parameters || extra || !config->hStream) return invalid_value;
    last = (simulated_launch){.config = *config};
    for (unsigned int i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *attribute = &config->attrs[i];
        if (attribute->id == 6) last.dependent = attribute->value.programmaticStreamSerializationAllowed;
    }
    fill_call call = {*(float **)parameters[0], *(float *)parameters[1], *(long long *)parameters[2]};
    struct CUgraph_st *capture = config->hStream->capture;
    if (capture) capture->calls[capture->count++] = call;
    else run(&call);
    return 0;
}
static CUresult do_cuStreamCreate(CUstream _Nullable *_Nonnull stream, unsigned int flags) {
    if (flags) return invalid_value;
    MAKE(stream);
}
static CUresult do_cuStreamDestroy(CUstream stream) { return drop(stream); }
static CUresult do_cuStreamSynchronize(CUstream stream) {
    NEED_CONTEXT;
    return stream->capture ? bad_capture : 0;
}
static CUresult do_cuStreamBeginCapture(CUstream stream, int mode) {
    NEED_CONTEXT;
    if (mode != 2 || stream->capture) return invalid_value;
    stream->capture = calloc(1, sizeof *stream->capture);
    live++;
    return 0;
}
static CUresult do_cuStreamEndCapture(CUstream stream, CUgraph _Nullable *_Nonnull graph) {
    NEED_CONTEXT;
    if (!stream->capture) return invalid_value;
    *graph = stream->capture;
    stream->capture = NULL;
    return 0;
}
static CUresult do_cuGraphGetNodes(CUgraph graph, CUgraphNode _Nullable *_Nullable nodes, size_t *count) {
    *count = graph->count;
    return nodes ? invalid_value : 0;
}
static CUresult do_cuGraphInstantiate(CUgraphExec _Nullable *_Nonnull made, CUgraph graph, unsigned long long flags) {
    NEED_CONTEXT;
    *made = calloc(1, sizeof **made);
    (*made)->graph = *graph;
    live++;
    return flags ? invalid_value : 0;
}
static CUresult do_cuGraphDestroy(CUgraph graph) { return drop(graph); }
static CUresult do_cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    NEED_CONTEXT;
    if (stream->capture) return bad_capture;
    for (size_t i = 0; i < executable->graph.count; i++) run(&executable->graph.calls[i]);
    return 0;
}
static CUresult do_cuGraphExecDestroy(CUgraphExec executable) { return drop(executable); }
static CUresult do_cuEventCreate(CUevent _Nullable *_Nonnull event, unsigned int flags) {
    if (flags) return invalid_value;
    MAKE(event);
}
static CUresult do_cuEventDestroy(CUevent event) { return drop(event); }
static CUresult do_cuEventRecord(CUevent event, CUstream stream) {
    NEED_CONTEXT;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->milliseconds = now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
    return stream->capture ? bad_capture : 0;
}
static CUresult do_cuEventSynchronize(CUevent event) { return event->milliseconds > 0 ? 0 : invalid_value; }
static CUresult do_cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    if (start->milliseconds == 0 || end->milliseconds == 0) return invalid_value;
    *milliseconds = (float)(end->milliseconds - start->milliseconds);
    return 0;
}
static CUresult do_cuTensorMapEncodeTiled(CUtensorMap *map, int type, unsigned int rank, CUdeviceptr address, const uint64_t *sizes,
                                          const uint64_t *strides, const unsigned int *box, const unsigned int *steps, int interleave,
                                          int swizzle, int promotion, int fill_kind) {
    if ((uintptr_t)map % 64 || address % 16 || rank != 2 || strides[0] % 16 || box[0] > 256 || box[1] > 256) return invalid_value;
    const uint64_t words[16] = {address, sizes[0], sizes[1], strides[0], box[0], box[1], steps[0], steps[1], (uint64_t)type,
                                (uint64_t)interleave, (uint64_t)swizzle, (uint64_t)promotion, (uint64_t)fill_kind};
    memcpy(map->words, words, sizeof words);
    return 0;
}
static CUresult do_cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *bytes) {
    if (function != &fill || index > 2) return invalid_value;
    *offset = 8 * index;
    *bytes = index == 1 ? 4 : 8;
    return 0;
}

#define SET(name, symbol, parameters) table.name = do_##name;
const CCUDADriver *simulated_driver(void) {
    if (!table.cuInit) table.cuFuncGetParamInfo = do_cuFuncGetParamInfo;
    CCUDA_DRIVER_FUNCTIONS(SET)
    return &table;
}
int simulated_live(void) { return live; }
simulated_launch simulated_last_launch(void) { return last; }
int simulated_shared_memory(void) { return shared_memory; }
void simulated_set_capability(int new_major, int new_minor) {
    major = new_major;
    minor = new_minor;
}
void simulated_forget_context(void) { current = NULL; }
void simulated_set_knows_parameters(int knows) { table.cuFuncGetParamInfo = knows ? do_cuFuncGetParamInfo : NULL; }

#pragma clang assume_nonnull end
