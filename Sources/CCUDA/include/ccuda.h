// The few functions of the CUDA driver and of NVRTC that Minima calls, found when the program runs: nothing here needs
// CUDA to compile, and the libraries are looked for on the machine that the program runs on.
// Names, values and layouts are those of cuda.h and nvrtc.h (CUDA 12 and 13 agree on all of them).
#ifndef CCUDA_H
#define CCUDA_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;

#define CUDA_SUCCESS 0
#define CUDA_ERROR_INVALID_VALUE 1
#define CUDA_ERROR_OUT_OF_MEMORY 2
#define CUDA_ERROR_NOT_FOUND 500
#define CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT 16
#define CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR 75
#define CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR 76
#define CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN 97
#define CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES 3
#define CU_FUNC_ATTRIBUTE_NUM_REGS 4
#define CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES 8
#define CU_STREAM_CAPTURE_MODE_RELAXED 2
#define CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION 6

typedef union {
    char pad[64];
    int programmaticStreamSerializationAllowed;
} CUlaunchAttributeValue;

typedef struct {
    int id;
    char pad[4];
    CUlaunchAttributeValue value;
} CUlaunchAttribute;

typedef struct {
    unsigned int gridDimX, gridDimY, gridDimZ;
    unsigned int blockDimX, blockDimY, blockDimZ;
    unsigned int sharedMemBytes;
    CUstream _Nullable hStream;
    CUlaunchAttribute *_Nullable attrs;
    unsigned int numAttrs;
} CUlaunchConfig;

// Opaque; the driver asks for 64-byte alignment.
typedef struct {
    uint64_t words[16];
} CUtensorMap;

#define CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 9
#define CU_TENSOR_MAP_INTERLEAVE_NONE 0
#define CU_TENSOR_MAP_SWIZZLE_NONE 0
#define CU_TENSOR_MAP_SWIZZLE_128B 3
#define CU_TENSOR_MAP_L2_PROMOTION_L2_128B 2
#define CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE 0

// F(name as in the documentation, symbol in libcuda.so.1, parameters): the versions that CUDA 12 and 13 both have.
#define CCUDA_DRIVER_FUNCTIONS(F)                                                                                        \
    F(cuInit, "cuInit", (unsigned int flags))                                                                            \
    F(cuDriverGetVersion, "cuDriverGetVersion", (int *version))                                                          \
    F(cuGetErrorName, "cuGetErrorName", (CUresult error, const char *_Nullable *_Nonnull name))                          \
    F(cuGetErrorString, "cuGetErrorString", (CUresult error, const char *_Nullable *_Nonnull text))                      \
    F(cuDeviceGetCount, "cuDeviceGetCount", (int *count))                                                                \
    F(cuDeviceGet, "cuDeviceGet", (CUdevice *device, int ordinal))                                                       \
    F(cuDeviceGetName, "cuDeviceGetName", (char *name, int length, CUdevice device))                                     \
    F(cuDeviceGetAttribute, "cuDeviceGetAttribute", (int *value, int attribute, CUdevice device))                        \
    F(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext _Nullable *_Nonnull context, CUdevice device))    \
    F(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (CUdevice device))                                      \
    F(cuCtxSetCurrent, "cuCtxSetCurrent", (CUcontext context))                                                           \
    F(cuMemGetInfo, "cuMemGetInfo_v2", (size_t *free, size_t *total))                                                    \
    F(cuMemAlloc, "cuMemAlloc_v2", (CUdeviceptr *address, size_t bytes))                                                 \
    F(cuMemFree, "cuMemFree_v2", (CUdeviceptr address))                                                                  \
    F(cuMemHostAlloc, "cuMemHostAlloc", (void *_Nullable *_Nonnull address, size_t bytes, unsigned int flags))           \
    F(cuMemFreeHost, "cuMemFreeHost", (void *address))                                                                   \
    F(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))      \
    F(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void *to, CUdeviceptr from, size_t bytes, CUstream stream))            \
    F(cuMemsetD8Async, "cuMemsetD8Async", (CUdeviceptr to, unsigned char byte, size_t count, CUstream stream))           \
    F(cuModuleLoadData, "cuModuleLoadData", (CUmodule _Nullable *_Nonnull module, const void *image))                    \
    F(cuModuleUnload, "cuModuleUnload", (CUmodule module))                                                               \
    F(cuModuleGetFunction, "cuModuleGetFunction",                                                                        \
      (CUfunction _Nullable *_Nonnull function, CUmodule module, const char *name))                                      \
    F(cuFuncGetAttribute, "cuFuncGetAttribute", (int *value, int attribute, CUfunction function))                        \
    F(cuFuncSetAttribute, "cuFuncSetAttribute", (CUfunction function, int attribute, int value))                         \
    F(cuOccupancyMaxActiveBlocksPerMultiprocessor, "cuOccupancyMaxActiveBlocksPerMultiprocessor",                        \
      (int *blocks, CUfunction function, int threads, size_t sharedMemory))                                              \
    F(cuLaunchKernelEx, "cuLaunchKernelEx",                                                                              \
      (const CUlaunchConfig *config, CUfunction function, void *_Nullable *_Nullable parameters,                         \
       void *_Nullable *_Nullable extra))                                                                                \
    F(cuStreamCreate, "cuStreamCreate", (CUstream _Nullable *_Nonnull stream, unsigned int flags))                       \
    F(cuStreamDestroy, "cuStreamDestroy_v2", (CUstream stream))                                                          \
    F(cuStreamSynchronize, "cuStreamSynchronize", (CUstream stream))                                                     \
    F(cuStreamBeginCapture, "cuStreamBeginCapture_v2", (CUstream stream, int mode))                                      \
    F(cuStreamEndCapture, "cuStreamEndCapture", (CUstream stream, CUgraph _Nullable *_Nonnull graph))                    \
    F(cuGraphGetNodes, "cuGraphGetNodes", (CUgraph graph, CUgraphNode _Nullable *_Nullable nodes, size_t *count))        \
    F(cuGraphInstantiate, "cuGraphInstantiateWithFlags",                                                                 \
      (CUgraphExec _Nullable *_Nonnull executable, CUgraph graph, unsigned long long flags))                             \
    F(cuGraphDestroy, "cuGraphDestroy", (CUgraph graph))                                                                 \
    F(cuGraphLaunch, "cuGraphLaunch", (CUgraphExec executable, CUstream stream))                                         \
    F(cuGraphExecDestroy, "cuGraphExecDestroy", (CUgraphExec executable))                                                \
    F(cuEventCreate, "cuEventCreate", (CUevent _Nullable *_Nonnull event, unsigned int flags))                           \
    F(cuEventDestroy, "cuEventDestroy_v2", (CUevent event))                                                              \
    F(cuEventRecord, "cuEventRecord", (CUevent event, CUstream stream))                                                  \
    F(cuEventSynchronize, "cuEventSynchronize", (CUevent event))                                                         \
    F(cuEventElapsedTime, "cuEventElapsedTime", (float *milliseconds, CUevent start, CUevent end))                       \
    F(cuTensorMapEncodeTiled, "cuTensorMapEncodeTiled",                                                                  \
      (CUtensorMap *map, int type, unsigned int rank, CUdeviceptr address, const uint64_t *sizes,                        \
       const uint64_t *strides, const unsigned int *box, const unsigned int *steps, int interleave, int swizzle,         \
       int promotion, int fill))

#define CCUDA_FIELD(name, symbol, parameters) CUresult(*_Nonnull name) parameters;
typedef struct {
    CCUDA_DRIVER_FUNCTIONS(CCUDA_FIELD)
    // Since CUDA 12.4: NULL with an older driver.
    CUresult (*_Nullable cuFuncGetParamInfo)(CUfunction function, size_t index, size_t *offset, size_t *bytes);
} CCUDADriver;

typedef int nvrtcResult;
typedef struct CUnvrtcProgram_st *nvrtcProgram;

#define NVRTC_SUCCESS 0

typedef struct {
    const char *_Nonnull (*_Nonnull nvrtcGetErrorString)(nvrtcResult result);
    nvrtcResult (*_Nonnull nvrtcVersion)(int *major, int *minor);
    nvrtcResult (*_Nonnull nvrtcCreateProgram)(nvrtcProgram _Nullable *_Nonnull program, const char *source, const char *name,
                                               int headerCount, const char *_Nullable const *_Nullable headers,
                                               const char *_Nullable const *_Nullable includeNames);
    nvrtcResult (*_Nonnull nvrtcDestroyProgram)(nvrtcProgram _Nullable *_Nonnull program);
    nvrtcResult (*_Nonnull nvrtcCompileProgram)(nvrtcProgram program, int optionCount,
                                                const char *_Nullable const *_Nonnull options);
    nvrtcResult (*_Nonnull nvrtcGetCUBINSize)(nvrtcProgram program, size_t *bytes);
    nvrtcResult (*_Nonnull nvrtcGetCUBIN)(nvrtcProgram program, char *image);
    nvrtcResult (*_Nonnull nvrtcGetProgramLogSize)(nvrtcProgram program, size_t *bytes);
    nvrtcResult (*_Nonnull nvrtcGetProgramLog)(nvrtcProgram program, char *log);
} CCUDACompiler;

// Open a library, by name (looked for where the loader looks) or by path, and fill `table`. They return NULL, or else what
// was wrong, until the calling thread's next such call. What was opened stays open.
const char *_Nullable ccuda_open_driver(const char *library, CCUDADriver *table);
const char *_Nullable ccuda_open_compiler(const char *library, CCUDACompiler *table);

// The path of a library of that file name that this process has loaded already, or NULL.
const char *_Nullable ccuda_loaded_library(const char *name);

#pragma clang assume_nonnull end

#endif
