#include "kernels/cpu/plan.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/cpu/inputs.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/leaves.h"
#include "kernels/cpu/trial.h"
#include "kernels/cpu/walk.h"
#include "kernels/ref/forest_reference.h"

/* Of a forest with more nodes, laying out takes long: only what is likely to win is tried. */
enum { LARGE_FOREST = 1 << 20 };

enum { TURNS = 3 }; /* of everybody in a trial */

/* A second layout, or a larger one, must take less than this part of the other's time. */
static const double worth_it = 0.9;

static const double trial_us = 1000, crossover_us = 200, measure_us = 2000, long_us = 50000;

struct plan {
    const struct forest *forest;
    enum isa isa;
    const struct cpu_kernels *kernels; /* NULL: scalar */
    struct inputs *inputs;
    struct tree_order order;
    struct ranks *ranks;
    bool has_no_ranks; /* the forest cannot have them: not to be found out for every layout again */
    struct walk *walk; /* layouts that were not chosen are NULL */
    struct crown *crown;
    struct blend *blend;
    struct tile *tile;
    enum plan_kernel few, many;
    uint32_t many_from; /* rows from which many is quicker than few, 1 .. 65 */
    double us_1, us_64, us_1024; /* measured where the choice was left to the trial, else 0 */
};

static const struct cpu_kernels *kernels_of(enum isa isa)
{
#if defined(__x86_64__)
    if (isa == ISA_AVX512)
        return &cpu_kernels_avx512;
    if (isa == ISA_AVX2)
        return &cpu_kernels_avx2;
#endif
    (void)isa;
    return NULL;
}

/* --- computing -------------------------------------------------------------------------------------------------------- */

static void compute(const struct plan *plan, enum plan_kernel kernel, const struct rows *rows, const uint32_t *slots, uint32_t n,
                    double *margins)
{
    switch (kernel) {
    case PLAN_WALK:
        walk_margins(plan->walk, rows, slots, n, margins);
        break;
    case PLAN_CROWN:
        crown_margins(plan->crown, plan->kernels, rows, slots, n, margins);
        break;
    case PLAN_BLEND:
        blend_margins(plan->blend, plan->kernels, rows, slots, n, margins);
        break;
    case PLAN_TILE:
        tile_margins(plan->tile, plan->kernels, rows, slots, n, margins);
        break;
    case PLAN_ANY:
    case PLAN_REFERENCE:
        forest_reference_margins(plan->forest, rows, slots, n, margins);
        break;
    }
}

void plan_margins(const struct plan *plan, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    uint32_t rest = n % 64, whole = n - rest;
    uint32_t by_many = rest >= plan->many_from ? n : whole;
    if (by_many > 0)
        compute(plan, plan->many, rows, slots, by_many, margins);
    if (n > by_many)
        compute(plan, plan->few, rows, slots + by_many, n - by_many, margins + (size_t)by_many * plan->forest->outputs);
}

/* --- choosing --------------------------------------------------------------------------------------------------------- */

struct attempt {
    const struct plan *plan;
    enum plan_kernel kernel; /* PLAN_ANY: as the plan says */
};

static void run_attempt(const void *context, struct trial *trial, const uint32_t *slots, uint32_t n)
{
    const struct attempt *attempt = context;
    if (attempt->kernel == PLAN_ANY)
        plan_margins(attempt->plan, &trial->rows, slots, n, trial->margins);
    else
        compute(attempt->plan, attempt->kernel, &trial->rows, slots, n, trial->margins);
}

static double measure(const struct plan *plan, enum plan_kernel kernel, struct trial *trial, uint32_t n, double budget_us)
{
    struct attempt attempt = {.plan = plan, .kernel = kernel};
    return trial_measure(trial, n, budget_us, run_attempt, &attempt);
}

static uint32_t depth_of(const struct forest *forest)
{
    uint32_t depth = 1;
    for (uint32_t t = 0; t < forest->tree_count; t++)
        depth = forest->trees[t].depth > depth ? forest->trees[t].depth : depth;
    return depth;
}

/* The deepest crown that three fifths of the leaves pay for: a full one has as many exits. */
static uint32_t crown_depth_max(const struct forest *forest)
{
    uint64_t leaves = 0;
    for (uint32_t t = 0; t < forest->tree_count; t++)
        leaves += forest->trees[t].leaves;
    uint32_t depth = 2;
    while (depth < CROWN_DEPTH_MAX && (uint64_t)forest->tree_count * 5 << (depth + 1) <= leaves * 3)
        depth++;
    return depth;
}

/* Crowns of depths from .. to are made and tried in turn; plan->crown becomes the quickest. */
static enum status try_crowns(struct plan *plan, uint32_t from, uint32_t to, struct trial *trial, struct error *err)
{
    struct crown *made[CROWN_DEPTH_MAX + 1] = {NULL};
    double us[CROWN_DEPTH_MAX + 1];
    uint32_t best = from;
    enum status status = STATUS_OK;
    for (uint32_t d = from; d <= to && status == STATUS_OK; d++) {
        status = crown_make(plan->ranks, &plan->order, d, plan->kernels->crown_columns, &made[d], err);
        us[d] = INFINITY;
    }
    for (uint32_t t = 0; t < TURNS && status == STATUS_OK && from < to; t++) {
        for (uint32_t d = from; d <= to; d++) {
            plan->crown = made[d];
            us[d] = fmin(us[d], measure(plan, PLAN_CROWN, trial, 1, trial_us / TURNS));
        }
    }
    for (uint32_t d = from + 1; d <= to && status == STATUS_OK; d++)
        best = us[d] < us[best] * worth_it ? d : best; /* from the smallest layout on */
    for (uint32_t d = from; d <= to; d++) {
        if (d != best || status != STATUS_OK)
            crown_free(made[d]);
    }
    plan->crown = status == STATUS_OK ? made[best] : NULL;
    return status;
}

/* Crowns of several depths are tried where trees are deeper than a crown: a higher one costs more for every tree, and sends
 * fewer of them on to pages. Of a large forest only one is built, such that full trees fill their pages of four levels. */
static enum status choose_crown(struct plan *plan, const struct plan_options *options, struct trial *trial, struct error *err)
{
    uint32_t tree_depth = depth_of(plan->forest), depth_max = crown_depth_max(plan->forest), only = options->crown_depth;
    if (only == 0 && tree_depth <= CROWN_DEPTH_MAX)
        only = tree_depth;
    if (only == 0 && plan->forest->node_count > LARGE_FOREST)
        only = 3 + (tree_depth + 1) % 4;
    if (only == 0)
        return try_crowns(plan, depth_max < 4 ? depth_max : 4, depth_max, trial, err);
    only = only >= tree_depth ? tree_depth : only < depth_max ? only : depth_max;
    return try_crowns(plan, only, only, trial, err);
}

/* Makes one layout. STATUS_UNSUPPORTED: it cannot take this forest. */
static enum status lay_out(struct plan *plan, const struct plan_options *options, enum plan_kernel kernel, struct trial *trial,
                           struct error *err)
{
    if (kernel == PLAN_REFERENCE)
        return STATUS_OK;
    if (kernel == PLAN_WALK)
        return plan->walk ? STATUS_OK : walk_make(plan->inputs, &plan->order, &plan->walk, err);
    if (!plan->kernels)
        return error_set(err, STATUS_UNSUPPORTED, "this kernel needs vector instructions");
    if (!plan->order.plain)
        return error_set(err, STATUS_UNSUPPORTED, "this kernel takes one plain number a leaf");
    if (plan->has_no_ranks)
        return error_set(err, STATUS_UNSUPPORTED, "this kernel needs ranks");
    enum status status = plan->ranks ? STATUS_OK : ranks_make(plan->inputs, &plan->ranks, err);
    plan->has_no_ranks = status == STATUS_UNSUPPORTED;
    if (status != STATUS_OK)
        return status;
    if (kernel == PLAN_CROWN)
        return plan->crown ? STATUS_OK : choose_crown(plan, options, trial, err);
    if (kernel == PLAN_TILE && !plan->kernels->tile_block)
        return error_set(err, STATUS_UNSUPPORTED, "this kernel needs AVX-512 with VBMI");
    if (kernel == PLAN_TILE)
        return plan->tile ? STATUS_OK : tile_make(plan->ranks, &plan->order, &plan->tile, err);
    return plan->blend ? STATUS_OK : blend_make(plan->ranks, &plan->order, plan->kernels->blend_leaves, &plan->blend, err);
}

/* others: how many kernels can take the forest, of those tried before. */
static bool is_worth_trying(const struct plan *plan, enum plan_kernel kernel, uint32_t n, uint32_t others)
{
    if (kernel == PLAN_BLEND || kernel == PLAN_TILE)
        return n >= 64; /* they take long for the first row; where they come in is found below */
    bool is_last_resort = kernel == PLAN_WALK && plan->forest->node_count > LARGE_FOREST;
    return !is_last_resort || others == 0;
}

/* The quickest kernel for n rows, or the wanted one. One that is laid out anyway, for few rows, is preferred. */
static enum status choose(struct plan *plan, const struct plan_options *options, enum plan_kernel wanted, struct trial *trial, uint32_t n,
                          enum plan_kernel *out, struct error *err)
{
    static const enum plan_kernel kernels[] = {PLAN_CROWN, PLAN_TILE, PLAN_BLEND, PLAN_WALK};
    enum plan_kernel tried[sizeof kernels / sizeof kernels[0]];
    double us[sizeof kernels / sizeof kernels[0]];
    uint32_t count = 0, best = 0;
    *out = wanted != PLAN_ANY ? wanted : PLAN_REFERENCE;
    if (wanted != PLAN_ANY)
        return lay_out(plan, options, wanted, trial, err);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (!is_worth_trying(plan, kernels[i], n, count))
            continue;
        enum status status = lay_out(plan, options, kernels[i], trial, err);
        if (status != STATUS_OK && status != STATUS_UNSUPPORTED)
            return status;
        us[count] = INFINITY;
        tried[count] = kernels[i];
        count += status == STATUS_OK;
    }
    for (uint32_t t = 0; t < TURNS && count > 1; t++) { /* in turn: what disturbs the machine meets all alike */
        for (uint32_t i = 0; i < count; i++)
            us[i] = fmin(us[i], measure(plan, tried[i], trial, n, trial_us / TURNS));
    }
    for (uint32_t i = 0; i < count && count > 1; i++) {
        us[i] /= n > 1 && tried[i] != plan->few ? worth_it : 1;
        best = us[i] < us[best] ? i : best;
    }
    *out = count > 0 ? tried[best] : PLAN_REFERENCE;
    return STATUS_OK;
}

/* By bisection: the kernel for few rows takes its time for each, the one for many has more to do before the first. */
static void find_many_from(struct plan *plan, struct trial *trial)
{
    uint32_t low = 1, high = 65; /* many is quicker at high, or high is 65 */
    while (plan->few != plan->many && low < high) {
        uint32_t n = (low + high) / 2;
        double few_us = measure(plan, plan->few, trial, n, crossover_us), many_us = measure(plan, plan->many, trial, n, crossover_us);
        if (many_us < few_us)
            high = n;
        else
            low = n + 1;
    }
    plan->many_from = low;
}

static void drop_losers(struct plan *plan)
{
    if (plan->few != PLAN_WALK && plan->many != PLAN_WALK) {
        walk_free(plan->walk);
        plan->walk = NULL;
    }
    if (plan->few != PLAN_CROWN && plan->many != PLAN_CROWN) {
        crown_free(plan->crown);
        plan->crown = NULL;
    }
    if (plan->few != PLAN_BLEND && plan->many != PLAN_BLEND) {
        blend_free(plan->blend);
        plan->blend = NULL;
    }
    if (plan->few != PLAN_TILE && plan->many != PLAN_TILE) {
        tile_free(plan->tile);
        plan->tile = NULL;
    }
    if (plan->ranks && !plan->crown && !plan->blend && !plan->tile) {
        ranks_free(plan->ranks);
        plan->ranks = NULL;
    }
    if (plan->ranks)
        ranks_forget_lookup(plan->ranks);
    inputs_forget_lookup(plan->inputs);
}

static enum status make(struct plan *plan, const struct plan_options *options, struct trial *trial, struct error *err)
{
    enum status status = inputs_make(plan->forest, &plan->inputs, err);
    if (status == STATUS_OK)
        status = tree_order_make(plan->forest, &plan->order, err);
    if (status == STATUS_OK)
        status = trial_make(plan->inputs, trial, err);
    if (status == STATUS_OK)
        status = choose(plan, options, options->few, trial, 1, &plan->few, err);
    if (status == STATUS_OK)
        status = choose(plan, options, options->many, trial, 64, &plan->many, err);
    if (status != STATUS_OK)
        return status;
    find_many_from(plan, trial);
    drop_losers(plan);
    if (options->few != PLAN_ANY && options->many != PLAN_ANY)
        return STATUS_OK;
    plan->us_1 = measure(plan, PLAN_ANY, trial, 1, measure_us);
    plan->us_64 = measure(plan, PLAN_ANY, trial, 64, measure_us);
    /* Of a forest so large that 1024 rows would take a while, 64 rows tell enough. */
    plan->us_1024 = plan->us_64 < long_us / 16 ? measure(plan, PLAN_ANY, trial, 1024, measure_us) : plan->us_64 * 16;
    return STATUS_OK;
}

enum status plan_make(const struct forest *forest, const struct plan_options *options, struct plan **out, struct error *err)
{
    struct plan *plan = calloc(1, sizeof *plan);
    struct trial *trial = calloc(1, sizeof *trial);
    enum status status = STATUS_NO_MEMORY;
    if (plan && trial) {
        plan->forest = forest;
        plan->isa = options->isa;
        plan->kernels = kernels_of(options->isa);
        status = make(plan, options, trial, err);
    } else {
        (void)error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    if (trial)
        trial_free(trial);
    free(trial);
    if (status != STATUS_OK) {
        plan_destroy(plan);
        return status;
    }
    *out = plan;
    return STATUS_OK;
}

void plan_destroy(struct plan *plan)
{
    if (!plan)
        return;
    walk_free(plan->walk);
    crown_free(plan->crown);
    blend_free(plan->blend);
    tile_free(plan->tile);
    ranks_free(plan->ranks);
    tree_order_free(&plan->order);
    inputs_free(plan->inputs);
    free(plan);
}

/* --- telling ---------------------------------------------------------------------------------------------------------- */

static size_t layout_bytes(const struct plan *plan)
{
    size_t bytes = plan->walk ? walk_bytes(plan->walk) : 0;
    bytes += plan->crown ? crown_bytes(plan->crown) : 0;
    bytes += plan->blend ? blend_bytes(plan->blend) : 0;
    return bytes + (plan->tile ? tile_bytes(plan->tile) : 0);
}

/* What turns a row into ranks; it grows with the features, not with the trees. */
static size_t limit_bytes(const struct plan *plan)
{
    return inputs_bytes(plan->inputs) + (plan->ranks ? ranks_bytes(plan->ranks) : 0);
}

static void describe_kernel(const struct plan *plan, enum plan_kernel kernel, const char *rows, struct buf *out)
{
    buf_format(out, "kernel (%s): ", rows);
    switch (kernel) {
    case PLAN_WALK:
        buf_string(out, "8 trees side by side, scalar\n");
        break;
    case PLAN_CROWN:
        buf_format(out, "64 trees at once, %u levels%s, %s\n", plan->crown->depth,
                   plan->crown->exits ? ", then pages of 15 splits" : "", isa_name(plan->isa));
        break;
    case PLAN_BLEND:
        buf_format(out, "64 rows at once, %s\n", isa_name(plan->isa));
        break;
    case PLAN_TILE:
        buf_format(out, "8 trees x 8 rows at once, %s\n", isa_name(plan->isa));
        break;
    case PLAN_ANY:
    case PLAN_REFERENCE:
        buf_string(out, "plain loops, the reference\n");
        break;
    }
}

void plan_describe(const struct plan *plan, struct buf *out)
{
    size_t layouts = layout_bytes(plan), limits = limit_bytes(plan);
    describe_kernel(plan, plan->few, "1 row", out);
    describe_kernel(plan, plan->many, "64 rows", out);
    if (plan->few != plan->many && plan->many_from <= 64)
        buf_format(out, "many rows from: %u\n", plan->many_from);
    if (plan->us_1 > 0)
        buf_format(out, "measured: %.2f us for 1 row, %.1f for 64, %.0f for 1024\n", plan->us_1, plan->us_64, plan->us_1024);
    buf_format(out, "prepared: %zu bytes of layouts, %.1f a node; %zu of limits\n", layouts,
               (double)layouts / plan->forest->node_count, limits);
}
