/*
 * Each link as its library computes it: the same type, the same order. expf, exp and log1p are the C library's; another
 * one's may differ in the last bit, which is the only freedom here.
 */
#include "model/link.h"

#include <math.h>

#include "model/base/check.h"

static double sigmoid_f32(double margin)
{
    /* Above 88.7 expf would overflow: XGBoost cuts there, so its smallest score is 3.0e-39. */
    float negated = -(float)margin;
    float e = expf(negated > 88.7f ? 88.7f : negated);
    float sum = e + 1.0f;
    return (double)(1.0f / sum);
}

static double sigmoid_onnx(double margin)
{
    float m = (float)margin;
    float e = expf(-fabsf(m));
    float sum = 1.0f + e;
    float value = 1.0f / sum;
    return (double)(m < 0 ? 1.0f - value : value);
}

static double largest(const double *values, uint32_t n)
{
    double max = values[0];
    for (uint32_t i = 1; i < n; i++)
        max = values[i] > max ? values[i] : max;
    return max;
}

static void softmax_xgboost(const double *margins, double *scores, uint32_t n)
{
    float max = (float)largest(margins, n);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        float e = expf((float)margins[i] - max);
        scores[i] = (double)e;
        sum += scores[i];
    }
    for (uint32_t i = 0; i < n; i++)
        scores[i] = (double)((float)scores[i] / (float)sum);
}

static void softmax_onnx(const double *margins, double *scores, uint32_t n, double divisor)
{
    float max = (float)(largest(margins, n) / divisor), sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        float e = expf((float)(margins[i] / divisor) - max);
        scores[i] = (double)e;
        sum += e;
    }
    for (uint32_t i = 0; i < n; i++)
        scores[i] = (double)((float)scores[i] / sum);
}

static double softmax_second_onnx(const double *margins, double divisor)
{
    double shares[2];
    softmax_onnx(margins, shares, 2, divisor);
    return shares[1];
}

static void softmax_f64(const double *margins, double *scores, uint32_t n, double divisor)
{
    double max = largest(margins, n) / divisor, sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        scores[i] = exp(margins[i] / divisor - max);
        sum += scores[i];
    }
    for (uint32_t i = 0; i < n; i++)
        scores[i] /= sum;
}

/* A sort by insertion, as there are few outputs; equals keep their order. */
static void sort_up(const double *margins, double *scores, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        double value = margins[i];
        uint32_t at = i;
        for (; at > 0 && value < scores[at - 1]; at--)
            scores[at] = scores[at - 1];
        scores[at] = value;
    }
}

static double first_maximum(const double *margins, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        best = margins[i] > margins[best] ? i : best;
    return (double)best;
}

/* Links that turn each margin into a score by itself. */
static double single(enum link link, double parameter, double margin)
{
    switch (link) {
    case LINK_IDENTITY:
        return margin;
    case LINK_IDENTITY_F32:
        return (double)(float)margin;
    case LINK_SIGMOID_F32:
        return sigmoid_f32(margin);
    case LINK_SIGMOID_F64:
        return 1.0 / (1.0 + exp(-parameter * margin));
    case LINK_SIGMOID_ONNX:
        return sigmoid_onnx(margin);
    case LINK_EXP_F32:
        return (double)expf((float)margin);
    case LINK_EXP_F64:
        return exp(margin);
    case LINK_STEP:
        return margin > 0 ? 1 : 0;
    case LINK_LOG1P_EXP:
        return log1p(exp(margin));
    case LINK_SIGNED_SQUARE: {
        double sign = margin > 0 ? 1.0 : margin < 0 ? -1.0 : 0.0;
        return sign * margin * margin;
    }
    case LINK_SOFTMAX_XGBOOST:
    case LINK_SOFTMAX_F64:
    case LINK_SOFTMAX_ONNX:
    case LINK_SOFTMAX_SECOND_ONNX:
    case LINK_ARGMAX:
    case LINK_SORT:
    case LINK_COUNT:
        break;
    }
    CHECK(0 && "a link of one margin");
    return 0;
}

void link_apply(enum link link, double parameter, double divisor, const double *margins, double *scores, uint32_t outputs)
{
    if (link == LINK_SOFTMAX_XGBOOST)
        softmax_xgboost(margins, scores, outputs);
    else if (link == LINK_SOFTMAX_ONNX)
        softmax_onnx(margins, scores, outputs, divisor);
    else if (link == LINK_SOFTMAX_SECOND_ONNX)
        scores[0] = softmax_second_onnx(margins, divisor);
    else if (link == LINK_SOFTMAX_F64)
        softmax_f64(margins, scores, outputs, divisor);
    else if (link == LINK_SORT)
        sort_up(margins, scores, outputs);
    else if (link == LINK_ARGMAX)
        scores[0] = first_maximum(margins, outputs);
    else {
        for (uint32_t i = 0; i < outputs; i++)
            scores[i] = single(link, parameter, divisor == 1 ? margins[i] : margins[i] / divisor);
    }
}

uint32_t link_scores(enum link link, uint32_t outputs)
{
    return link == LINK_ARGMAX || link == LINK_SOFTMAX_SECOND_ONNX ? 1 : outputs;
}

bool link_is_probability(enum link link)
{
    switch (link) {
    case LINK_SIGMOID_F32:
    case LINK_SIGMOID_F64:
    case LINK_SIGMOID_ONNX:
    case LINK_STEP:
    case LINK_SOFTMAX_XGBOOST:
    case LINK_SOFTMAX_F64:
    case LINK_SOFTMAX_ONNX:
    case LINK_SOFTMAX_SECOND_ONNX:
        return true;
    default:
        return false;
    }
}
