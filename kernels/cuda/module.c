#include "kernels/cuda/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef ASSAY_CUDA_LAYOUT
#error "ASSAY_CUDA_LAYOUT comes from the build: see kernels/cuda/module.cmake"
#endif

const char *cuda_layout(void)
{
    return ASSAY_CUDA_LAYOUT;
}

/* The module's path beside the running binary; "" where that can't be told. */
static void beside_binary(char path[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof CUDA_MODULE_FILE);
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        memcpy(slash + 1, CUDA_MODULE_FILE, sizeof CUDA_MODULE_FILE);
    else
        path[0] = '\0';
}

static enum status check(void *library, const char *path, const struct cuda_module **out, struct error *err)
{
    cuda_module_entry *entry = NULL;
    *(void **)(&entry) = dlsym(library, CUDA_MODULE_SYMBOL); /* POSIX's way from an object pointer to a function */
    const struct cuda_module *module = entry ? entry() : NULL;
    if (!module)
        return error_set(err, STATUS_UNSUPPORTED, "%s is no CUDA module of Assay", path);
    if (strcmp(module->layout, cuda_layout()) != 0)
        return error_set(err, STATUS_UNSUPPORTED, "%s is of another build of Assay (%s, and this is %s); install the one that came with this binary",
                         path, module->layout, cuda_layout());
    *out = module;
    return STATUS_OK;
}

enum status cuda_module_load(const char *path, const struct cuda_module **out, struct error *err)
{
    char beside[PATH_MAX] = "";
    const char *asked = *path ? path : getenv("ASSAY_CUDA_MODULE");
    bool named = asked && *asked;
    if (!named) {
        beside_binary(beside);
        asked = beside[0] && access(beside, F_OK) == 0 ? beside : CUDA_MODULE_FILE;
    }
    void *library = dlopen(asked, RTLD_NOW | RTLD_LOCAL);
    if (library)
        return check(library, asked, out, err);
    if (!named && asked != beside)
        return error_set(err, STATUS_UNSUPPORTED, "no %s beside the binary or in the library path", CUDA_MODULE_FILE);
    const char *reason = dlerror();
    return error_set(err, STATUS_UNSUPPORTED, "%s", reason ? reason : asked);
}
