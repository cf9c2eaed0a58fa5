#define _GNU_SOURCE
#include "ccuda.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

// The layouts of cuda.h.
_Static_assert(sizeof(CUlaunchAttribute) == 72 && offsetof(CUlaunchAttribute, value) == 8, "CUlaunchAttribute");
_Static_assert(sizeof(CUlaunchConfig) == 56 && offsetof(CUlaunchConfig, hStream) == 32 &&
                   offsetof(CUlaunchConfig, attrs) == 40 && offsetof(CUlaunchConfig, numAttrs) == 48,
               "CUlaunchConfig");

static _Thread_local char reason[512];

static const char *note_loader_error(const char *library) {
    const char *text = dlerror();
    snprintf(reason, sizeof reason, "%s", text ? text : library);
    return reason;
}

static const char *note_missing(void *handle, const char *library, const char *symbol) {
    snprintf(reason, sizeof reason, "%s: has no function %s", library, symbol);
    dlclose(handle);
    return reason;
}

#define RESOLVE(field, symbol)                                                                                           \
    *(void **)&table->field = dlsym(handle, symbol);                                                                     \
    if (!*(void **)&table->field) return note_missing(handle, library, symbol);

#define RESOLVE_DRIVER(name, symbol, parameters) RESOLVE(name, symbol)

const char *ccuda_open_driver(const char *library, CCUDADriver *table) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return note_loader_error(library);
    CCUDA_DRIVER_FUNCTIONS(RESOLVE_DRIVER)
    *(void **)&table->cuFuncGetParamInfo = dlsym(handle, "cuFuncGetParamInfo");
    return NULL;
}

// NVRTC opens its second library by name alone, which the loader finds where it looks, or where it is open already: so
// the one beside NVRTC is opened first. Where there is none, compiling says that it is missing.
static void open_builtins(const CCUDACompiler *table) {
    Dl_info place;
    int major = 0, minor = 0;
    char path[4096];
    if (!dladdr(*(void *const *)&table->nvrtcVersion, &place) || !place.dli_fname) return;
    const char *slash = strrchr(place.dli_fname, '/');
    if (!slash || table->nvrtcVersion(&major, &minor) != NVRTC_SUCCESS) return;
    snprintf(path, sizeof path, "%.*s/libnvrtc-builtins.so.%d.%d", (int)(slash - place.dli_fname), place.dli_fname, major,
             minor);
    (void)dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

const char *ccuda_open_compiler(const char *library, CCUDACompiler *table) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return note_loader_error(library);
    RESOLVE(nvrtcGetErrorString, "nvrtcGetErrorString")
    RESOLVE(nvrtcVersion, "nvrtcVersion")
    RESOLVE(nvrtcCreateProgram, "nvrtcCreateProgram")
    RESOLVE(nvrtcDestroyProgram, "nvrtcDestroyProgram")
    RESOLVE(nvrtcCompileProgram, "nvrtcCompileProgram")
    RESOLVE(nvrtcGetCUBINSize, "nvrtcGetCUBINSize")
    RESOLVE(nvrtcGetCUBIN, "nvrtcGetCUBIN")
    RESOLVE(nvrtcGetProgramLogSize, "nvrtcGetProgramLogSize")
    RESOLVE(nvrtcGetProgramLog, "nvrtcGetProgramLog")
    open_builtins(table);
    return NULL;
}

typedef struct {
    const char *name, *path;
} search;

static int is_sought(struct dl_phdr_info *library, size_t size, void *context) {
    (void)size;
    search *sought = context;
    const char *slash = strrchr(library->dlpi_name, '/');
    if (!slash || strcmp(slash + 1, sought->name)) return 0;
    sought->path = library->dlpi_name;
    return 1;
}

const char *ccuda_loaded_library(const char *name) {
    search sought = {.name = name};
    dl_iterate_phdr(is_sought, &sought);
    return sought.path;
}
