/*
 * GPUs that are none: a device table whose devices are threads. What is asked of a stream is done later, in the stream's
 * order but in any order among streams, and takes as long as a GPU would:
 *
 *     copy: fixed_us / 4 + bytes at 50 GB/s     kernel: fixed_us + row_us * rows, times (1 + jitter * u), u uniform in 0..1
 *
 * Kernels are computed by stand_in.h, to the bit. Faults come by the clock (lose_every_ms: every device fails whatever it is
 * asked from then on, and can't be opened again for lose_ms; the clock
 * runs from the start, or once the file ASSAY_FAKE_CUDA_BEGIN is there), or when a test says so. Memory is the host's, and is freed when its
 * device is closed, so that a sanitizer sees a use after that.
 *
 * Options, comma-separated: devices (0: there is no driver), fixed_us, row_us, jitter, seed, lose_every_ms, lose_ms.
 */
#pragma once

#include <stdbool.h>

#include "kernels/cuda/module.h"

/* The module: the table, the stand-in for kernels. */
extern const struct cuda_module fake_module;

/* Before any device is open. STATUS_USAGE. */
MUST_USE enum status fake_configure(const char *options, struct error *err);

/* Faults on demand; any thread, any time. */
enum fake_fault {
    FAKE_LOSE,    /* every call fails until the device has been closed and opened again */
    FAKE_ABSENT,  /* it can't be opened either, until FAKE_HEAL */
    FAKE_MUTE,    /* kernels end without an answer */
    FAKE_HANG,    /* kernels never end, until FAKE_HEAL */
    FAKE_STALL,   /* the next launch does not return before FAKE_HEAL */
    FAKE_WRONG,   /* margins are wrong in their last bit */
    FAKE_FULL,    /* no memory is to be had */
    FAKE_HEAL,    /* none of these any more */
};
void fake_fault(uint32_t device, enum fake_fault fault);

/* What the device has been asked since the process began. */
struct fake_counts {
    uint64_t opened, launches, copies, allocations; /* allocations: of the device's and of pinned memory */
    uint64_t live;                                  /* pieces of memory that are not freed */
    uint64_t mapped_reads;                          /* launches that read rows by slot where they lie */
};
struct fake_counts fake_counts(uint32_t device);
