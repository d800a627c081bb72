/* LightGBM by its C API: the fast single-row call, or whole batches. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/models/contenders.h"

typedef void *handle;
enum { FLOAT64 = 1, RAW_SCORE = 1, ROW_MAJOR = 1, ALL = -1 };

struct functions {
    int (*load)(const char *path, int *iterations, handle *out);
    int (*fast_init)(handle booster, int predict_type, int start, int count, int data_type, int32_t columns, const char *parameters,
                     handle *out);
    int (*fast)(handle fast, const void *row, int64_t *length, double *out);
    int (*batch)(handle booster, const void *rows, int data_type, int32_t n, int32_t columns, int row_major, int predict_type, int start,
                 int count, const char *parameters, int64_t *length, double *out);
    int (*fast_free)(handle fast);
    int (*free)(handle booster);
    const char *(*last_error)(void);
};

static const char *const names[] = {"LGBM_BoosterCreateFromModelfile",
                                    "LGBM_BoosterPredictForMatSingleRowFastInit",
                                    "LGBM_BoosterPredictForMatSingleRowFast",
                                    "LGBM_BoosterPredictForMat",
                                    "LGBM_FastConfigFree",
                                    "LGBM_BoosterFree",
                                    "LGBM_GetLastError"};
static const char parameters[] = "num_threads=1";

struct lightgbm {
    struct contender contender;
    struct functions functions;
    handle booster, fast;
};

static int run_single(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct lightgbm *l = (struct lightgbm *)contender;
    int64_t length;
    for (uint32_t i = 0; i < n; i++) {
        if (l->functions.fast(l->fast, contender->rows->f64 + (size_t)(first + i) * contender->rows->columns, &length, out + i) != 0)
            return -1;
    }
    return 0;
}

static int run_batch(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct lightgbm *l = (struct lightgbm *)contender;
    int64_t length;
    return l->functions.batch(l->booster, contender->rows->f64 + (size_t)first * contender->rows->columns, FLOAT64, (int32_t)n,
                              (int32_t)contender->rows->columns, ROW_MAJOR, RAW_SCORE, 0, ALL, parameters, &length, out);
}

static void close_lightgbm(struct contender *contender)
{
    struct lightgbm *l = (struct lightgbm *)contender;
    if (l->fast)
        (void)l->functions.fast_free(l->fast);
    if (l->booster)
        (void)l->functions.free(l->booster);
    free(l);
}

struct contender *contender_lightgbm(const struct contender_rows *rows, const char *library, const char *model, int single, char *error,
                                     size_t error_bytes)
{
    struct lightgbm *l = calloc(1, sizeof *l);
    int iterations;
    if (!l)
        return NULL;
    l->contender = (struct contender){.rows = rows, .run = single ? run_single : run_batch, .close = close_lightgbm};
    if (contender_load(library, names, (void **)(void *)&l->functions, sizeof names / sizeof names[0], error, error_bytes) != 0) {
        free(l);
        return NULL;
    }
    const struct functions *f = &l->functions;
    if (f->load(model, &iterations, &l->booster) != 0 ||
        f->fast_init(l->booster, RAW_SCORE, 0, ALL, FLOAT64, (int32_t)rows->columns, parameters, &l->fast) != 0) {
        (void)snprintf(error, error_bytes, "%s", f->last_error());
        close_lightgbm(&l->contender);
        return NULL;
    }
    return &l->contender;
}
