/* Which fields of a schema the transactions of a file had: one that none has is most likely misspelt. Starts from zero bytes. */
#pragma once

#include "model/input/transaction.h"

struct fields_seen {
    bool seen[SCHEMA_FIELDS_MAX];
    uint64_t transactions;
};

void fields_seen_note(struct fields_seen *fields, const struct schema *schema, const struct transaction *tx);
/* A line on stderr for each field that none of the transactions had; none for no transactions. */
void fields_seen_warn(const struct fields_seen *fields, const struct schema *schema, const char *command);
