#include "server/admit.h"

#include <stdlib.h>

#include "model/base/clock.h"

struct admit {
    struct history_writer *writer; /* NULL: no history */
    struct history_entry *entries; /* [most] */
    bool live;
};

enum status admit_create(struct history *history, uint32_t most, bool live, struct admit **out, struct error *err)
{
    struct admit *a = calloc(1, sizeof *a);
    *out = a;
    if (!a)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a worker");
    a->live = live;
    if (!history)
        return STATUS_OK;
    a->entries = calloc(most, sizeof *a->entries);
    enum status status = a->entries ? history_writer_create(history, most, &a->writer, err)
                                    : error_set(err, STATUS_NO_MEMORY, "out of memory for a worker");
    if (status == STATUS_OK)
        return STATUS_OK;
    admit_free(a);
    *out = NULL;
    return status;
}

void admit_free(struct admit *admit)
{
    if (!admit)
        return;
    history_writer_free(admit->writer);
    free(admit->entries);
    free(admit);
}

static struct history_entry entry_of(struct txn *txn)
{
    return (struct history_entry){.tx = &txn->input, .source = txn->state_source, .offset = txn->state_offset};
}

/* Runs of transactions that count go to the state as one, so that their cache misses overlap; a trial stands alone between. */
static void ask(struct admit *admit, struct txn *const *txns, uint32_t n, int64_t clock_us)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i < n; i++) {
        admit->entries[i] = entry_of(txns[i]);
        if (!txns[i]->trial)
            continue;
        if (i > from)
            history_apply(admit->writer, admit->entries + from, i - from, clock_us);
        history_trial(admit->writer, &admit->entries[i], clock_us);
        from = i + 1;
    }
    if (n > from)
        history_apply(admit->writer, admit->entries + from, n - from, clock_us);
}

static bool settle(struct txn *txn, const struct history_entry *entry)
{
    if (entry->flags & STATE_FUTURE) {
        txn->outcome = OUTCOME_REJECTED;
        txn->fault = (struct decode_fault){.reason = DECODE_FUTURE, .field = (int32_t)schema_time(txn->bundle->schema)};
        return false;
    }
    txn->state = entry->flags & STATE_LATE ? TXN_LATE : entry->complete ? TXN_COMPLETE : TXN_WARMING;
    return true;
}

uint32_t admit_all(struct admit *admit, struct txn *const *txns, uint32_t n, struct txn **in)
{
    uint32_t let_in = 0;
    if (admit->writer)
        ask(admit, txns, n, admit->live ? clock_wall_us() : 0);
    for (uint32_t i = 0; i < n; i++)
        if (!admit->writer || settle(txns[i], &admit->entries[i]))
            in[let_in++] = txns[i];
    return let_in;
}
