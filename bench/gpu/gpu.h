/*
 * gpu_bench: the CUDA engine on this machine's GPU, checked and timed; what `./dev gpu` runs. It needs model/ and kernels/ alone,
 * so that a bare GPU machine can build it. Without a GPU, tests run it on fake devices.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "model/backend.h"
#include "model/model.h"

enum { SIZES = 8 };
extern const uint32_t gpu_sizes[SIZES]; /* 1, 8, 64, 512, 1024, 4096, 16384, 65536 */

/* A model on an engine, and rows for it in memory that the engine may read where it lies. */
struct subject {
    const char *path;
    struct model *model;
    struct engine engine;
    struct prepared *prepared;
    uint32_t batch_max, in_flight_max;
    struct rows rows; /* base is owned */
    uint32_t row_count;
    uint64_t random;
};

/* --- subject.c. backend: &backend_cuda or another, with its options. rows of `from` are shared where it is not NULL.
 * STATUS_UNSUPPORTED: it does not compute this model. */
MUST_USE enum status subject_open(const struct backend *backend, const char *options, const char *path, const struct subject *from,
                                  struct subject *out, struct error *err);
void subject_close(struct subject *subject);

/* A batch and what it gives; for one batch at a time. */
struct call {
    struct batch batch;
    uint32_t *slots; /* [most], owned, as are the two below */
    double *margins, *scores;
    enum status status;
    bool done;
};
MUST_USE enum status call_init(struct call *call, const struct subject *subject, uint32_t most, struct error *err);
void call_free(struct call *call);
/* Fresh random rows, n of them; in: in a row from a random one on, as a file is scored; else each a random one. */
void call_pick(struct call *call, struct subject *subject, uint32_t n, bool in_a_row);
/* submit. */
enum status call_send(struct call *call, const struct subject *subject);
/* Sends and polls until it is back; ns: from submit to the scores being visible. */
enum status call_run(struct call *call, const struct subject *subject, int64_t *ns);

/* --- check.c: margins and scores against the reference at many sizes. Prints a line; false: they differ. */
bool check_subject(struct subject *subject, struct subject *reference);

/* --- measure.c */
struct latency {
    double p50_us, p99_us, p999_us;
    uint32_t samples;
};
MUST_USE enum status measure_latency(struct subject *subject, uint32_t n, double seconds, struct latency *out, struct error *err);
/* Rows a second with as many batches of n under way as the engine takes. */
MUST_USE enum status measure_rate(struct subject *subject, uint32_t n, double seconds, double *rows_per_s, struct error *err);
/* Bytes a second that the device's slot carries one way, before any overhead but the encoding's; 0: not known. */
double bus_bytes_per_s(const char *bus);
/* The smallest of the sizes from which on the GPU is the faster one, between sizes on a line; 0: it never is. */
double crossover(const struct latency *gpu, const struct latency *cpu, uint32_t count);

/* --- naive.c: copy in, a cuBLAS product and a kernel a layer, copy out, wait: what a framework does for a small network.
 * false: it can't be had here (out says why), or this model is no plain network of dense layers. */
struct naive;
bool naive_open(const char *library, const struct subject *subject, struct naive **out, struct error *why);
double naive_us(struct naive *naive, struct subject *subject, uint32_t n, double seconds);
/* The largest difference of its scores to ours, which is that of the arithmetic. */
double naive_difference(struct naive *naive, struct subject *subject);
void naive_close(struct naive *naive);

/* --- report.c */
struct results {
    const char *path;
    uint32_t count; /* of sizes that were measured */
    struct latency gpu[SIZES], cpu[SIZES];
    double naive_us[SIZES], naive_difference; /* 0: not measured */
    double rows_per_s, bus_bytes_per_s, bytes_a_row, crossover_rows;
    char engine[1024];                        /* what it says of itself */
};
/* The bound of the bus for n rows, in us; 0: the bus is not known. */
double bus_bound_us(const struct results *results, uint32_t n);
void report_table(FILE *out, const struct results *results);
void report_json(FILE *out, const struct results *results, size_t n, const char *device);
