/*
 * From the model's answer to a decision: calibration, then policy thresholds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "model/base/status.h"

enum calibration_kind {
    CALIBRATION_NONE,     /* the model's own score */
    CALIBRATION_PLATT,    /* 1 / (1 + exp(a * margin + b)); Platt (1999), with his sign: a < 0 for a rising score */
    CALIBRATION_ISOTONIC, /* linear between the table's points on the model's score, flat outside them */
};

struct calibration {
    enum calibration_kind kind;
    double a, b;    /* PLATT */
    double *x, *y;  /* ISOTONIC: [points], x rising, y not falling, y within 0..1; owned */
    size_t points;
};

enum decision { DECISION_APPROVE, DECISION_REVIEW, DECISION_DECLINE, DECISION_COUNT };

/* A score at or above a threshold takes that decision, the graver one where both hold. */
struct policy {
    double review, decline; /* +inf: never */
};

/* Checks order, ranges, finiteness and the sign of Platt's a; STATUS_INVALID with the reason. */
MUST_USE enum status calibration_check(const struct calibration *c, struct error *err);
/* probability: scores lie within 0..1, and a threshold that none can reach is a mistake. */
MUST_USE enum status policy_check(const struct policy *p, bool probability, struct error *err);
void calibration_free(struct calibration *c);

double calibrate(const struct calibration *c, double margin, double score);

/* A score that is NaN (a model fed with infinities can give one) is sent to review: never approved unseen. */
enum decision decide(const struct policy *p, double score);

const char *decision_name(enum decision decision); /* "approve", "review", "decline" */
