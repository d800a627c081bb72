/*
 * What the engine asks of a GPU: one table of calls. device_cuda.c is it over the CUDA runtime, inside libassay-cuda.so; a
 * fake one (tests/support/device_fake.h) runs kernels on host threads, late, out of order, failing and lost when told to.
 *
 * Each call returns a status; after one that failed, fault() says in words what it was. One thread uses a device, from open
 * to close. Only copy, launch and query are called once the server runs, and none of them waits for the device.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/kernels.h"
#include "model/base/status.h"

enum device_status {
    DEVICE_OK,
    DEVICE_NOT_READY, /* query: still at it */
    DEVICE_NO_MEMORY,
    DEVICE_FAILED, /* anything else, a lost device too: everything on it has to be made anew */
};

enum { DEVICE_NAME_MAX = 96, DEVICE_FAULT_MAX = 192 };

struct device_facts {
    char name[DEVICE_NAME_MAX]; /* "NVIDIA H100 80GB HBM3" */
    char uuid[48];              /* "GPU-…", or "MIG-…" of a slice */
    char bus[24];               /* "0000:1b:00.0" */
    uint32_t major, minor;      /* compute capability */
    uint32_t processors;        /* SMs */
    uint32_t block_shared_max;  /* bytes of shared memory that a block may have … */
    uint32_t processor_shared;  /* … and that a processor has */
    uint64_t memory_bytes;
    int32_t node;               /* NUMA node of its bus; -1: not known */
};

struct device;
struct device_stream;

struct device_table {
    const char *name; /* "CUDA runtime 13.0" */

    /* Devices that this process may use (MIG slices, CUDA_VISIBLE_DEVICES); `found` names them. STATUS_UNAVAILABLE: no driver, or
     * one that is too old; the message says which. Any thread. */
    enum status (*count)(uint32_t *out, struct error *found);
    /* Makes device `number` usable from this thread. */
    enum status (*open)(uint32_t number, struct device **out, struct error *err);
    /* Ends everything that was made on it, whatever state it is in; kernels under way are over when this returns. */
    void (*close)(struct device *device);
    const struct device_facts *(*facts)(const struct device *device);
    /* The last failure of this device in words: "cudaLaunchKernel: an illegal memory access was encountered (700)". */
    const char *(*fault)(const struct device *device);

    enum device_status (*memory)(struct device *device, uint64_t *free_bytes, uint64_t *total_bytes);
    enum device_status (*alloc)(struct device *device, size_t bytes, void **out);
    void (*free)(struct device *device, void *memory);
    enum device_status (*upload)(struct device *device, void *to, const void *from, size_t bytes); /* waits */

    /* Host memory that the device reads and writes where it lies; *mapped is the device's address of it. */
    enum device_status (*host_alloc)(struct device *device, size_t bytes, void **out, void **mapped);
    void (*host_free)(struct device *device, void *memory);
    enum device_status (*host_register)(struct device *device, void *memory, size_t bytes, void **mapped);
    void (*host_unregister)(struct device *device, void *memory);

    /* urgent: its kernels go before those of streams that are not. */
    enum device_status (*stream_create)(struct device *device, int urgent, struct device_stream **out);
    void (*stream_destroy)(struct device *device, struct device_stream *stream);
    /* Kernels that a model needs are loaded before the first launch; shared_bytes above the usual are allowed for it. */
    enum device_status (*prepare)(struct device *device, cuda_function function, uint32_t shared_bytes);

    /* In the stream's order, without waiting. */
    enum device_status (*copy)(struct device *device, struct device_stream *stream, void *to, const void *from, size_t bytes);
    enum device_status (*launch)(struct device *device, struct device_stream *stream, cuda_function function, const struct cuda_launch *launch,
                                 const struct cuda_args *args);
    /* Is all done that was asked of the stream? The only way to learn that a kernel failed. */
    enum device_status (*query)(struct device *device, struct device_stream *stream);
};
