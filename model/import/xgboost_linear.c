/*
 * XGBoost's gblinear: weights[feature][output], the bias of each output behind them.
 *
 *     margin = round(bias + base); for each feature that is not missing, in order: margin = round(margin + round(x * weight))
 *
 * The base value is the first one for every output. A network of one operation says just that (NETWORK_LINEAR).
 */
#include <stdlib.h>
#include <string.h>

#include "model/import/network_builder.h"
#include "model/import/xgboost.h"

static enum status fill(struct xgboost *x, const struct forest *f, struct network *network)
{
    struct network_builder builder = {.network = network, .memory = &x->memory};
    uint32_t first = 0;
    size_t count = x->weights.size;
    float *numbers = network_builder_numbers(&builder, count, &first);
    if (!numbers)
        return error_set(x->err, STATUS_LIMIT, "the weights need more memory than 4 x the file + 64 MB");
    memcpy(numbers, x->weights.items, count * sizeof *numbers);
    for (uint32_t o = 0; o < f->outputs; o++)
        numbers[count - f->outputs + o] += (float)f->base[0];
    uint32_t wire = network_builder_op(
        &builder, (struct network_op){.kind = NETWORK_LINEAR, .width = f->outputs, .first = first, .count = (uint32_t)count});
    if (wire == 0 || !network_builder_finish(&builder, wire))
        return error_set(x->err, STATUS_NO_MEMORY, "out of memory");
    return STATUS_OK;
}

enum status xgboost_linear(struct xgboost *x)
{
    struct forest *f = x->forest;
    if (f->features == 0 || f->features > NETWORK_WIDTH_MAX ||
        x->weights.size != ((size_t)f->features + 1) * f->outputs)
        return error_set(x->err, STATUS_INVALID, "%zu weights for %u features and %u outputs", x->weights.size, f->features, f->outputs);
    struct network *network = calloc(1, sizeof *network);
    if (!network)
        return error_set(x->err, STATUS_NO_MEMORY, "out of memory");
    network->features = f->features;
    network->link = f->link;
    network->link_parameter = f->link_parameter;
    enum status status = fill(x, f, network);
    x->out->network = network;
    x->out->forest = x->forest = NULL;
    forest_free(f);
    return status;
}
