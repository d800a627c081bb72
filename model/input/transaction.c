#include "model/input/transaction.h"

#include <stdlib.h>

#include "model/input/schema_tree.h"

enum status transaction_init(struct transaction *tx, const struct schema *schema, struct error *err)
{
    *tx = (struct transaction){.arena_cap = (uint32_t)(schema->text_fields * TEXT_BYTES_MAX)};
    tx->values = calloc(schema->size, sizeof *tx->values);
    tx->arena = malloc(tx->arena_cap);
    if (tx->values && tx->arena)
        return STATUS_OK;
    transaction_free(tx);
    return error_set(err, STATUS_NO_MEMORY, "out of memory for a transaction");
}

void transaction_free(struct transaction *tx)
{
    free(tx->values);
    free(tx->arena);
    *tx = (struct transaction){0};
}
