#include "kernels/ref/backend_reference.h"

#include <stdlib.h>

#include "kernels/ref/forest_reference.h"
#include "kernels/ref/network_reference.h"
#include "model/forest.h"
#include "model/model.h"

struct prepared { /* one of the two, borrowed from the model, which outlives this */
    const struct forest *forest;
    const struct network *network;
};

static enum status reference_open(void **context, struct error *err)
{
    (void)err;
    *context = NULL;
    return STATUS_OK;
}

static void reference_close(void *context)
{
    (void)context;
}

static enum status reference_prepare(void *context, const struct model *model, struct prepared **out, struct error *err)
{
    (void)context;
    struct prepared *prepared = malloc(sizeof *prepared);
    if (!prepared)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    *prepared = (struct prepared){model_forest(model), model_network(model)};
    *out = prepared;
    return STATUS_OK;
}

static void reference_release(void *context, struct prepared *prepared)
{
    (void)context;
    free(prepared);
}

static enum status reference_submit(void *context, const struct prepared *prepared, struct batch *batch)
{
    (void)context;
    if (prepared->network) {
        network_reference_answer(prepared->network, batch);
        return STATUS_OK;
    }
    const struct forest *f = prepared->forest;
    uint32_t scores = link_scores(f->link, f->outputs);
    forest_reference_margins(f, batch->rows, batch->slots, batch->n, batch->margins);
    for (uint32_t i = 0; i < batch->n; i++)
        link_apply(f->link, f->link_parameter, f->link_divisor, batch->margins + (size_t)i * f->outputs,
                   batch->scores + (size_t)i * scores, f->outputs);
    batch->done(batch, STATUS_OK);
    return STATUS_OK;
}

static void reference_limits(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    (void)context;
    (void)prepared;
    *out = (struct backend_limits){.batch_max = 1 << 16, .in_flight_max = UINT32_MAX, .synchronous = true};
}

static void reference_describe(void *context, const struct prepared *prepared, struct buf *out)
{
    (void)context;
    buf_format(out, "kernel: plain loops, one row and one %s at a time\n", prepared->network ? "operation" : "tree");
}

const struct backend backend_reference = {
    .name = "reference",
    .summary = "plain loops, the oracle of the others",
    .open = reference_open,
    .close = reference_close,
    .prepare = reference_prepare,
    .release = reference_release,
    .submit = reference_submit,
    .limits = reference_limits,
    .describe = reference_describe,
};
