#include "model/bundle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/buf.h"
#include "model/bundle_parts.h"

enum { YAML_BYTES_MAX = 1 << 20 };
#define MODEL_BYTES_MAX ((size_t)1 << 30)

enum status bundle_refuse(const struct bundle_file *file, const struct yaml *node, struct error *err, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(err, STATUS_INVALID, "%s:%d: %s", file->path, node->line, what);
}

enum status bundle_text(const struct bundle_file *file, const struct yaml *map, const char *key, bool required, const char **out, struct error *err)
{
    const struct yaml *node = yaml_get(map, key);
    *out = NULL;
    if (!node && required)
        return bundle_refuse(file, map, err, "`%s` is needed here", key);
    if (node && (node->kind != YAML_SCALAR || node->text[0] == '\0'))
        return bundle_refuse(file, node, err, "`%s` must be a text", key);
    *out = node ? node->text : NULL;
    return STATUS_OK;
}

/* "card-fraud/3" is version "3" of "card-fraud" where the file does not say otherwise. */
static enum status read_names(const struct bundle_file *file, struct bundle *b, struct error *err)
{
    const char *name, *version;
    enum status status = bundle_text(file, file->root, "name", true, &name, err);
    if (status == STATUS_OK)
        status = bundle_text(file, file->root, "version", false, &version, err);
    if (status != STATUS_OK)
        return status;
    const char *slash = strrchr(b->dir, '/');
    b->name = strdup(name);
    b->version = strdup(version ? version : slash ? slash + 1 : b->dir);
    return b->name && b->version ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for the bundle");
}

/* A file of the bundle: a relative path that does not lead out of it. */
static bool stays_inside(const char *path)
{
    if (path[0] == '/')
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    return true;
}

static enum status digest_files(struct bundle *b, const char *yaml_path, const char *model_path, struct error *err)
{
    struct buf yaml = {0}, model = {0};
    enum status status = buf_read_file(&yaml, yaml_path, YAML_BYTES_MAX, err);
    if (status == STATUS_OK)
        status = buf_read_file(&model, model_path, MODEL_BYTES_MAX, err);
    if (status == STATUS_OK) {
        bundle_sha256(buf_text(&model), model.len, "", 0, b->model_digest);
        bundle_sha256(buf_text(&yaml), yaml.len, b->model_digest, 64, b->digest);
    }
    buf_free(&yaml);
    buf_free(&model);
    return status;
}

static enum status read_model_options(const struct bundle_file *file, const struct yaml *node, struct model_options *options, double *output,
                                      struct error *err)
{
    const char *trees;
    enum status status = bundle_text(file, node, "trees", false, &trees, err);
    if (status == STATUS_OK && yaml_get(node, "output"))
        status = yaml_double(yaml_get(node, "output"), file->path, "output", output, err);
    if (status != STATUS_OK)
        return status;
    if (trees && strcmp(trees, "best") == 0)
        options->trees = MODEL_TREES_BEST;
    else if (trees && strcmp(trees, "all") != 0)
        return bundle_refuse(file, yaml_get(node, "trees"), err, "trees must be all, or best for the rounds up to best_iteration");
    return STATUS_OK;
}

static enum status read_model(const struct bundle_file *file, struct bundle *b, struct error *err)
{
    static const char *const known[] = {"file", "trees", "output"};
    const struct yaml *node = yaml_get(file->root, "model");
    if (!node || node->kind != YAML_MAP)
        return bundle_refuse(file, node ? node : file->root, err, "`model` is needed: {file: model.ubj}");
    const char *name;
    struct model_options options = {.trees = MODEL_TREES_ALL, .max_bytes = MODEL_BYTES_MAX};
    double output = 0;
    enum status status = yaml_known_keys(node, file->path, known, sizeof known / sizeof known[0], err);
    if (status == STATUS_OK)
        status = bundle_text(file, node, "file", true, &name, err);
    if (status == STATUS_OK)
        status = read_model_options(file, node, &options, &output, err);
    if (status != STATUS_OK)
        return status;
    if (!stays_inside(name))
        return bundle_refuse(file, yaml_get(node, "file"), err, "model file '%.120s' lies outside the bundle; copy it in", name);
    struct buf path = {0};
    buf_format(&path, "%s/%s", b->dir, name);
    status = model_load(buf_text(&path), &options, &b->model, err);
    if (status == STATUS_OK)
        status = digest_files(b, file->path, buf_text(&path), err);
    buf_free(&path);
    if (status != STATUS_OK)
        return status;
    uint32_t scores = model_info(b->model)->scores;
    if (!(output >= 0 && output < scores) || output != (double)(uint32_t)output)
        return bundle_refuse(file, yaml_get(node, "output"), err, "output must be a whole number from 0 to %u: the model gives %u score(s)", scores - 1, scores);
    if (scores > 1 && !yaml_get(node, "output"))
        return bundle_refuse(file, node, err, "the model gives %u scores; say with `output` which is the fraud score, 0 to %u", scores, scores - 1);
    b->output = (uint32_t)output;
    return STATUS_OK;
}

/* The bundle's columns must be the model's inputs, in its order: a swapped pair scores, and scores wrongly. */
static enum status check_columns(const struct bundle_file *file, const struct bundle *b, struct error *err)
{
    const struct model_info *info = model_info(b->model);
    const struct yaml *features = yaml_get(file->root, "features");
    if (b->features != info->features) {
        (void)bundle_refuse(file, features, err, "the features give %zu columns, the model takes %u", b->features, info->features);
        return STATUS_MISMATCH;
    }
    for (size_t i = 0; info->feature_names && i < b->features; i++) {
        const char *ours = plan_column_name(b->plan, i), *theirs = info->feature_names[i];
        if (strcmp(ours, theirs) == 0)
            continue;
        bool elsewhere = false;
        for (size_t k = 0; k < b->features; k++)
            elsewhere |= strcmp(plan_column_name(b->plan, k), theirs) == 0;
        (void)bundle_refuse(file, features, err, "column %zu is '%.100s', the model's feature %zu is '%.100s'%s", i + 1, ours, i + 1, theirs,
                            elsewhere ? ": the same features in another order; put them in the model's" : "");
        return STATUS_MISMATCH;
    }
    return STATUS_OK;
}

static enum status read_all(const struct bundle_file *file, struct bundle *b, struct error *err)
{
    static const char *const known[] = {"name", "version", "transaction", "features", "reasons", "model", "calibration", "policy"};
    enum status status = yaml_known_keys(file->root, file->path, known, sizeof known / sizeof known[0], err);
    if (status == STATUS_OK)
        status = read_names(file, b, err);
    if (status == STATUS_OK)
        status = bundle_read_schema(file, &b->schema, err);
    if (status == STATUS_OK)
        status = bundle_read_features(file, b, err);
    if (status == STATUS_OK)
        status = read_model(file, b, err);
    if (status == STATUS_OK)
        status = check_columns(file, b, err);
    return status == STATUS_OK ? bundle_read_decision(file, b, err) : status;
}

enum status bundle_load(const char *dir, struct bundle **out, struct error *err)
{
    struct bundle *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the bundle");
    b->dir = strdup(dir);
    size_t len = b->dir ? strlen(b->dir) : 0;
    while (len > 1 && b->dir[len - 1] == '/')
        b->dir[--len] = '\0';
    struct buf path = {0};
    struct yaml *root = NULL;
    buf_format(&path, "%s/bundle.yaml", dir);
    enum status status = b->dir ? yaml_load(buf_text(&path), &root, err) : error_set(err, STATUS_NO_MEMORY, "out of memory for the bundle");
    if (status == STATUS_OK) {
        const struct bundle_file file = {.path = buf_text(&path), .root = root};
        status = read_all(&file, b, err);
    }
    yaml_tree_free(root);
    buf_free(&path);
    if (status != STATUS_OK) {
        bundle_free(b);
        return status;
    }
    *out = b;
    return STATUS_OK;
}

void bundle_free(struct bundle *bundle)
{
    if (!bundle)
        return;
    for (size_t i = 0; i < bundle->reason_count; i++) {
        free(bundle->reasons[i].code);
        free(bundle->reasons[i].text);
    }
    free(bundle->reasons);
    plan_free(bundle->plan);
    schema_free(bundle->schema);
    model_free(bundle->model);
    calibration_free(&bundle->calibration);
    free(bundle->dir);
    free(bundle->name);
    free(bundle->version);
    free(bundle);
}
