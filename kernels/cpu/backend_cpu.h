/*
 * The CPU backend: forests by the fastest kernels that this processor has. Synchronous: done is called before submit returns,
 * and any number of threads may submit at once.
 *
 * backend_cpu takes the best instruction set there is. The others hold to one, for tests, measurements and --engine; opening
 * one that the processor lacks is STATUS_UNSUPPORTED.
 */
#pragma once

#include "model/backend.h"

extern const struct backend backend_cpu, backend_cpu_scalar, backend_cpu_avx2, backend_cpu_avx512;
