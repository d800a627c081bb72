/* Loads a model from memory and scores rows with the reference kernel, for tests of importers. */
#pragma once

#include <stddef.h>

#include "model/import/import.h"

/* Imports text[len], checks the forest as model.c does. On failure *out is empty again and err says why. */
MUST_USE enum status imported_load(const struct importer *importer, const char *data, size_t len, struct imported *out,
                                   struct error *err);

/* The scores of one row of doubles (converted to the forest's input type), and its margins where margins is not NULL.
 */
void imported_score(const struct imported *imported, const double *row, double *margins, double *scores);
