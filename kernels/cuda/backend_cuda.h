/*
 * Models on an NVIDIA GPU: one engine a device, each with a thread that alone speaks to it.
 *
 *     submit ─► place ─► device thread: pieces of up to 4096 rows ─► stream 0..3 ─► flag seen ─► scores ─► poll ─► done
 *     (never waits)                       │                                                      (wake)
 *                                         └─ anything fails: places come back UNAVAILABLE at once, the device is reset and
 *                                            tried again after 50 ms, 100 ms, … 30 s; until then submit says UNAVAILABLE
 *
 * Options, comma-separated: device=N (of those that CUDA_VISIBLE_DEVICES leaves), module=PATH (libassay-cuda.so), streams=N
 * (1..4), batch_max=N, spin_us=N (how long the thread looks for work before it sleeps), hang_ms=N (a batch that took so long
 * is given back, and its device taken down).
 */
#pragma once

#include "model/backend.h"

struct cuda_module;

extern const struct backend backend_cuda;

/* For tests: the context's module, in place of the one that is looked for. After open, before prepare. */
void backend_cuda_use(void *context, const struct cuda_module *module);
