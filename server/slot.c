/*
 * A pool is a stack of free slots per source. The stack's head holds the top slot's number and a version that every change
 * raises, in one 64-bit word: a thread that read an old head cannot exchange it, even when the same slot is on top again
 * (the ABA problem). `next` of a slot may be read while another thread takes it: that value is then thrown away.
 */
#include "server/slot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/model.h"

#define NO_SLOT UINT32_MAX

enum { LINE = 64 };

struct stack {
    _Alignas(LINE) _Atomic uint64_t head; /* version << 32 | number of the top slot */
    _Alignas(LINE) _Atomic uint32_t taken;
    uint32_t size;
};

struct pool {
    struct stack stacks[SOURCE_COUNT];
    struct txn *txns;        /* [total] */
    _Atomic uint32_t *next;  /* [total] the slot below in its stack */
    uint32_t total;
    struct rows rows;
    void *row_memory;
};

static enum status allocate(struct pool *pool, const struct pool_options *options, struct error *err)
{
    size_t stride = (options->columns * number_type_bytes(options->type) + LINE - 1) / LINE * LINE;
    if (stride == 0)
        stride = LINE;
    pool->txns = calloc(pool->total, sizeof *pool->txns);
    pool->next = calloc(pool->total, sizeof *pool->next);
    pool->row_memory = aligned_alloc(LINE, stride * pool->total);
    if (!pool->txns || !pool->next || !pool->row_memory)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %u slots of %zu bytes", pool->total, stride);
    memset(pool->row_memory, 0, stride * pool->total);
    pool->rows = (struct rows){.base = pool->row_memory, .stride = stride, .columns = options->columns, .type = options->type};
    return STATUS_OK;
}

enum status pool_create(const struct schema *schema, const struct pool_options *options, struct pool **out, struct error *err)
{
    struct pool *pool = aligned_alloc(LINE, sizeof *pool);
    if (!pool)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the slots");
    memset(pool, 0, sizeof *pool);
    for (int s = 0; s < SOURCE_COUNT; s++)
        pool->total += options->slots[s];
    CHECK(pool->total > 0 && pool->total < NO_SLOT);
    enum status status = allocate(pool, options, err);
    uint32_t number = 0;
    for (int s = 0; s < SOURCE_COUNT && status == STATUS_OK; s++) {
        struct stack *stack = &pool->stacks[s];
        uint32_t top = NO_SLOT;
        stack->size = options->slots[s];
        for (uint32_t i = 0; i < stack->size && status == STATUS_OK; i++, number++) {
            pool->txns[number].number = number;
            pool->txns[number].source = (uint8_t)s;
            status = transaction_init(&pool->txns[number].input, schema, options->windows, err);
            atomic_init(&pool->next[number], top);
            top = number;
        }
        atomic_init(&stack->head, top);
    }
    if (status != STATUS_OK) {
        pool_free(pool);
        return status;
    }
    *out = pool;
    return STATUS_OK;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (int s = 0; s < SOURCE_COUNT; s++)
        CHECK(pool_in_flight(pool, (enum source_kind)s) == 0);
    for (uint32_t i = 0; pool->txns && i < pool->total; i++)
        transaction_free(&pool->txns[i].input);
    free(pool->txns);
    free(pool->next);
    free(pool->row_memory);
    free(pool);
}

uint32_t pool_take(struct pool *pool, enum source_kind source, struct txn **out, uint32_t n)
{
    struct stack *stack = &pool->stacks[source];
    /* acquire: what the giver wrote to the slots is seen by their next owner */
    uint64_t head = atomic_load_explicit(&stack->head, memory_order_acquire);
    uint32_t got, top;
    do { /* walks down n slots, then takes them all in one exchange; a chain that changed meanwhile has another version */
        top = (uint32_t)head;
        for (got = 0; got < n && top != NO_SLOT; got++) {
            out[got] = &pool->txns[top];
            top = atomic_load_explicit(&pool->next[top], memory_order_relaxed);
        }
        if (got == 0)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(&stack->head, &head, ((head >> 32) + 1) << 32 | top, memory_order_acq_rel,
                                                    memory_order_acquire));
    (void)atomic_fetch_add_explicit(&stack->taken, got, memory_order_relaxed); /* a figure, orders nothing */
    return got;
}

/* Slots that one holds. */
static void give(struct pool *pool, struct txn *const *txns, uint32_t n)
{
    if (n == 0)
        return;
    struct stack *stack = &pool->stacks[txns[0]->source];
    for (uint32_t i = 0; i + 1 < n; i++) {
        CHECK(txns[i + 1]->source == txns[0]->source);
        atomic_store_explicit(&pool->next[txns[i]->number], txns[i + 1]->number, memory_order_relaxed);
    }
    uint64_t head = atomic_load_explicit(&stack->head, memory_order_relaxed);
    uint64_t new_head;
    do { /* the whole chain goes on top in one exchange; release: see pool_take */
        atomic_store_explicit(&pool->next[txns[n - 1]->number], (uint32_t)head, memory_order_relaxed);
        new_head = ((head >> 32) + 1) << 32 | txns[0]->number;
    } while (!atomic_compare_exchange_weak_explicit(&stack->head, &head, new_head, memory_order_release, memory_order_relaxed));
    (void)atomic_fetch_sub_explicit(&stack->taken, n, memory_order_relaxed);
}

void txn_share(struct txn *txn)
{
    /* relaxed: a second holder is told by other means, after this */
    uint32_t more = atomic_load_explicit(&txn->holders, memory_order_relaxed) == 0 ? 2 : 1;
    (void)atomic_fetch_add_explicit(&txn->holders, more, memory_order_relaxed);
}

void pool_give(struct pool *pool, struct txn *const *txns, uint32_t n)
{
    uint32_t from = 0; /* txns[from..i) are held by the caller alone */
    for (uint32_t i = 0; i < n; i++) {
        if (atomic_load_explicit(&txns[i]->holders, memory_order_relaxed) == 0)
            continue;
        give(pool, txns + from, i - from);
        /* acq_rel: the last holder gives on what the other one did to it */
        from = atomic_fetch_sub_explicit(&txns[i]->holders, 1, memory_order_acq_rel) == 1 ? i : i + 1;
    }
    give(pool, txns + from, n - from);
}

const struct rows *pool_rows(const struct pool *pool)
{
    return &pool->rows;
}

void *pool_memory(const struct pool *pool, size_t *bytes)
{
    *bytes = pool->rows.stride * pool->total;
    return pool->row_memory;
}

void *pool_row(const struct pool *pool, uint32_t number)
{
    CHECK(number < pool->total);
    return (char *)pool->row_memory + (size_t)number * pool->rows.stride;
}

struct txn *pool_txn(const struct pool *pool, uint32_t number)
{
    CHECK(number < pool->total);
    return &pool->txns[number];
}

void txn_take_scores(struct txn *txn, const struct model_info *info, const double *margins, const double *scores)
{
    uint32_t output = txn->bundle->output;
    /* A model with fewer margins than scores, or the reverse, has one that stands for the row. */
    txn->verdict.margin = margins[output < info->margins ? output : 0];
    txn->verdict.score = scores[output];
}

uint32_t pool_in_flight(const struct pool *pool, enum source_kind source)
{
    return atomic_load_explicit(&pool->stacks[source].taken, memory_order_relaxed);
}
