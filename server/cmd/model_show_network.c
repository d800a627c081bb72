/* assay model show, for networks: the operations with their shapes, parameters and work. */
#include <stdio.h>
#include <string.h>

#include "model/base/buf.h"
#include "model/forest.h"
#include "model/network.h"
#include "server/cmd/model_command.h"

enum { OPERATIONS_SHOWN = 40 };

/* "dense", "relu": what an operation does, in the words that its users know. */
static void name_operation(const struct network *n, const struct network_op *op, char *out, size_t size)
{
    const char *kind = network_kind_name((enum network_kind)op->kind), *function = network_function_name((enum network_function)op->function);
    switch ((enum network_kind)op->kind) {
    case NETWORK_DENSE:
        (void)snprintf(out, size, "%s%s%s", kind, function[0] ? " " : "", function);
        return;
    case NETWORK_MAP:
    case NETWORK_PAIR:
        (void)snprintf(out, size, "%s", function[0] ? function : "copy");
        return;
    case NETWORK_WITH:
        (void)snprintf(out, size, "%s constant", function);
        return;
    case NETWORK_NORMALIZE:
    case NETWORK_REDUCE:
        (void)snprintf(out, size, "%s %s", kind, network_reduce_name((enum network_reduce)op->reduce));
        return;
    case NETWORK_FOREST:
        (void)snprintf(out, size, "forest of %u", n->forests[op->forest]->tree_count);
        return;
    default:
        (void)snprintf(out, size, "%s", kind);
    }
}

/* How many columns it reads of each row. */
static uint64_t columns_read(const struct network *n, const struct network_op *op)
{
    uint64_t columns = 0;
    for (uint32_t i = 0; i < network_inputs(op); i++)
        columns += network_width(n, op->inputs[i]);
    for (uint32_t i = 0; op->kind == NETWORK_COPY && i < op->count; i++)
        columns += n->pieces[op->first + i].count;
    return columns;
}

static uint64_t parameters(const struct network_op *op)
{
    return op->kind == NETWORK_COPY ? 0 : op->count;
}

static void show_operation(struct buf *out, const struct network *n, uint32_t i)
{
    const struct network_op *op = &n->ops[i];
    char name[48], shape[64];
    int used = snprintf(shape, sizeof shape, "%llu -> %u", (unsigned long long)columns_read(n, op), op->width);
    if (op->kind == NETWORK_EMBED)
        (void)snprintf(shape + used, sizeof shape - (size_t)used, " of %u", op->rows);
    else if (op->groups > 1)
        (void)snprintf(shape + used, sizeof shape - (size_t)used, " in %u", op->groups);
    name_operation(n, op, name, sizeof name);
    buf_format(out, "  %5u  %-20s  %-20s  %10llu  %12llu\n", i + 1, name, shape, (unsigned long long)parameters(op),
               (unsigned long long)network_flops(n, op));
}

static size_t bytes_as_read(const struct network *n)
{
    size_t forests = 0;
    for (uint32_t i = 0; i < n->forest_count; i++)
        forests += model_forest_bytes(n->forests[i]);
    return n->op_count * sizeof *n->ops + n->number_count * sizeof *n->numbers + n->piece_count * sizeof *n->pieces + forests;
}

void model_show_network(const struct network *network, bool all, struct buf *out)
{
    uint64_t numbers = 0, flops = 0;
    for (uint32_t i = 0; i < network->op_count; i++) {
        numbers += parameters(&network->ops[i]);
        flops += network_flops(network, &network->ops[i]);
    }
    buf_format(out, "operations        %u, float32 with fused multiply-add\n", network->op_count);
    buf_format(out, "parameters        %llu\n", (unsigned long long)numbers);
    buf_format(out, "work              %llu FLOP a row%s\n", (unsigned long long)flops, network->forest_count ? ", besides the trees" : "");
    buf_format(out, "memory            %zu bytes as read, %zu a row\n", bytes_as_read(network), network_widths_total(network) * sizeof(float));
    uint32_t shown = all || network->op_count < OPERATIONS_SHOWN ? network->op_count : OPERATIONS_SHOWN;
    buf_string(out, "\n  layer  operation             shape                 parameters  FLOP a row\n");
    for (uint32_t i = 0; i < shown; i++)
        show_operation(out, network, i);
    if (shown < network->op_count)
        buf_format(out, "  ... and %u more (--all)\n", network->op_count - shown);
}
