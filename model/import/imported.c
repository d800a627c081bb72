#include <stdlib.h>

#include "model/forest.h"
#include "model/import/import.h"

void imported_free(struct imported *imported)
{
    free(imported->format);
    free(imported->writer);
    free(imported->objective);
    for (uint32_t i = 0; imported->feature_names && i < imported->features; i++)
        free(imported->feature_names[i]);
    free(imported->feature_names);
    forest_free(imported->forest);
    *imported = (struct imported){0};
}
