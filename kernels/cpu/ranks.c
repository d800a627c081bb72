#include "kernels/cpu/ranks.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/limits.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"
#include "model/base/check.h"

/* Every different (input, limit), once. Open addressing. */
struct entry {
    int64_t limit;
    uint32_t input; /* 1 + input; 0: free */
    uint32_t order; /* among the limits of its input; once sorted */
};

struct ranks_lookup {
    struct entry *entries;
    size_t size; /* a power of two */
    size_t used;
    uint32_t *first_column; /* [inputs] */
};

static const size_t entries_max = (size_t)RANKS_MAX * RANKS_PER_COLUMN;

static struct entry *find(const struct ranks_lookup *lookup, uint32_t input, int64_t limit)
{
    uint64_t hash = ((uint64_t)limit ^ (uint64_t)input << 40) * 0x9E3779B97F4A7C15u;
    size_t at = (hash ^ hash >> 32) & (lookup->size - 1);
    while (lookup->entries[at].input && (lookup->entries[at].input != input + 1 || lookup->entries[at].limit != limit))
        at = (at + 1) & (lookup->size - 1);
    return &lookup->entries[at];
}

static int grow(struct ranks_lookup *lookup)
{
    struct ranks_lookup grown = {.size = lookup->size ? lookup->size * 4 : 4096, .used = lookup->used};
    grown.entries = calloc(grown.size, sizeof *grown.entries);
    if (!grown.entries)
        return -1;
    for (size_t i = 0; i < lookup->size; i++) {
        const struct entry *entry = &lookup->entries[i];
        if (entry->input)
            *find(&grown, entry->input - 1, entry->limit) = *entry;
    }
    free(lookup->entries);
    lookup->entries = grown.entries;
    lookup->size = grown.size;
    return 0;
}

static enum status add_limit(struct ranks_lookup *lookup, struct inputs_test test)
{
    if (lookup->used * 2 >= lookup->size && grow(lookup) != 0)
        return STATUS_NO_MEMORY;
    struct entry *entry = find(lookup, test.input, test.limit);
    if (entry->input)
        return STATUS_OK;
    *entry = (struct entry){.input = test.input + 1, .limit = test.limit};
    return ++lookup->used <= entries_max ? STATUS_OK : STATUS_UNSUPPORTED;
}

static enum status collect_node(struct ranks *ranks, const struct forest_node *node)
{
    return node->op == FOREST_LEAF ? STATUS_OK : add_limit(ranks->lookup, inputs_test_of(ranks->inputs, node));
}

static enum status collect(struct ranks *ranks, uint32_t *nodes)
{
    const struct forest *forest = ranks->inputs->forest;
    enum status status = STATUS_OK;
    if (forest_all_reached(forest)) {
        for (uint32_t i = 0; i < forest->node_count && status == STATUS_OK; i++)
            status = collect_node(ranks, &forest->nodes[i]);
        return status;
    }
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        uint32_t n = forest_preorder(forest, forest->trees[t].root, nodes);
        for (uint32_t i = 0; i < n && status == STATUS_OK; i++)
            status = collect_node(ranks, &forest->nodes[nodes[i]]);
    }
    return status;
}

/* All limits by input and value, with the number of their entry; [used], owned by the caller. NULL: out of memory. */
static struct limit *sorted_limits(const struct ranks_lookup *lookup)
{
    struct limit *sorted = malloc((lookup->used + 1) * sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; sorted && i < lookup->size; i++) {
        const struct entry *entry = &lookup->entries[i];
        if (entry->input)
            sorted[n++] = (struct limit){.value = entry->limit, .input = entry->input - 1, .entry = (uint32_t)i};
    }
    if (sorted && limits_sort(sorted, n) != STATUS_OK) {
        free(sorted);
        return NULL;
    }
    return sorted;
}

/* Numbers the limits of each input and its columns; counts columns and room for limits. */
static void number_columns(struct ranks *ranks, const struct limit *sorted)
{
    struct ranks_lookup *lookup = ranks->lookup;
    for (size_t i = 0; i < lookup->used;) {
        uint32_t input = sorted[i].input, order = 0;
        for (; i < lookup->used && sorted[i].input == input; i++)
            lookup->entries[sorted[i].entry].order = order++;
        lookup->first_column[input] = ranks->count;
        for (uint32_t left = order; left > 0;) {
            uint32_t own = left < RANKS_PER_COLUMN ? left : RANKS_PER_COLUMN;
            ranks->count++;
            ranks->limit_count += (own / 16 + 1) * 16; /* at least one is padding: no rank goes past the column */
            left -= own;
        }
    }
}

static void put(struct ranks *ranks, void *array, size_t at, int64_t key)
{
    if (ranks->inputs->forest->input_type == NUMBER_F32)
        ((int32_t *)array)[at] = (int32_t)key;
    else
        ((int64_t *)array)[at] = key;
}

/* Fills one column from sorted[0 ..] and returns how many limits it took: those of one input, 255 at most. */
static uint32_t fill_column(struct ranks *ranks, uint32_t column, uint32_t first, const struct limit *sorted, size_t left)
{
    int64_t highest = ranks->inputs->forest->input_type == NUMBER_F32 ? INT32_MAX : INT64_MAX;
    uint32_t own = 0;
    ranks->input[column] = sorted[0].input;
    ranks->first[column] = first;
    for (; own < RANKS_PER_COLUMN && own < left && sorted[own].input == sorted[0].input; own++) {
        put(ranks, ranks->limits, first + own, sorted[own].value);
        if (own % 16 == 15)
            put(ranks, ranks->pivots, (size_t)column * 16 + own / 16, sorted[own].value);
    }
    for (uint32_t p = own / 16; p < 16; p++)
        put(ranks, ranks->pivots, (size_t)column * 16 + p, highest);
    for (uint32_t k = own; k < (own / 16 + 1) * 16; k++)
        put(ranks, ranks->limits, first + k, highest);
    return own;
}

static void fill_columns(struct ranks *ranks, const struct limit *sorted)
{
    uint32_t first = 0;
    size_t at = 0;
    for (uint32_t column = 0; column < ranks->count; column++) {
        uint32_t own = fill_column(ranks, column, first, sorted + at, ranks->lookup->used - at);
        first += (own / 16 + 1) * 16;
        at += own;
    }
}

static enum status number_and_fill(struct ranks *ranks)
{
    size_t key_bytes = number_type_bytes(ranks->inputs->forest->input_type);
    struct limit *sorted = sorted_limits(ranks->lookup);
    ranks->lookup->first_column = calloc(ranks->inputs->count + 1, sizeof *ranks->lookup->first_column);
    if (!sorted || !ranks->lookup->first_column) {
        free(sorted);
        return STATUS_NO_MEMORY;
    }
    number_columns(ranks, sorted);
    enum status status = ranks->count > 0 && ranks->count <= RANKS_MAX ? STATUS_OK : STATUS_UNSUPPORTED;
    if (status == STATUS_OK) {
        ranks->input = prepared_alloc((ranks->count + 16) * sizeof *ranks->input);
        ranks->first = prepared_alloc((ranks->count + 16) * sizeof *ranks->first);
        ranks->pivots = prepared_alloc((size_t)ranks->count * 16 * key_bytes);
        ranks->limits = prepared_alloc((size_t)ranks->limit_count * key_bytes);
        if (ranks->input && ranks->first && ranks->pivots && ranks->limits)
            fill_columns(ranks, sorted);
        else
            status = STATUS_NO_MEMORY;
    }
    free(sorted);
    return status;
}

static enum status make(struct ranks *ranks)
{
    uint32_t *nodes = malloc(forest_largest_tree(ranks->inputs->forest) * sizeof *nodes);
    ranks->lookup = calloc(1, sizeof *ranks->lookup);
    enum status status = nodes && ranks->lookup && grow(ranks->lookup) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = collect(ranks, nodes);
    free(nodes);
    return status == STATUS_OK ? number_and_fill(ranks) : status;
}

enum status ranks_make(const struct inputs *inputs, struct ranks **out, struct error *err)
{
    struct ranks *ranks = calloc(1, sizeof *ranks);
    if (!ranks)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    ranks->inputs = inputs;
    enum status status = make(ranks);
    if (status == STATUS_OK) {
        *out = ranks;
        return STATUS_OK;
    }
    ranks_free(ranks);
    return status == STATUS_UNSUPPORTED ? error_set(err, status, "no split, or more than %d columns of ranks", RANKS_MAX)
                                        : error_set(err, status, "out of memory");
}

void ranks_forget_lookup(struct ranks *ranks)
{
    if (!ranks->lookup)
        return;
    free(ranks->lookup->entries);
    free(ranks->lookup->first_column);
    free(ranks->lookup);
    ranks->lookup = NULL;
}

void ranks_free(struct ranks *ranks)
{
    if (!ranks)
        return;
    ranks_forget_lookup(ranks);
    free(ranks->input);
    free(ranks->first);
    free(ranks->pivots);
    free(ranks->limits);
    free(ranks);
}

size_t ranks_bytes(const struct ranks *ranks)
{
    size_t key_bytes = number_type_bytes(ranks->inputs->forest->input_type);
    return ranks->count * (16 * key_bytes + 8) + ranks->limit_count * key_bytes;
}

struct ranks_test ranks_test_of(const struct ranks *ranks, struct inputs_test test)
{
    const struct entry *entry = find(ranks->lookup, test.input, test.limit);
    CHECK(entry->input);
    uint32_t column = ranks->lookup->first_column[test.input] + entry->order / RANKS_PER_COLUMN;
    return (struct ranks_test){.column = (uint16_t)column, .threshold = (uint8_t)(entry->order % RANKS_PER_COLUMN + 1)};
}
