/*
 * The golden cases in memory: models as their libraries wrote them, rows, and the libraries' own answers. They come from
 * $ASSAY_SOURCE/tests/fixtures/golden and, where it is present, $ASSAY_SHARED/golden.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/model.h"

struct golden_case {
    const char *name;
    struct model *model;
    const struct model_info *info;
    struct rows rows;
    uint32_t row_count;
    double *margins; /* [row_count][info->margins] as the library says; NULL where the case gives none */
    double *scores;  /* [row_count][info->scores] */
    double margin_ulps, score_ulps, score_abs, score_rel;
    bool best; /* the trees up to best_iteration, and the answers for those */
};

struct golden_counts {
    int cases, refused; /* a refused one is no failure here: tests/e2e/golden_test.py says which may be */
    bool shared;        /* the large set was there */
};

/* Calls visit for each case that loads; the case is freed afterwards. Fails the running test where files are unreadable. */
void golden_visit(void (*visit)(const struct golden_case *c, void *arg), void *arg, struct golden_counts *counts);

/* Both NaN, or at most so many steps between neighbours of the type apart, or within an absolute or a relative distance. */
bool golden_near(enum number_type type, double got, double want, double ulps, double abs, double rel);

/* The same bits in the type, where any NaN equals any other. */
bool golden_same(enum number_type type, double a, double b);
