/*
 * An engine that takes as long as it is told: for tests and measurements of whatever stands before an engine. Its scores are
 * real (the CPU's), so a wrong or mixed-up answer shows; the time until they are handed out follows
 *
 *     l(b) = factor * (fixed_us + row_us * b) * (1 + jitter * u),  u uniform in 0..1
 *
 * Options, comma-separated: a preset (gpu: a discrete GPU behind PCIe 5), fixed_us, row_us, factor, jitter (0..10), streams
 * (batches at a time, each as fast as if alone), batch_max, seed; stall_every_ms and stall_ms (so often, nothing is handed
 * out for so long), fail_every_ms and fail_ms (likewise, every batch fails); stall_file and fail_file (the same for as long as there
 * is a file of that name). `synthetic:gpu,factor=40,jitter=0.05`.
 */
#pragma once

#include "model/backend.h"

extern const struct backend backend_synthetic;
