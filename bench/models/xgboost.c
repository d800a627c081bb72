/* XGBoost by its C API: in-place prediction from a dense array, as its documentation advises for low latency. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/models/contenders.h"

typedef void *handle;

struct functions {
    int (*create)(handle *const data, uint64_t data_count, handle *out);
    int (*load)(handle booster, const char *path);
    int (*set_parameter)(handle booster, const char *name, const char *value);
    int (*predict)(handle booster, const char *array, const char *config, handle matrix, const uint64_t **shape, uint64_t *dimensions,
                   const float **out);
    int (*free)(handle booster);
    const char *(*last_error)(void);
};

static const char *const names[] = {"XGBoosterCreate",           "XGBoosterLoadModel", "XGBoosterSetParam",
                                    "XGBoosterPredictFromDense", "XGBoosterFree",      "XGBGetLastError"};

struct xgboost {
    struct contender contender;
    struct functions functions;
    handle booster;
};

static int run(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct xgboost *x = (struct xgboost *)contender;
    const struct contender_rows *rows = contender->rows;
    const uint64_t *shape;
    uint64_t dimensions;
    const float *margins;
    char array[200];
    (void)snprintf(array, sizeof array, "{\"data\":[%llu,true],\"shape\":[%u,%u],\"typestr\":\"<f4\",\"version\":3}",
                   (unsigned long long)(uintptr_t)(rows->f32 + (size_t)first * rows->columns), n, rows->columns);
    static const char config[] = "{\"type\":1,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"missing\":NaN,"
                                 "\"strict_shape\":false,\"cache_id\":0}";
    if (x->functions.predict(x->booster, array, config, NULL, &shape, &dimensions, &margins) != 0)
        return -1;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (double)margins[i];
    return 0;
}

static void close_xgboost(struct contender *contender)
{
    struct xgboost *x = (struct xgboost *)contender;
    if (x->booster)
        (void)x->functions.free(x->booster);
    free(x);
}

struct contender *contender_xgboost(const struct contender_rows *rows, const char *library, const char *model, char *error,
                                    size_t error_bytes)
{
    struct xgboost *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->contender = (struct contender){.rows = rows, .run = run, .close = close_xgboost};
    if (contender_load(library, names, (void **)(void *)&x->functions, sizeof names / sizeof names[0], error, error_bytes) != 0) {
        free(x);
        return NULL;
    }
    const struct functions *f = &x->functions;
    if (f->create(NULL, 0, &x->booster) != 0 || f->load(x->booster, model) != 0 || f->set_parameter(x->booster, "nthread", "1") != 0) {
        (void)snprintf(error, error_bytes, "%s", f->last_error());
        close_xgboost(&x->contender);
        return NULL;
    }
    return &x->contender;
}
