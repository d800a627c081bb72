/* Models compiled to machine code: tl2cgen's shared libraries and lleaves' functions, called directly. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/models/contenders.h"

struct compiled {
    struct contender contender;
    void (*predict_row)(void *row, int pred_margin, void *out); /* tl2cgen; a row of numbers serves as its array of union Entry */
    void (*predict_f32)(const float *rows, float *out, int from, int to); /* lleaves, one of the two */
    void (*predict_f64)(const double *rows, double *out, int from, int to);
    float narrow[4096];
};

static int run_tl2cgen(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct compiled *c = (struct compiled *)contender;
    const struct contender_rows *rows = contender->rows;
    for (uint32_t i = 0; i < n; i++) {
        float margin = 0;
        c->predict_row((void *)(uintptr_t)(rows->f32 + (size_t)(first + i) * rows->columns), 1, &margin);
        out[i] = (double)margin;
    }
    return 0;
}

static int run_tl2cgen_f64(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct compiled *c = (struct compiled *)contender;
    const struct contender_rows *rows = contender->rows;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = 0;
        c->predict_row((void *)(uintptr_t)(rows->f64 + (size_t)(first + i) * rows->columns), 1, &out[i]);
    }
    return 0;
}

static int run_lleaves_f64(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct compiled *c = (struct compiled *)contender;
    c->predict_f64(contender->rows->f64 + (size_t)first * contender->rows->columns, out, 0, (int)n);
    return 0;
}

static int run_lleaves_f32(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct compiled *c = (struct compiled *)contender;
    c->predict_f32(contender->rows->f32 + (size_t)first * contender->rows->columns, c->narrow, 0, (int)n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (double)c->narrow[i];
    return 0;
}

static void close_compiled(struct contender *contender)
{
    free(contender);
}

struct contender *contender_tl2cgen(const struct contender_rows *rows, const char *library, int is_f64, char *error, size_t error_bytes)
{
    static const char *const names[] = {"predict"};
    struct compiled *c = calloc(1, sizeof *c);
    if (!c || contender_load(library, names, (void **)(void *)&c->predict_row, 1, error, error_bytes) != 0) {
        free(c);
        return NULL;
    }
    c->contender = (struct contender){.rows = rows, .run = is_f64 ? run_tl2cgen_f64 : run_tl2cgen, .close = close_compiled};
    return &c->contender;
}

struct contender *contender_lleaves(const struct contender_rows *rows, void *function, int is_f64, char *error, size_t error_bytes)
{
    struct compiled *c = calloc(1, sizeof *c);
    if (!c) {
        (void)snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    void **slot = is_f64 ? (void **)(void *)&c->predict_f64 : (void **)(void *)&c->predict_f32;
    *slot = function;
    c->contender = (struct contender){.rows = rows, .run = is_f64 ? run_lleaves_f64 : run_lleaves_f32, .close = close_compiled};
    return &c->contender;
}
