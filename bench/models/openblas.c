/* Dense layers as a chain of cblas_sgemm, bias and relu in loops between them: what a careful hand-written server does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/models/contenders.h"

enum { BATCH_MAX = 4096, ROW_MAJOR = 101, NO_TRANSPOSE = 111 };

/* Of the build with 64-bit integers. */
typedef void sgemm_function(int order, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                            const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

struct openblas {
    struct contender contender;
    sgemm_function *sgemm;
    const uint32_t *widths;      /* [layers + 1], the caller's */
    const float *const *weights; /* [layers][weights [in][out], bias [out]], the caller's */
    uint32_t layers;
    float *activations[2]; /* [BATCH_MAX][the widest] */
};

static int run(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct openblas *o = (struct openblas *)contender;
    const float *x = contender->rows->f32 + (size_t)first * contender->rows->columns;
    for (uint32_t layer = 0; layer < o->layers; layer++) {
        uint32_t in = o->widths[layer], width = o->widths[layer + 1];
        float *y = o->activations[layer % 2];
        for (uint32_t r = 0; r < n; r++)
            memcpy(y + (size_t)r * width, o->weights[2 * layer + 1], width * sizeof *y);
        o->sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, n, width, in, 1, x, in, o->weights[2 * layer], width, 1, y, width);
        for (size_t i = 0; i < (size_t)n * width && layer + 1 < o->layers; i++)
            y[i] = y[i] < 0 ? 0 : y[i];
        x = y;
    }
    for (uint32_t r = 0; r < n; r++)
        out[r] = (double)(1.0f / (1.0f + expf(-x[r])));
    return 0;
}

static void close_openblas(struct contender *contender)
{
    struct openblas *o = (struct openblas *)contender;
    free(o->activations[0]);
    free(o->activations[1]);
    free(o);
}

struct contender *contender_openblas(const struct contender_rows *rows, const char *library, const uint32_t *widths,
                                     const float *const *weights, uint32_t layers, char *error, size_t error_bytes)
{
    static const char *const names[] = {"scipy_cblas_sgemm64_"};
    struct openblas *o = calloc(1, sizeof *o);
    uint32_t widest = 0;
    for (uint32_t i = 1; i <= layers; i++)
        widest = widths[i] > widest ? widths[i] : widest;
    if (!o || contender_load(library, names, (void **)(void *)&o->sgemm, 1, error, error_bytes) != 0) {
        free(o);
        return NULL;
    }
    o->contender = (struct contender){.rows = rows, .run = run, .close = close_openblas};
    o->widths = widths;
    o->weights = weights;
    o->layers = layers;
    for (int i = 0; i < 2; i++)
        o->activations[i] = malloc((size_t)BATCH_MAX * widest * sizeof(float));
    if (!o->activations[0] || !o->activations[1]) {
        (void)snprintf(error, error_bytes, "out of memory");
        close_openblas(&o->contender);
        return NULL;
    }
    return &o->contender;
}
