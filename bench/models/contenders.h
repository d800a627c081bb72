/*
 * bench/models in C: whoever computes a model, behind one interface, so that calls are timed without a Python in between.
 * run.py loads this as a shared library next to the rivals' own.
 *
 * Every contender computes margins of `n` rows that lie side by side; rows are held as float32 and as float64, and each takes
 * what it is quickest with. Each call gets other rows than the one before.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct contender_rows {
    uint32_t count, columns;
    const float *f32;  /* [count][columns] */
    const double *f64; /* [count][columns] */
};

struct contender {
    const struct contender_rows *rows;
    /* Margins of rows [first, first + n) into out[n]. 0, or -1 with a failure. */
    int (*run)(struct contender *contender, uint32_t first, uint32_t n, double *out);
    void (*close)(struct contender *contender); /* frees it */
};

/* All return NULL on failure, with the reason in error[error_bytes]. library: path of a rival's shared library. */
struct contender *contender_assay(const struct contender_rows *rows, const char *engine, const char *model, char *error, size_t error_bytes);
struct contender *contender_xgboost(const struct contender_rows *rows, const char *library, const char *model, char *error,
                                    size_t error_bytes);
/* single: rows one by one by the fast single-row call; else batches by the ordinary one. */
struct contender *contender_lightgbm(const struct contender_rows *rows, const char *library, const char *model, int single, char *error,
                                     size_t error_bytes);
/* output: name of the tensor of scores [rows][columns]; `column` of it counts. */
struct contender *contender_onnx(const struct contender_rows *rows, const char *library, const char *model, const char *output,
                                 uint32_t columns, uint32_t column, char *error, size_t error_bytes);
/* Dense layers with relu between them and a sigmoid behind: widths[layers + 1]; weights[2 * layers]: of each layer the weights
 * [in][out] and the bias [out]. Both are the caller's and outlive it. */
struct contender *contender_openblas(const struct contender_rows *rows, const char *library, const uint32_t *widths,
                                     const float *const *weights, uint32_t layers, char *error, size_t error_bytes);
/* is_f64: compiled from a model of float64 numbers. */
struct contender *contender_tl2cgen(const struct contender_rows *rows, const char *library, int is_f64, char *error, size_t error_bytes);
/* function: what lleaves compiled, for float32 rows and sums in float64 or float32. */
struct contender *contender_lleaves(const struct contender_rows *rows, void *function, int is_f64, char *error, size_t error_bytes);

/* Fused multiply-adds of float32 that this thread's core does at best, in 10^9 operations a second; 0: not known. */
double contender_peak_gflops(void);

/* What the Assay contender's engine says of itself, as text; valid until the next call. */
const char *contender_assay_describe(struct contender *contender);

int contender_run(struct contender *contender, uint32_t first, uint32_t n, double *out);
/* Microseconds of this thread's processor time per call, over `calls` calls of n rows, from row `first` on. < 0: failed. */
double contender_time(struct contender *contender, uint32_t first, uint32_t n, uint32_t calls);
void contender_close(struct contender *contender);

/* Opens a shared library and finds its functions: names[count] into functions[count]. 0, or -1 with the reason. */
int contender_load(const char *library, const char *const names[], void *functions[], size_t count, char *error, size_t error_bytes);
