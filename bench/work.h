/* The work that benchmarks share: a bundle to score with and transactions for it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

#define WORK_BUNDLE "build/bench/card"

/* How to make WORK_BUNDLE, for messages. */
#define WORK_BUNDLE_HINT "make it with: python3 bench/models/make_bench_bundle.py --trees 100 --depth 6 --out " WORK_BUNDLE

struct gen;
/* Generated transactions of a seed; gen_free. */
MUST_USE enum status work_transactions(uint64_t seed, struct gen **out, struct error *err);

/* Writes the next transaction without its newline; */
size_t work_next(struct gen *gen, char *out, size_t size);
