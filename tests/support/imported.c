#include "tests/support/imported.h"

#include <stdlib.h>

#include "kernels/ref/forest_reference.h"
#include "kernels/ref/network_reference.h"
#include "model/base/check.h"
#include "model/forest.h"

enum status imported_load(const struct importer *importer, const char *data, size_t len, struct imported *out,
                          struct error *err)
{
    const struct import_file file = {.path = "model", .data = data, .len = len};
    const struct model_options options = {0};
    *out = (struct imported){0};
    enum status status = importer->load(&file, &options, out, err);
    if (status == STATUS_OK)
        status = imported_check(out, err);
    if (status != STATUS_OK)
        imported_free(out);
    return status;
}

static void network_score(const struct network *n, const double *row, double *margins, double *scores)
{
    float *copy = malloc(n->features * sizeof *copy);
    double *sums = malloc(n->outputs * sizeof *sums);
    CHECK(copy && sums);
    for (uint32_t i = 0; i < n->features; i++)
        copy[i] = (float)row[i];
    const struct rows rows = {.base = copy, .columns = n->features, .type = NUMBER_F32};
    const uint32_t slot = 0;
    CHECK(network_reference_margins(n, &rows, &slot, 1, sums) == STATUS_OK);
    link_apply(n->link, n->link_parameter, 1, sums, scores, n->outputs);
    for (uint32_t i = 0; margins && i < n->outputs; i++)
        margins[i] = sums[i];
    free(sums);
    free(copy);
}

void imported_score(const struct imported *imported, const double *row, double *margins, double *scores)
{
    const struct forest *f = imported->forest;
    if (imported->network) {
        network_score(imported->network, row, margins, scores);
        return;
    }
    size_t stride = ((size_t)f->features * sizeof(double) + 63) / 64 * 64;
    void *copy = aligned_alloc(64, stride);
    double *sums = malloc(f->outputs * sizeof *sums);
    CHECK(copy && sums);
    for (uint32_t i = 0; i < f->features; i++) {
        if (f->input_type == NUMBER_F32)
            ((float *)copy)[i] = (float)row[i];
        else
            ((double *)copy)[i] = row[i];
    }
    const struct rows rows = {.base = copy, .stride = stride, .columns = f->features, .type = f->input_type};
    const uint32_t slot = 0;
    forest_reference_margins(f, &rows, &slot, 1, sums);
    link_apply(f->link, f->link_parameter, f->link_divisor, sums, scores, f->outputs);
    for (uint32_t i = 0; margins && i < f->outputs; i++)
        margins[i] = sums[i];
    free(sums);
    free(copy);
}
