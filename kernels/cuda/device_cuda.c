/*
 * The device table over the CUDA runtime, which is linked in statically: it looks for the driver (libcuda.so.1) at the first
 * call, and a machine without one is told so by count(). A device is opened in its own primary context; close resets it,
 * which is the one way back from an error that the driver calls sticky.
 */
#include "kernels/cuda/device_cuda.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device {
    int number;
    struct device_facts facts;
    char fault[DEVICE_FAULT_MAX];
};

/* Keeps the failure's words. What is not memory that is lacking is taken to have broken the context: after most errors every
 * later call fails, and the rest are not worth telling apart. */
static enum device_status result_of(struct device *device, const char *call, cudaError_t code)
{
    if (code == cudaSuccess)
        return DEVICE_OK;
    if (code == cudaErrorNotReady)
        return DEVICE_NOT_READY;
    (void)snprintf(device->fault, sizeof device->fault, "%s: %s (%d)", call, cudaGetErrorString(code), (int)code);
    (void)cudaGetLastError(); /* an error that does not stick must not be taken for the next call's */
    return code == cudaErrorMemoryAllocation ? DEVICE_NO_MEMORY : DEVICE_FAILED;
}

#define RESULT(device, call, ...) result_of(device, #call, call(__VA_ARGS__))

/* --- devices ----------------------------------------------------------------------------------------------------------- */

static void name_devices(int count, struct error *found)
{
    char names[sizeof found->message];
    size_t used = 0;
    for (int i = 0; i < count && used < sizeof names; i++) {
        struct cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, i) != cudaSuccess)
            continue;
        int n = snprintf(names + used, sizeof names - used, "%s%s, sm_%d%d, %zu GiB", used ? "; " : "", p.name, p.major, p.minor, p.totalGlobalMem >> 30);
        used += n > 0 ? (size_t)n : 0;
    }
    (void)error_set(found, STATUS_OK, "%d GPU%s: %.400s", count, count == 1 ? "" : "s", used ? names : "unknown");
}

static enum status cuda_count(uint32_t *out, struct error *found)
{
    int count = 0, driver = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    *out = (uint32_t)count;
    if (code == cudaSuccess) {
        name_devices(count, found);
        return STATUS_OK;
    }
    *out = 0;
    (void)cudaGetLastError();
    if (code == cudaErrorNoDevice)
        return error_set(found, STATUS_OK, "no GPU that this process may use");
    (void)cudaDriverGetVersion(&driver);
    if (driver == 0)
        return error_set(found, STATUS_UNAVAILABLE, "no NVIDIA driver (libcuda.so.1)");
    return error_set(found, STATUS_UNAVAILABLE, "the NVIDIA driver is for CUDA %d.%d: %s", driver / 1000, driver % 1000 / 10, cudaGetErrorString(code));
}

/* The file that sysfs keeps for every PCI device; its names are in lower case. */
static int32_t node_of(const char *bus)
{
    char path[96], text[16] = "";
    int length = snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", bus);
    for (int i = 0; i < length; i++)
        path[i] = path[i] >= 'A' && path[i] <= 'F' ? (char)(path[i] - 'A' + 'a') : path[i];
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    const char *line = fgets(text, sizeof text, file);
    (void)fclose(file);
    return line ? (int32_t)strtol(line, NULL, 10) : -1;
}

static void read_facts(struct device *device, const struct cudaDeviceProp *p)
{
    struct device_facts *f = &device->facts;
    const unsigned char *u = (const unsigned char *)p->uuid.bytes;
    (void)snprintf(f->name, sizeof f->name, "%.*s", DEVICE_NAME_MAX - 1, p->name);
    (void)snprintf(f->uuid, sizeof f->uuid, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
                   u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    (void)cudaDeviceGetPCIBusId(f->bus, sizeof f->bus, device->number);
    f->major = (uint32_t)p->major;
    f->minor = (uint32_t)p->minor;
    f->processors = (uint32_t)p->multiProcessorCount;
    f->block_shared_max = (uint32_t)p->sharedMemPerBlockOptin;
    f->processor_shared = (uint32_t)p->sharedMemPerMultiprocessor;
    f->memory_bytes = p->totalGlobalMem;
    f->node = node_of(f->bus);
}

static enum status cuda_open(uint32_t number, struct device **out, struct error *err)
{
    struct device *device = calloc(1, sizeof *device);
    if (!device)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    device->number = (int)number;
    struct cudaDeviceProp properties;
    enum device_status status = RESULT(device, cudaGetDeviceProperties, &properties, device->number);
    if (status == DEVICE_OK)
        status = RESULT(device, cudaInitDevice, device->number, cudaDeviceScheduleSpin | cudaDeviceMapHost, cudaInitDeviceFlagsAreValid);
    if (status == DEVICE_OK)
        status = RESULT(device, cudaSetDevice, device->number);
    if (status == DEVICE_OK && !properties.canMapHostMemory) {
        (void)snprintf(device->fault, sizeof device->fault, "%.*s cannot read host memory", DEVICE_NAME_MAX, properties.name);
        status = DEVICE_FAILED;
    }
    if (status != DEVICE_OK) {
        (void)error_set(err, STATUS_UNAVAILABLE, "GPU %u: %s", number, device->fault);
        free(device);
        return STATUS_UNAVAILABLE;
    }
    read_facts(device, &properties);
    *out = device;
    return STATUS_OK;
}

static void cuda_close(struct device *device)
{
    (void)cudaDeviceReset(); /* waits for kernels; says what it likes of a device that is lost */
    (void)cudaGetLastError();
    free(device);
}

static const struct device_facts *cuda_facts(const struct device *device)
{
    return &device->facts;
}

static const char *cuda_fault(const struct device *device)
{
    return device->fault;
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

static enum device_status cuda_memory(struct device *device, uint64_t *free_bytes, uint64_t *total_bytes)
{
    size_t rest = 0, total = 0;
    enum device_status status = RESULT(device, cudaMemGetInfo, &rest, &total);
    *free_bytes = rest;
    *total_bytes = total;
    return status;
}

static enum device_status cuda_alloc(struct device *device, size_t bytes, void **out)
{
    return RESULT(device, cudaMalloc, out, bytes);
}

static void cuda_free(struct device *device, void *memory)
{
    (void)RESULT(device, cudaFree, memory);
}

static enum device_status cuda_upload(struct device *device, void *to, const void *from, size_t bytes)
{
    return RESULT(device, cudaMemcpy, to, from, bytes, cudaMemcpyHostToDevice);
}

static enum device_status cuda_host_alloc(struct device *device, size_t bytes, void **out, void **mapped)
{
    enum device_status status = RESULT(device, cudaHostAlloc, out, bytes, cudaHostAllocMapped | cudaHostAllocPortable);
    return status == DEVICE_OK ? RESULT(device, cudaHostGetDevicePointer, mapped, *out, 0) : status;
}

static void cuda_host_free(struct device *device, void *memory)
{
    (void)RESULT(device, cudaFreeHost, memory);
}

/* Of several devices each registers the same memory: portable, so the first one's pages serve them all. */
static enum device_status cuda_host_register(struct device *device, void *memory, size_t bytes, void **mapped)
{
    cudaError_t code = cudaHostRegister(memory, bytes, cudaHostRegisterMapped | cudaHostRegisterPortable);
    if (code == cudaErrorHostMemoryAlreadyRegistered) {
        (void)cudaGetLastError();
        code = cudaSuccess;
    }
    enum device_status status = result_of(device, "cudaHostRegister", code);
    return status == DEVICE_OK ? RESULT(device, cudaHostGetDevicePointer, mapped, memory, 0) : status;
}

static void cuda_host_unregister(struct device *device, void *memory)
{
    (void)RESULT(device, cudaHostUnregister, memory);
}

/* --- streams ----------------------------------------------------------------------------------------------------------- */

static enum device_status cuda_stream_create(struct device *device, int urgent, struct device_stream **out)
{
    int least = 0, greatest = 0;
    enum device_status status = RESULT(device, cudaDeviceGetStreamPriorityRange, &least, &greatest);
    cudaStream_t stream = NULL;
    if (status == DEVICE_OK)
        status = RESULT(device, cudaStreamCreateWithPriority, &stream, cudaStreamNonBlocking, urgent ? greatest : least);
    *out = (struct device_stream *)stream;
    return status;
}

static void cuda_stream_destroy(struct device *device, struct device_stream *stream)
{
    (void)RESULT(device, cudaStreamDestroy, (cudaStream_t)stream);
}

/* The runtime knows a kernel by the address of its host function, as an object pointer. */
static const void *address_of(cuda_function function)
{
    const void *address;
    _Static_assert(sizeof address == sizeof function, "POSIX promises it");
    memcpy(&address, &function, sizeof address);
    return address;
}

static enum device_status cuda_prepare(struct device *device, cuda_function function, uint32_t shared_bytes)
{
    struct cudaFuncAttributes attributes;
    enum device_status status = RESULT(device, cudaFuncGetAttributes, &attributes, address_of(function)); /* loads it */
    if (status == DEVICE_OK && shared_bytes > (uint32_t)attributes.maxDynamicSharedSizeBytes)
        status = RESULT(device, cudaFuncSetAttribute, address_of(function), cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
    return status;
}

static enum device_status cuda_copy(struct device *device, struct device_stream *stream, void *to, const void *from, size_t bytes)
{
    return RESULT(device, cudaMemcpyAsync, to, from, bytes, cudaMemcpyDefault, (cudaStream_t)stream);
}

static enum device_status cuda_launch_kernel(struct device *device, struct device_stream *stream, cuda_function function,
                                             const struct cuda_launch *launch, const struct cuda_args *args)
{
    void *arguments[] = {(void *)(uintptr_t)args};
    const dim3 grid = {launch->grid, 1, 1}, block = {launch->block, 1, 1};
    return RESULT(device, cudaLaunchKernel, address_of(function), grid, block, arguments, launch->shared_bytes, (cudaStream_t)stream);
}

static enum device_status cuda_query(struct device *device, struct device_stream *stream)
{
    return RESULT(device, cudaStreamQuery, (cudaStream_t)stream);
}

const struct device_table device_cuda = {
    .name = "CUDA runtime",
    .count = cuda_count,
    .open = cuda_open,
    .close = cuda_close,
    .facts = cuda_facts,
    .fault = cuda_fault,
    .memory = cuda_memory,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .upload = cuda_upload,
    .host_alloc = cuda_host_alloc,
    .host_free = cuda_host_free,
    .host_register = cuda_host_register,
    .host_unregister = cuda_host_unregister,
    .stream_create = cuda_stream_create,
    .stream_destroy = cuda_stream_destroy,
    .prepare = cuda_prepare,
    .copy = cuda_copy,
    .launch = cuda_launch_kernel,
    .query = cuda_query,
};
