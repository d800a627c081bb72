#include "kernels/cpu/backend_cpu.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/network_plan.h"
#include "kernels/cpu/plan.h"
#include "model/base/check.h"
#include "model/forest.h"
#include "model/link.h"
#include "model/model.h"
#include "model/network.h"

/* Of a forest or of a network; the other's are NULL. Both are borrowed from the model, which outlives this. */
struct prepared {
    const struct forest *forest;
    struct plan *plan;
    const struct network *network;
    struct network_plan *network_plan;
};

/* The context is the instruction set to use, held in a static. */
static const enum isa scalar = ISA_SCALAR, avx2 = ISA_AVX2, avx512 = ISA_AVX512;

static enum status open_with(const enum isa *isa, void **context, struct error *err)
{
    if (*isa > isa_best())
        return error_set(err, STATUS_UNSUPPORTED, "this processor has no %s; the best it has is %s", isa_name(*isa),
                         isa_name(isa_best()));
    *context = (void *)(uintptr_t)isa;
    return STATUS_OK;
}

static enum status open_best(void **context, struct error *err)
{
    enum isa best = isa_best();
    return open_with(best == ISA_AVX512 ? &avx512 : best == ISA_AVX2 ? &avx2 : &scalar, context, err);
}

static enum status open_scalar(void **context, struct error *err)
{
    return open_with(&scalar, context, err);
}

static enum status open_avx2(void **context, struct error *err)
{
    return open_with(&avx2, context, err);
}

static enum status open_avx512(void **context, struct error *err)
{
    return open_with(&avx512, context, err);
}

static void cpu_close(void *context)
{
    (void)context;
}

static void cpu_release(void *context, struct prepared *prepared)
{
    (void)context;
    plan_destroy(prepared->plan);
    network_plan_destroy(prepared->network_plan);
    free(prepared);
}

static enum status cpu_prepare(void *context, const struct model *model, struct prepared **out, struct error *err)
{
    struct prepared *prepared = calloc(1, sizeof *prepared);
    if (!prepared)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    prepared->forest = model_forest(model);
    prepared->network = model_network(model);
    struct plan_options options = {.isa = *(const enum isa *)context};
    enum status status = prepared->forest ? plan_make(prepared->forest, &options, &prepared->plan, err)
                                          : network_plan_make(prepared->network, options.isa, &prepared->network_plan, err);
    if (status != STATUS_OK) {
        free(prepared);
        return status;
    }
    *out = prepared;
    return STATUS_OK;
}

static void answer_forest(const struct prepared *prepared, struct batch *batch)
{
    const struct forest *f = prepared->forest;
    CHECK(batch->rows->type == f->input_type && batch->rows->columns >= f->features);
    uint32_t scores = link_scores(f->link, f->outputs);
    plan_margins(prepared->plan, batch->rows, batch->slots, batch->n, batch->margins);
    for (uint32_t i = 0; i < batch->n; i++)
        link_apply(f->link, f->link_parameter, f->link_divisor, batch->margins + (size_t)i * f->outputs,
                   batch->scores + (size_t)i * scores, f->outputs);
}

static enum status answer_network(const struct prepared *prepared, struct batch *batch)
{
    const struct network *n = prepared->network;
    CHECK(batch->rows->type == NUMBER_F32 && batch->rows->columns >= n->features);
    uint32_t scores = link_scores(n->link, n->outputs);
    enum status status = network_plan_margins(prepared->network_plan, batch->rows, batch->slots, batch->n, batch->margins);
    if (status == STATUS_OK && n->link == LINK_IDENTITY)
        memcpy(batch->scores, batch->margins, (size_t)batch->n * scores * sizeof *batch->scores);
    for (uint32_t i = 0; i < batch->n && status == STATUS_OK && n->link != LINK_IDENTITY; i++)
        link_apply(n->link, n->link_parameter, 1, batch->margins + (size_t)i * n->outputs, batch->scores + (size_t)i * scores,
                   n->outputs);
    return status;
}

static enum status cpu_submit(void *context, const struct prepared *prepared, struct batch *batch)
{
    (void)context;
    enum status status = STATUS_OK;
    if (prepared->network)
        status = answer_network(prepared, batch);
    else
        answer_forest(prepared, batch);
    batch->done(batch, status);
    return STATUS_OK;
}

static void cpu_limits(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    (void)context;
    (void)prepared;
    *out = (struct backend_limits){.batch_max = 1 << 16, .in_flight_max = UINT32_MAX, .synchronous = true};
}

static void cpu_describe(void *context, const struct prepared *prepared, struct buf *out)
{
    (void)context;
    if (prepared->network)
        network_plan_describe(prepared->network_plan, out);
    else
        plan_describe(prepared->plan, out);
}

#define CPU_BACKEND(suffix, shown_name, open_function, shown_summary)                                                            \
    const struct backend backend_cpu##suffix = {                                                                                 \
        .name = shown_name,                                                                                                      \
        .summary = shown_summary,                                                                                                \
        .open = open_function,                                                                                                   \
        .close = cpu_close,                                                                                                      \
        .prepare = cpu_prepare,                                                                                                  \
        .release = cpu_release,                                                                                                  \
        .submit = cpu_submit,                                                                                                    \
        .limits = cpu_limits,                                                                                                    \
        .describe = cpu_describe,                                                                                                \
    }

CPU_BACKEND(, "cpu", open_best, "the fastest kernels that this processor has");
CPU_BACKEND(_scalar, "cpu-scalar", open_scalar, "portable kernels");
CPU_BACKEND(_avx2, "cpu-avx2", open_avx2, "kernels for AVX2");
CPU_BACKEND(_avx512, "cpu-avx512", open_avx512, "kernels for AVX-512 with VBMI");
