/* The calibration and policy of bundle.yaml. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/bundle_parts.h"

static enum status read_number(const struct bundle_file *file, const struct yaml *map, const char *key, double *out, struct error *err)
{
    const struct yaml *node = yaml_get(map, key);
    if (!node)
        return bundle_refuse(file, map, err, "`%s` is needed here", key);
    return yaml_double(node, file->path, key, out, err);
}

/* points: [[score, calibrated], …] */
static enum status read_points(const struct bundle_file *file, const struct yaml *node, struct calibration *c, struct error *err)
{
    const struct yaml *points = yaml_get(node, "points");
    if (!points || points->kind != YAML_LIST || points->size == 0)
        return bundle_refuse(file, node, err, "an isotonic calibration needs `points`: a list of [score, calibrated score]");
    c->x = calloc(points->size, sizeof *c->x);
    c->y = calloc(points->size, sizeof *c->y);
    if (!c->x || !c->y)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the calibration");
    c->points = points->size;
    for (size_t i = 0; i < points->size; i++) {
        const struct yaml *point = &points->items[i];
        if (point->kind != YAML_LIST || point->size != 2)
            return bundle_refuse(file, point, err, "a point is [score, calibrated score]");
        enum status status = yaml_double(&point->items[0], file->path, "points", &c->x[i], err);
        if (status == STATUS_OK)
            status = yaml_double(&point->items[1], file->path, "points", &c->y[i], err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status read_calibration(const struct bundle_file *file, struct calibration *c, struct error *err)
{
    static const char *const known[] = {"kind", "a", "b", "points"};
    const struct yaml *node = yaml_get(file->root, "calibration");
    if (!node)
        return STATUS_OK;
    const char *kind;
    enum status status = yaml_known_keys(node, file->path, known, sizeof known / sizeof known[0], err);
    if (status == STATUS_OK)
        status = bundle_text(file, node, "kind", true, &kind, err);
    if (status != STATUS_OK)
        return status;
    if (strcmp(kind, "platt") == 0) {
        c->kind = CALIBRATION_PLATT;
        status = read_number(file, node, "a", &c->a, err);
        if (status == STATUS_OK)
            status = read_number(file, node, "b", &c->b, err);
    } else if (strcmp(kind, "isotonic") == 0) {
        c->kind = CALIBRATION_ISOTONIC;
        status = read_points(file, node, c, err);
    } else if (strcmp(kind, "none") != 0) {
        return bundle_refuse(file, node, err, "calibration kind '%.40s' is not one of none, platt, isotonic", kind);
    }
    if (status != STATUS_OK || calibration_check(c, err) == STATUS_OK)
        return status;
    return error_prefix(err, STATUS_INVALID, "%s:%d: calibration", file->path, node->line);
}

enum status bundle_read_decision(const struct bundle_file *file, struct bundle *bundle, struct error *err)
{
    static const char *const known[] = {"review", "decline"};
    enum status status = read_calibration(file, &bundle->calibration, err);
    if (status != STATUS_OK)
        return status;
    const struct yaml *node = yaml_get(file->root, "policy");
    if (!node || node->kind != YAML_MAP || node->size == 0)
        return bundle_refuse(file, node ? node : file->root, err,
                             "`policy` is needed: the scores from which a transaction is reviewed or declined, {review: 0.65, decline: 0.9}");
    status = yaml_known_keys(node, file->path, known, sizeof known / sizeof known[0], err);
    bundle->policy = (struct policy){.review = INFINITY, .decline = INFINITY};
    if (status == STATUS_OK && yaml_get(node, "review"))
        status = read_number(file, node, "review", &bundle->policy.review, err);
    if (status == STATUS_OK && yaml_get(node, "decline"))
        status = read_number(file, node, "decline", &bundle->policy.decline, err);
    if (status != STATUS_OK || policy_check(&bundle->policy, err) == STATUS_OK)
        return status;
    return error_prefix(err, STATUS_INVALID, "%s:%d: policy", file->path, node->line);
}
