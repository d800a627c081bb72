#include "model/import/network_builder.h"

#include <stdlib.h>
#include <string.h>

#include "model/forest.h"

uint32_t network_builder_op(struct network_builder *b, struct network_op op)
{
    struct network *n = b->network;
    b->widths += op.width;
    if (n->op_count == NETWORK_OPS_MAX || op.width == 0 || op.width > NETWORK_WIDTH_MAX || b->widths > NETWORK_WIDTHS_MAX)
        return 0;
    struct network_op *grown = import_grow(b->memory, n->ops, &b->ops, n->op_count + 1u, sizeof *grown);
    if (!grown)
        return 0;
    n->ops = grown;
    op.groups = op.groups ? op.groups : 1;
    n->ops[n->op_count] = op;
    return ++n->op_count;
}

float *network_builder_numbers(struct network_builder *b, size_t count, uint32_t *first)
{
    struct network *n = b->network;
    if (count > UINT32_MAX - n->number_count)
        return NULL;
    float *grown = import_grow(b->memory, n->numbers, &b->numbers, n->number_count + count, sizeof *grown);
    if (!grown)
        return NULL;
    n->numbers = grown;
    *first = n->number_count;
    n->number_count += (uint32_t)count;
    return memset(grown + *first, 0, count * sizeof *grown);
}

void network_builder_reserve(struct network_builder *b, size_t numbers)
{
    float *grown = numbers ? import_grow(b->memory, b->network->numbers, &b->numbers, numbers, sizeof *grown) : NULL;
    if (grown)
        b->network->numbers = grown;
}

static bool append_piece(struct network_builder *b, struct network_piece piece)
{
    struct network *n = b->network;
    struct network_piece *grown = import_grow(b->memory, n->pieces, &b->pieces, n->piece_count + (size_t)1, sizeof *grown);
    if (!grown)
        return false;
    n->pieces = grown;
    n->pieces[n->piece_count++] = piece;
    return true;
}

uint32_t network_builder_input(struct network_builder *b, uint32_t column, uint32_t count)
{
    struct network_op op = {.kind = NETWORK_COPY, .width = count, .first = b->network->piece_count, .count = 1};
    return append_piece(b, (struct network_piece){0, column, count, 1}) ? network_builder_op(b, op) : 0;
}

uint32_t network_builder_gather(struct network_builder *b, uint32_t wire, const uint32_t *columns, uint32_t count)
{
    struct network_op op = {.kind = NETWORK_COPY, .width = count, .first = b->network->piece_count};
    for (uint32_t i = 0; i < count;) {
        struct network_piece piece = {.wire = wire, .column = columns[i], .count = 1, .step = 1};
        if (i + 1 < count)
            piece.step = (int32_t)columns[i + 1] - (int32_t)columns[i];
        while (i + piece.count < count &&
               (int64_t)columns[i + piece.count] == (int64_t)columns[i] + (int64_t)piece.count * piece.step)
            piece.count++;
        i += piece.count;
        if (piece.count == network_width(b->network, wire) && count == piece.count && piece.step == 1)
            return wire;
        if (!append_piece(b, piece))
            return 0;
        op.count++;
    }
    return network_builder_op(b, op);
}

uint32_t network_builder_concat(struct network_builder *b, const uint32_t *wires, uint32_t count)
{
    struct network_op op = {.kind = NETWORK_COPY, .first = b->network->piece_count, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t width = network_width(b->network, wires[i]);
        if (op.width > NETWORK_WIDTH_MAX || !append_piece(b, (struct network_piece){wires[i], 0, width, 1}))
            return 0;
        op.width += width;
    }
    return network_builder_op(b, op);
}

uint32_t network_builder_map(struct network_builder *b, uint32_t wire, enum network_function function, float first, float second)
{
    return network_builder_op(b, (struct network_op){.kind = NETWORK_MAP,
                                                     .function = (uint8_t)function,
                                                     .a = first,
                                                     .b = second,
                                                     .inputs = {wire},
                                                     .width = network_width(b->network, wire)});
}

uint32_t network_builder_pair(struct network_builder *b, uint32_t x, uint32_t z, enum network_function function)
{
    return network_builder_op(b, (struct network_op){.kind = NETWORK_PAIR,
                                                     .function = (uint8_t)function,
                                                     .inputs = {x, z},
                                                     .width = network_width(b->network, x)});
}

uint32_t network_builder_with(struct network_builder *b, uint32_t wire, enum network_function function, float number)
{
    uint32_t width = network_width(b->network, wire), first;
    float *numbers = network_builder_numbers(b, width, &first);
    if (!numbers)
        return 0;
    for (uint32_t i = 0; i < width; i++)
        numbers[i] = number;
    return network_builder_op(b, (struct network_op){.kind = NETWORK_WITH,
                                                     .function = (uint8_t)function,
                                                     .inputs = {wire},
                                                     .width = width,
                                                     .first = first,
                                                     .count = width});
}

uint32_t network_builder_forest(struct network_builder *b, uint32_t wire, struct forest *forest)
{
    struct network *n = b->network;
    struct forest **grown = import_grow(b->memory, n->forests, &b->forests, n->forest_count + (size_t)1, sizeof *grown);
    if (!grown) {
        forest_free(forest);
        return 0;
    }
    n->forests = grown;
    n->forests[n->forest_count++] = forest;
    return network_builder_op(b, (struct network_op){.kind = NETWORK_FOREST,
                                                     .inputs = {wire},
                                                     .width = link_scores(forest->link, forest->outputs),
                                                     .forest = n->forest_count - 1});
}

static void count_use(const struct network_op *op, const struct network *n, uint32_t *uses)
{
    for (uint32_t i = 0; i < network_inputs(op); i++)
        uses[op->inputs[i]]++;
    for (uint32_t i = 0; op->kind == NETWORK_COPY && i < op->count; i++)
        uses[n->pieces[op->first + i].wire]++;
}

/* Only what leads to the last wire counts. */
uint32_t *network_count_uses(const struct network *network)
{
    uint32_t *uses = calloc(network->op_count + (size_t)1, sizeof *uses);
    if (!uses)
        return NULL;
    uses[network->op_count] = 1;
    for (uint32_t i = network->op_count; i-- > 0;) {
        if (uses[i + 1] > 0)
            count_use(&network->ops[i], network, uses);
    }
    return uses;
}

/* Drops operations that nobody reads, and their pieces. `wires`: how often each is read; becomes each one's new number. */
static void compact(struct network *n, uint32_t *wires)
{
    uint32_t kept = 0, pieces = 0;
    wires[0] = 0;
    for (uint32_t i = 0; i < n->op_count; i++) {
        struct network_op op = n->ops[i];
        if (wires[i + 1] == 0)
            continue;
        for (uint32_t k = 0; k < network_inputs(&op); k++)
            op.inputs[k] = wires[op.inputs[k]];
        if (op.kind == NETWORK_COPY) {
            memmove(n->pieces + pieces, n->pieces + op.first, op.count * sizeof *n->pieces);
            op.first = pieces;
            pieces += op.count;
            for (uint32_t k = op.first; k < op.first + op.count; k++)
                n->pieces[k].wire = wires[n->pieces[k].wire];
        }
        n->ops[kept] = op;
        wires[i + 1] = ++kept;
    }
    n->op_count = kept;
    n->piece_count = pieces;
}

/* Leaves out the numbers that no operation has any more; all stay where they are if there is no room for a second array. */
static void pack_numbers(struct network_builder *b)
{
    struct network *n = b->network;
    size_t count = 0, capacity = 0;
    for (uint32_t i = 0; i < n->op_count; i++)
        count += n->ops[i].kind == NETWORK_COPY ? 0 : n->ops[i].count;
    float *packed = count < n->number_count ? import_grow(b->memory, NULL, &capacity, count, sizeof *packed) : NULL;
    if (!packed)
        return;
    count = 0;
    for (uint32_t i = 0; i < n->op_count; i++) {
        struct network_op *op = &n->ops[i];
        if (op->kind == NETWORK_COPY || op->count == 0)
            continue;
        memcpy(packed + count, n->numbers + op->first, op->count * sizeof *packed);
        op->first = (uint32_t)count;
        count += op->count;
    }
    (void)import_shrink(b->memory, n->numbers, &b->numbers, 0, sizeof *n->numbers);
    n->numbers = packed;
    n->number_count = (uint32_t)count;
    b->numbers = capacity;
}

bool network_builder_finish(struct network_builder *b, uint32_t wire)
{
    struct network *n = b->network;
    n->op_count = wire; /* nothing behind it can matter */
    uint32_t *uses = network_count_uses(n);
    if (!uses)
        return false;
    wire = network_fold(n, uses);
    free(uses);
    n->op_count = wire;
    uses = network_count_uses(n);
    if (!uses)
        return false;
    compact(n, uses);
    free(uses);
    pack_numbers(b);
    n->outputs = network_width(n, n->op_count);
    n->ops = import_shrink(b->memory, n->ops, &b->ops, n->op_count, sizeof *n->ops);
    n->numbers = import_shrink(b->memory, n->numbers, &b->numbers, n->number_count, sizeof *n->numbers);
    n->pieces = import_shrink(b->memory, n->pieces, &b->pieces, n->piece_count, sizeof *n->pieces);
    return true;
}
