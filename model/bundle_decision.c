/* The calibration and policy of bundle.yaml. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/bundle_parts.h"
#include "model/input/number.h"

enum { TABLE_BYTES_MAX = 1 << 24 };

static enum status read_number(const struct bundle_file *file, const struct yaml *map, const char *section,
                               const char *key, double *out, struct error *err)
{
    const struct yaml *node = yaml_get(map, key);
    if (!node)
        return bundle_refuse(file, map, err, "%s: '%s' is missing", section, key);
    return yaml_double(node, file->path, key, out, err);
}

static enum status make_room(struct calibration *c, size_t points, struct error *err)
{
    c->x = calloc(points + 1, sizeof *c->x);
    c->y = calloc(points + 1, sizeof *c->y);
    return c->x && c->y ? STATUS_OK : bundle_no_memory(err);
}

/* points: [[score, calibrated], …] */
static enum status read_points(const struct bundle_file *file, const struct yaml *points, struct calibration *c,
                               struct error *err)
{
    if (points->kind != YAML_LIST)
        return bundle_refuse(file, points, err, "points: a list of [score, calibrated score] is needed");
    enum status status = make_room(c, points->size, err);
    for (size_t i = 0; i < points->size && status == STATUS_OK; i++) {
        const struct yaml *point = &points->items[i];
        if (point->kind != YAML_LIST || point->size != 2)
            return bundle_refuse(file, point, err, "points: each is [score, calibrated score]");
        status = yaml_double(&point->items[0], file->path, "points", &c->x[i], err);
        if (status == STATUS_OK)
            status = yaml_double(&point->items[1], file->path, "points", &c->y[i], err);
        c->points++;
    }
    return status;
}

/* "0.25,0.01" between line and end, a carriage return at its end allowed. */
static bool read_pair(const char *line, const char *end, double *x, double *y)
{
    if (end > line && end[-1] == '\r')
        end--;
    size_t used = number_read_double(line, (size_t)(end - line), x);
    if (used == 0 || line + used == end || line[used] != ',')
        return false;
    const char *second = line + used + 1;
    size_t rest = (size_t)(end - second);
    return rest > 0 && number_read_double(second, rest, y) == rest;
}

/* Lines "score,calibrated", the first one may be a heading. */
static enum status parse_table(const char *path, const char *text, const char *end, struct calibration *c,
                               struct error *err)
{
    size_t lines = 1;
    for (const char *p = text; p < end; p++)
        lines += *p == '\n';
    enum status status = make_room(c, lines, err);
    if (status != STATUS_OK)
        return status;
    size_t number = 1;
    for (const char *line = text; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        bool empty = stop == line || (stop == line + 1 && *line == '\r');
        if (read_pair(line, stop, &c->x[c->points], &c->y[c->points]))
            c->points++;
        else if (number > 1 && !empty)
            return error_set(err, STATUS_INVALID, "%s:%zu: two numbers are needed: score,calibrated score", path,
                             number);
        line = stop + 1;
    }
    return STATUS_OK;
}

static enum status read_isotonic(struct bundle_file *file, const struct yaml *node, struct calibration *c,
                                 struct error *err)
{
    const struct yaml *points = yaml_get(node, "points");
    if (!points == !yaml_get(node, "file"))
        return bundle_refuse(file, node, err,
                             "an isotonic calibration needs its table: either 'points' or a CSV 'file'");
    if (points)
        return read_points(file, points, c, err);
    struct buf content = {0}, path = {0};
    enum status status = bundle_file_path(file, node, "file", &path, err);
    if (status == STATUS_OK)
        status = buf_read_file(&content, buf_text(&path), TABLE_BYTES_MAX, err);
    if (status == STATUS_OK) {
        char digest[65];
        bundle_note_digest(file, content.data, content.len, digest);
        status = parse_table(buf_text(&path), content.data, content.data + content.len, c, err);
    }
    buf_free(&content);
    buf_free(&path);
    return status;
}

static enum status read_platt(const struct bundle_file *file, const struct yaml *node, const struct model_info *info,
                              struct calibration *c, struct error *err)
{
    if (!info->has_margin || info->margins != info->scores)
        return bundle_refuse(
            file, node, err,
            "platt works on the margin, which this model (%s) does not give for its score: use isotonic", info->format);
    enum status status = read_number(file, node, "calibration", "a", &c->a, err);
    return status == STATUS_OK ? read_number(file, node, "calibration", "b", &c->b, err) : status;
}

static enum status read_calibration(struct bundle_file *file, const struct model_info *info, struct calibration *c,
                                    struct error *err)
{
    static const char *const kinds[] = {"none", "platt", "isotonic"}; /* enum calibration_kind */
    static const char *const keys[][3] = {{"kind"}, {"kind", "a", "b"}, {"kind", "points", "file"}};
    static const size_t key_counts[] = {1, 3, 3};
    const struct yaml *node = yaml_get(file->root, "calibration");
    if (!node)
        return STATUS_OK;
    int kind;
    enum status status = bundle_word(file, node, "kind", kinds, 3, &kind, err);
    if (status == STATUS_OK && kind < 0)
        status = bundle_refuse(file, node, err, "calibration: 'kind' is missing: none, platt or isotonic");
    if (status == STATUS_OK)
        status = yaml_known_keys(node, file->path, keys[kind], key_counts[kind], err);
    if (status != STATUS_OK)
        return status;
    c->kind = (enum calibration_kind)kind;
    if (c->kind == CALIBRATION_PLATT)
        status = read_platt(file, node, info, c, err);
    else if (c->kind == CALIBRATION_ISOTONIC)
        status = read_isotonic(file, node, c, err);
    if (status != STATUS_OK || calibration_check(c, err) == STATUS_OK)
        return status;
    return error_prefix(err, STATUS_INVALID, "%s:%d: calibration", file->path, node->line);
}

static enum status read_policy(const struct bundle_file *file, bool probability, struct policy *policy, struct error *err)
{
    static const char *const known[] = {"review", "decline"};
    const struct yaml *node = yaml_get(file->root, "policy");
    if (!node || node->kind != YAML_MAP || node->size == 0)
        return bundle_refuse(
            file, node ? node : file->root, err,
            "'policy' is missing: the scores from which to review and decline, {review: 0.65, decline: 0.9}");
    enum status status = yaml_known_keys(node, file->path, known, sizeof known / sizeof *known, err);
    *policy = (struct policy){.review = INFINITY, .decline = INFINITY};
    if (status == STATUS_OK && yaml_get(node, "decline"))
        status = read_number(file, node, "policy", "decline", &policy->decline, err);
    if (status == STATUS_OK && yaml_get(node, "review"))
        status = read_number(file, node, "policy", "review", &policy->review, err);
    else
        policy->review = policy->decline; /* no band of its own: all below is approved */
    if (status != STATUS_OK || policy_check(policy, probability, err) == STATUS_OK)
        return status;
    return error_prefix(err, STATUS_INVALID, "%s:%d: policy", file->path, node->line);
}

enum status bundle_read_decision(struct bundle_file *file, struct bundle *bundle, struct error *err)
{
    enum status status = read_calibration(file, model_info(bundle->model), &bundle->calibration, err);
    bool probability = bundle->calibration.kind != CALIBRATION_NONE || model_info(bundle->model)->probability;
    return status == STATUS_OK ? read_policy(file, probability, &bundle->policy, err) : status;
}
