#include <stdlib.h>

#include "model/forest.h"
#include "model/import/import.h"
#include "model/network.h"

void imported_free(struct imported *imported)
{
    free(imported->format);
    free(imported->writer);
    free(imported->objective);
    for (uint32_t i = 0; imported->feature_names && i < imported->features; i++)
        free(imported->feature_names[i]);
    free(imported->feature_names);
    forest_free(imported->forest);
    network_free(imported->network);
    *imported = (struct imported){0};
}

enum status imported_check(struct imported *imported, struct error *err)
{
    struct network *n = imported->network;
    if (!n)
        return forest_check(imported->forest, err);
    for (uint32_t i = 0; i < n->forest_count; i++) {
        enum status status = forest_check(n->forests[i], err);
        if (status != STATUS_OK)
            return status;
    }
    return network_check(n, err);
}
