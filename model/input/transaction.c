#include "model/input/transaction.h"

#include <stdlib.h>

#include "model/input/schema_tree.h"

enum status transaction_init(struct transaction *tx, const struct schema *schema, size_t windows, struct error *err)
{
    *tx = (struct transaction){.arena_cap = (uint32_t)(schema->text_fields * TEXT_BYTES_MAX)};
    tx->values = calloc(schema->size, sizeof *tx->values);
    tx->arena = malloc(tx->arena_cap);
    tx->windows = calloc(windows + 1, sizeof *tx->windows);
    if (tx->values && tx->arena && tx->windows)
        return STATUS_OK;
    transaction_free(tx);
    return error_set(err, STATUS_NO_MEMORY, "out of memory for a transaction");
}

void transaction_free(struct transaction *tx)
{
    free(tx->values);
    free(tx->arena);
    free(tx->windows);
    *tx = (struct transaction){0};
}
