#include "server/backtest/outcomes.h"

#include <stdlib.h>

enum status outcomes_add(struct outcomes *outcomes, const struct outcome_row *row, struct error *err)
{
    if (outcomes->count == outcomes->room) {
        size_t room = outcomes->room ? outcomes->room * 2 : 4096;
        struct outcome_row *grown = realloc(outcomes->rows, room * sizeof *grown);
        if (!grown)
            return error_set(err, STATUS_NO_MEMORY, "out of memory after %zu transactions", outcomes->count);
        outcomes->rows = grown;
        outcomes->room = room;
    }
    outcomes->rows[outcomes->count++] = *row;
    return STATUS_OK;
}

void outcomes_free(struct outcomes *outcomes)
{
    free(outcomes->rows);
    *outcomes = (struct outcomes){0};
}
