/* Rows to try kernels on, and a stopwatch. */
#pragma once

#include "kernels/cpu/inputs.h"
#include "model/backend.h"

enum { TRIAL_BATCH_MAX = 1024 };

struct trial {
    struct rows rows;                 /* owned; as many as fit 16 MB, 256 at most */
    uint32_t slots[TRIAL_BATCH_MAX];  /* each a row, mixed; repeated where there are fewer rows */
    double *margins;                  /* [TRIAL_BATCH_MAX][outputs], owned */
};

/* Rows on and around the forest's own thresholds, so that all its branches are taken. Before inputs_forget_lookup.
 * STATUS_NO_MEMORY. trial_free in any case. */
MUST_USE enum status trial_make(const struct inputs *inputs, struct trial *out, struct error *err);
void trial_free(struct trial *trial);

/* Rows of float32 numbers like standardised ones, for what has no thresholds. Likewise. */
MUST_USE enum status trial_make_plain(uint32_t features, uint32_t outputs, struct trial *out, struct error *err);

/* Microseconds that run(context, trial, slots, n) takes for n rows: of this thread's time; the least of some calls, each
 * on other rows where n is small. Makes calls until budget_us has gone by, one at least. */
double trial_measure(struct trial *trial, uint32_t n, double budget_us,
                     void (*run)(const void *context, struct trial *trial, const uint32_t *slots, uint32_t n), const void *context);
