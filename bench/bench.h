/*
 * `assay bench`: ours against a baseline, in one run, interleaved, medians. Each benchmark is a file of this folder and a
 * line in benches.def.
 */
#pragma once

#include "server/cmd/command.h"

/* argv[0] is the benchmark's name; the exit codes of a subcommand. */
typedef int bench_run(const struct parts *parts, int argc, char **argv);

#define BENCH(name, function, summary) bench_run function;
#include "bench/benches.def"
#undef BENCH
