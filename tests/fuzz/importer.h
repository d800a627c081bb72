/* What the fuzz targets of importers share: import, check, and score a few rows where the file was taken. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "kernels/ref/forest_reference.h"
#include "kernels/ref/network_reference.h"
#include "model/base/check.h"
#include "model/forest.h"
#include "model/import/import.h"

static inline void importer_fuzz_score(const struct forest *f)
{
    static const double values[] = {0.0, -1.5, 3.0, 1e30, (double)NAN};
    size_t stride = ((size_t)f->features * sizeof(double) + 63) / 64 * 64;
    char *row = aligned_alloc(64, stride ? stride : 64);
    double *margins = malloc(f->outputs * sizeof *margins);
    CHECK(row && margins);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (uint32_t i = 0; i < f->features; i++) {
            if (f->input_type == NUMBER_F32)
                ((float *)(void *)row)[i] = (float)values[(v + i) % 5];
            else
                ((double *)(void *)row)[i] = values[(v + i) % 5];
        }
        const struct rows rows = {.base = row, .stride = stride, .columns = f->features, .type = f->input_type};
        const uint32_t slot = 0;
        forest_reference_margins(f, &rows, &slot, 1, margins);
        link_apply(f->link, f->link_parameter, f->link_divisor, margins, margins, f->outputs);
    }
    free(margins);
    free(row);
}

static inline void importer_fuzz_network(const struct network *n)
{
    static const float values[] = {0.0f, -1.5f, 3.0f, 1e30f, NAN};
    float *row = malloc(n->features * sizeof *row);
    double *margins = malloc(n->outputs * sizeof *margins), *scores = malloc(n->outputs * sizeof *scores);
    CHECK(row && margins && scores);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (uint32_t i = 0; i < n->features; i++)
            row[i] = values[(v + i) % 5];
        const struct rows rows = {.base = row, .columns = n->features, .type = NUMBER_F32};
        const uint32_t slot = 0;
        CHECK(network_reference_margins(n, &rows, &slot, 1, margins) == STATUS_OK);
        link_apply(n->link, n->link_parameter, 1, margins, scores, n->outputs);
    }
    free(row);
    free(margins);
    free(scores);
}

static inline void importer_fuzz(const struct importer *importer, const uint8_t *data, size_t size)
{
    const struct import_file file = {.path = "fuzz", .data = (const char *)data, .len = size};
    const struct model_options options = {0};
    struct imported imported = {0};
    struct error err;
    if (!importer->recognises(&file))
        return;
    if (importer->load(&file, &options, &imported, &err) == STATUS_OK && imported_check(&imported, &err) == STATUS_OK) {
        if (imported.network)
            importer_fuzz_network(imported.network);
        else
            importer_fuzz_score(imported.forest);
    }
    imported_free(&imported);
}
