/*
 * From margin to score: the link functions of the libraries, each in the library's own type and order of operations
 * (the project's docs/models.md lists them with their sources).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum link {
    LINK_IDENTITY,
    LINK_IDENTITY_F32,       /* the margin over the divisor, rounded to float32: ONNX averages, and sums in double */
    LINK_SIGMOID_F32,        /* XGBoost binary:logistic: 1 / (expf(min(-m, 88.7f)) + 1), float32 */
    LINK_SIGMOID_F64,        /* LightGBM: 1 / (1 + exp(-k * m)), k = parameter */
    LINK_SIGMOID_ONNX,       /* ONNX LOGISTIC: 1 / (1 + expf(-|m|)), mirrored for m < 0, float32 */
    LINK_EXP_F32,            /* XGBoost count:poisson and kin: expf(m) */
    LINK_EXP_F64,            /* LightGBM poisson and kin: exp(m) */
    LINK_STEP,               /* XGBoost binary:hinge: m > 0 */
    LINK_SOFTMAX_XGBOOST,    /* float32 exponentials, sum in double */
    LINK_SOFTMAX_F64,        /* LightGBM multiclass */
    LINK_SOFTMAX_ONNX,       /* float32 throughout */
    LINK_SOFTMAX_SECOND_ONNX, /* the same of two classes: that of class 1, one score per row */
    LINK_ARGMAX,             /* XGBoost multi:softmax: index of the first maximum, one score per row */
    LINK_LOG1P_EXP,          /* LightGBM cross_entropy_lambda: log1p(exp(m)) */
    LINK_SORT,               /* XGBoost reg:quantileerror from 3.4 on: the margins in ascending order */
    LINK_SIGNED_SQUARE,      /* LightGBM regression with sqrt: sign(m) * m * m */
    LINK_COUNT
};

/* margins[outputs] to scores[outputs] for one row; they may be the same array. float32 links take margins that are
 * float32 values and give such. parameter: the sigmoid's k; divisor: LightGBM's average over rounds, else 1. */
void link_apply(enum link link, double parameter, double divisor, const double *margins, double *scores, uint32_t outputs);

/* Whether its scores lie within 0..1 whatever the margins are. LINK_IDENTITY says nothing of them: false. */
bool link_is_probability(enum link link);

/* How many scores a row of `outputs` margins gives. */
uint32_t link_scores(enum link link, uint32_t outputs);
