#include "model/decide.h"

#include <math.h>
#include <stdlib.h>

#include "model/base/check.h"

static enum status check_platt(const struct calibration *c, struct error *err)
{
    if (!isfinite(c->a) || !isfinite(c->b))
        return error_set(err, STATUS_INVALID, "platt: a and b must be finite");
    if (c->a >= 0)
        return error_set(
            err, STATUS_INVALID,
            "platt: a is %g but must be below 0: the score is 1 / (1 + exp(a * margin + b)), so another sign "
            "would turn good into bad",
            c->a);
    return STATUS_OK;
}

static enum status check_isotonic(const struct calibration *c, struct error *err)
{
    if (c->points == 0)
        return error_set(err, STATUS_INVALID, "isotonic: the table has no points");
    for (size_t i = 0; i < c->points; i++) {
        if (!isfinite(c->x[i]))
            return error_set(err, STATUS_INVALID, "isotonic: point %zu: x must be finite", i + 1);
        if (!(c->y[i] >= 0 && c->y[i] <= 1))
            return error_set(err, STATUS_INVALID, "isotonic: point %zu: y is %g, outside 0 to 1", i + 1, c->y[i]);
        if (i > 0 && !(c->x[i] > c->x[i - 1]))
            return error_set(err, STATUS_INVALID, "isotonic: point %zu: x is %g, not above the %g before it", i + 1,
                             c->x[i], c->x[i - 1]);
        if (i > 0 && !(c->y[i] >= c->y[i - 1]))
            return error_set(err, STATUS_INVALID, "isotonic: point %zu: y is %g, below the %g before it", i + 1,
                             c->y[i], c->y[i - 1]);
    }
    return STATUS_OK;
}

enum status calibration_check(const struct calibration *c, struct error *err)
{
    switch (c->kind) {
    case CALIBRATION_NONE:
        return STATUS_OK;
    case CALIBRATION_PLATT:
        return check_platt(c, err);
    case CALIBRATION_ISOTONIC:
        return check_isotonic(c, err);
    }
    CHECK(0 && "a calibration of unknown kind");
    return STATUS_INVALID;
}

static enum status check_reach(const char *name, double threshold, struct error *err)
{
    if (threshold <= 1 || isinf(threshold))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "%s: %g is never reached: the score is a probability, 0 to 1. Leave %s out if it is meant never to be taken", name,
                     threshold, name);
}

enum status policy_check(const struct policy *p, bool probability, struct error *err)
{
    if (isnan(p->review) || isnan(p->decline))
        return error_set(err, STATUS_INVALID, "a threshold is not a number");
    if (p->review > p->decline)
        return error_set(err, STATUS_INVALID, "review (%g) must not lie above decline (%g)", p->review, p->decline);
    enum status status = probability ? check_reach("review", p->review, err) : STATUS_OK;
    return status == STATUS_OK && probability ? check_reach("decline", p->decline, err) : status;
}

void calibration_free(struct calibration *c)
{
    free(c->x);
    free(c->y);
    *c = (struct calibration){0};
}

static double interpolate(const struct calibration *c, double score)
{
    size_t n = c->points;
    if (isnan(score))
        return score;
    if (score <= c->x[0])
        return c->y[0];
    if (score >= c->x[n - 1])
        return c->y[n - 1];
    size_t low = 0, high = n - 1; /* x[low] <= score < x[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (c->x[middle] <= score)
            low = middle;
        else
            high = middle;
    }
    double part = (score - c->x[low]) / (c->x[high] - c->x[low]);
    /* Rounding must not carry the value past the next point: the table stays monotonic to the last bit. */
    return fmin(c->y[low] + (c->y[high] - c->y[low]) * part, c->y[high]);
}

double calibrate(const struct calibration *c, double margin, double score)
{
    switch (c->kind) {
    case CALIBRATION_NONE:
        return score;
    case CALIBRATION_PLATT:
        return 1 / (1 + exp(c->a * margin + c->b));
    case CALIBRATION_ISOTONIC:
        return interpolate(c, score);
    }
    CHECK(0 && "a calibration of unknown kind");
    return NAN;
}

enum decision decide(const struct policy *p, double score)
{
    if (isnan(score))
        return DECISION_REVIEW;
    if (score >= p->decline)
        return DECISION_DECLINE;
    return score >= p->review ? DECISION_REVIEW : DECISION_APPROVE;
}

const char *decision_name(enum decision decision)
{
    static const char *const names[] = {"approve", "review", "decline"};
    CHECK(decision < DECISION_COUNT);
    return names[decision];
}
