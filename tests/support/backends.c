#include "tests/support/backends.h"

#include <stdlib.h>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/plan.h"
#include "kernels/ref/backend_reference.h"
#include "model/forest.h"
#include "model/model.h"

struct prepared {
    const struct forest *forest;
    struct plan *plan;
};

static void close_kernel(void *context)
{
    (void)context;
}

static enum status prepare_kernel(void *context, const struct model *model, struct prepared **out, struct error *err)
{
    struct prepared *prepared = calloc(1, sizeof *prepared);
    if (!prepared)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    prepared->forest = model_forest(model);
    if (!prepared->forest) {
        free(prepared);
        return error_set(err, STATUS_UNSUPPORTED, "a kernel for forests only");
    }
    enum status status = plan_make(prepared->forest, context, &prepared->plan, err);
    if (status == STATUS_OK)
        *out = prepared;
    else
        free(prepared);
    return status;
}

static void release_kernel(void *context, struct prepared *prepared)
{
    (void)context;
    plan_destroy(prepared->plan);
    free(prepared);
}

static enum status submit_kernel(void *context, const struct prepared *prepared, struct batch *batch)
{
    (void)context;
    const struct forest *f = prepared->forest;
    uint32_t scores = link_scores(f->link, f->outputs);
    plan_margins(prepared->plan, batch->rows, batch->slots, batch->n, batch->margins);
    for (uint32_t i = 0; i < batch->n; i++)
        link_apply(f->link, f->link_parameter, f->link_divisor, batch->margins + (size_t)i * f->outputs, batch->scores + (size_t)i * scores,
                   f->outputs);
    batch->done(batch, STATUS_OK);
    return STATUS_OK;
}

static void limit_kernel(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    (void)context;
    (void)prepared;
    *out = (struct backend_limits){.batch_max = 1 << 16, .in_flight_max = UINT32_MAX, .synchronous = true};
}

/* KERNEL(name, instruction set, kernel) */
#define KERNELS \
    KERNEL(walk_scalar, ISA_SCALAR, PLAN_WALK) \
    KERNEL(crown_avx2, ISA_AVX2, PLAN_CROWN) \
    KERNEL(crown_avx512, ISA_AVX512, PLAN_CROWN) \
    KERNEL(blend_avx2, ISA_AVX2, PLAN_BLEND) \
    KERNEL(blend_avx512, ISA_AVX512, PLAN_BLEND) \
    KERNEL(tile_avx512, ISA_AVX512, PLAN_TILE)

#define KERNEL(suffix, set, kernel) \
    static enum status open_##suffix(void **context, struct error *err) \
    { \
        static struct plan_options options = {.isa = set, .few = kernel, .many = kernel}; \
        (void)err; \
        *context = &options; \
        return STATUS_OK; \
    } \
    static const struct backend kernel_##suffix = {.name = #suffix, .summary = "one kernel", .open = open_##suffix, .close = close_kernel, \
                                                   .prepare = prepare_kernel, .release = release_kernel, .submit = submit_kernel, \
                                                   .limits = limit_kernel};
KERNELS
#undef KERNEL

const struct backend *const *backends_under_test(void)
{
#define KERNEL(suffix, set, kernel) {set, &kernel_##suffix},
    static const struct {
        enum isa isa;
        const struct backend *backend;
    } all[] = {{ISA_SCALAR, &backend_reference}, {ISA_SCALAR, &backend_cpu}, {ISA_SCALAR, &backend_cpu_scalar}, {ISA_AVX2, &backend_cpu_avx2},
               KERNELS}; /* where there is AVX-512, backend_cpu is it */
    static const struct backend *here[sizeof all / sizeof all[0] + 1];
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].isa <= isa_best())
            here[n++] = all[i].backend;
    }
    here[n] = NULL;
    return here;
}
