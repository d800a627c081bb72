#include "kernels/cpu/plan.h"

#include <stdlib.h>

#include "kernels/cpu/inputs.h"
#include "kernels/cpu/leaves.h"
#include "kernels/cpu/walk.h"
#include "kernels/ref/forest_reference.h"

struct plan {
    const struct forest *forest;
    struct plan_options chosen;
    struct inputs *inputs;
    struct tree_order order;
    struct walk *walk;
};

void plan_margins(const struct plan *plan, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    if (plan->chosen.few == PLAN_REFERENCE)
        forest_reference_margins(plan->forest, rows, slots, n, margins);
    else
        walk_margins(plan->walk, rows, slots, n, margins);
}

static enum status make(struct plan *plan, const struct plan_options *options, struct error *err)
{
    plan->chosen = *options;
    enum status status = inputs_make(plan->forest, &plan->inputs, err);
    if (status == STATUS_OK)
        status = tree_order_make(plan->forest, &plan->order, err);
    if (status == STATUS_OK && options->few != PLAN_REFERENCE)
        status = walk_make(plan->inputs, &plan->order, &plan->walk, err);
    if (status == STATUS_UNSUPPORTED && options->few == PLAN_ANY) {
        plan->chosen.few = plan->chosen.many = PLAN_REFERENCE;
        status = STATUS_OK;
    }
    return status;
}

enum status plan_make(const struct forest *forest, const struct plan_options *options, struct plan **out, struct error *err)
{
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    plan->forest = forest;
    enum status status = make(plan, options, err);
    if (status != STATUS_OK) {
        plan_destroy(plan);
        return status;
    }
    inputs_forget_lookup(plan->inputs);
    *out = plan;
    return STATUS_OK;
}

void plan_destroy(struct plan *plan)
{
    if (!plan)
        return;
    walk_free(plan->walk);
    tree_order_free(&plan->order);
    inputs_free(plan->inputs);
    free(plan);
}

void plan_describe(const struct plan *plan, struct buf *out)
{
    bool is_reference = plan->chosen.few == PLAN_REFERENCE;
    buf_format(out, "kernel: %s\n", is_reference ? "plain loops (reference)" : "eight trees side by side (scalar)");
}
