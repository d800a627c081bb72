#include "server/engine/cost.h"

#include <math.h>

#include "model/base/check.h"

static const double RATIO_MIN = 0.125, RATIO_MAX = 4; /* one batch says no more than this: a stall is no speed */
static const double FOLLOW_NS = 50e6;                  /* the scale follows with this time constant … */
static const double FOLLOW_LEAST = 1.0 / 32, FOLLOW_MOST = 0.25; /* … but no batch counts less or more */
static const double SHAPE_STEP = 1.0 / 64;
static const double SPREAD_LEAST = 1.05;
static const int64_t RECENT_NS = 1000000000, UNSEEN_NS = 250000000;
static const double RELAX_NS = 250e6;
static const double DOUBT_SCALE = 1.5;
enum { SLOWEST = 4 };

void cost_init(struct cost *cost, uint32_t batch_max, double ns)
{
    CHECK(batch_max > 0);
    *cost = (struct cost){.scale = 1, .spread = SPREAD_LEAST, .last = {1, 1}};
    for (uint32_t size = 1; size < batch_max && cost->count + 1 < COST_SIZES_MAX; size *= 2)
        cost->sizes[cost->count++] = size;
    cost->sizes[cost->count++] = batch_max;
    for (uint32_t i = 0; i < cost->count; i++)
        cost->shape_ns[i] = ns;
}

void cost_set(struct cost *cost, uint32_t i, double ns)
{
    CHECK(i < cost->count);
    for (uint32_t j = i; j < cost->count; j++) /* larger ones are not known yet, and cost no less */
        cost->shape_ns[j] = i > 0 && ns < cost->shape_ns[i - 1] ? cost->shape_ns[i - 1] : ns;
}

static double shape_at(const struct cost *cost, uint32_t n)
{
    uint32_t i = 0;
    while (i + 1 < cost->count && cost->sizes[i] < n)
        i++;
    if (i == 0 || cost->sizes[i] <= n)
        return cost->shape_ns[i];
    double part = (double)(n - cost->sizes[i - 1]) / (double)(cost->sizes[i] - cost->sizes[i - 1]);
    return cost->shape_ns[i - 1] + part * (cost->shape_ns[i] - cost->shape_ns[i - 1]);
}

double cost_mean_ns(const struct cost *cost, uint32_t n)
{
    return shape_at(cost, n) * cost->scale;
}

double cost_tail_ns(const struct cost *cost, uint32_t n)
{
    return cost_mean_ns(cost, n) * cost->spread;
}

uint32_t cost_fit(const struct cost *cost, double ns, uint32_t most)
{
    uint32_t low = 0, high = most; /* low fits (0 does), what lies above high does not */
    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        if (cost_tail_ns(cost, middle) <= ns)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* One of the slowest, about the 95th percentile of many: deaf to a stall or two, which no smaller batch would have been spared. */
static double spread_now(const struct cost *cost, int64_t now_ns)
{
    float slowest[SLOWEST] = {0}; /* falling */
    uint32_t live = 0;
    for (uint32_t i = 0; i < COST_RECENT; i++) {
        if (cost->recent_ns[i] == 0 || now_ns - cost->recent_ns[i] > RECENT_NS)
            continue;
        live++;
        float ratio = cost->recent[i];
        for (uint32_t j = 0; j < SLOWEST; j++) {
            float other = slowest[j];
            slowest[j] = ratio > other ? ratio : other;
            ratio = ratio > other ? other : ratio;
        }
    }
    double spread = live > 2 ? (double)slowest[1 + live / (COST_RECENT / 2)] : 1;
    return spread > SPREAD_LEAST ? spread : SPREAD_LEAST;
}

static double median_of_three(double a, double b, double c)
{
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* Bends the curve where the batch lay, a little; it still never falls with size. */
static void bend(struct cost *cost, uint32_t n, double ns)
{
    uint32_t i = 0;
    while (i + 1 < cost->count && cost->sizes[i + 1] <= n)
        i++;
    if (i + 1 < cost->count && n - cost->sizes[i] > cost->sizes[i + 1] - n)
        i++;
    double shape = cost->shape_ns[i] + (ns / shape_at(cost, n) - 1) * cost->shape_ns[i] * SHAPE_STEP;
    cost->shape_ns[i] = shape;
    for (uint32_t j = i; j-- > 0 && cost->shape_ns[j] > shape;)
        cost->shape_ns[j] = shape;
    for (uint32_t j = i + 1; j < cost->count && cost->shape_ns[j] < shape; j++)
        cost->shape_ns[j] = shape;
}

void cost_observe(struct cost *cost, uint32_t n, int64_t ns, int64_t now_ns)
{
    double scale = (double)ns / shape_at(cost, n), ratio = scale / cost->scale;
    double usual = median_of_three(scale, cost->last[0], cost->last[1]);
    ratio = fmin(fmax(ratio, RATIO_MIN), RATIO_MAX);
    double weight = (double)(now_ns - cost->seen_ns) / FOLLOW_NS;
    weight = fmin(fmax(weight, FOLLOW_LEAST), FOLLOW_MOST);
    if (cost->doubt) {
        weight = 1; /* all that is known of it */
        cost->last[1] = usual = scale;
    }
    cost->last[0] = cost->last[1];
    cost->last[1] = scale;
    cost->recent[cost->recent_at] = (float)ratio;
    cost->recent_ns[cost->recent_at] = now_ns;
    cost->recent_at = (cost->recent_at + 1) % COST_RECENT;
    cost->spread = spread_now(cost, now_ns);
    usual = fmin(fmax(usual, cost->scale * RATIO_MIN), cost->scale * RATIO_MAX);
    cost->scale += weight * (usual - cost->scale);
    if (ratio < 2 && ratio > 0.5)
        bend(cost, n, shape_at(cost, n) * ratio);
    cost->seen_ns = now_ns;
    cost->doubt = false;
}

void cost_relax(struct cost *cost, int64_t now_ns)
{
    if (now_ns - cost->seen_ns < UNSEEN_NS || cost->seen_ns == 0)
        return;
    cost->doubt = cost->doubt || cost->scale > DOUBT_SCALE;
    double left = exp(-(double)(now_ns - cost->seen_ns) / RELAX_NS);
    cost->scale = 1 + (cost->scale - 1) * left;
    cost->spread = spread_now(cost, now_ns);
    cost->seen_ns = now_ns;
}

double cost_saved_ns(const struct cost *cost)
{
    uint32_t most = cost->sizes[cost->count - 1];
    return cost_mean_ns(cost, 1) - cost_mean_ns(cost, most) / most;
}
