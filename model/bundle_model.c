/*
 * The model of bundle.yaml, and whether the features are what it was trained on. A model that gets its inputs in
 * another order scores all the same, and wrongly: so count, names and order are checked, and the message says what
 * differs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/bundle_parts.h"

struct seen {
    struct bundle_file *file;
    struct bundle *bundle;
};

static void note_model(void *context, const char *data, size_t len)
{
    const struct seen *seen = context;
    char beside[65]; /* of a data file beside the model: in the bundle's digest, not in the model file's own */
    bundle_note_digest(seen->file, data, len, seen->bundle->model_digest[0] ? beside : seen->bundle->model_digest);
}

static enum status load(struct bundle_file *file, const struct yaml *node, struct bundle *b, struct error *err)
{
    static const char *const trees[] = {"all", "best"}; /* enum model_trees */
    int which;
    enum status status = bundle_word(file, node, "trees", trees, 2, &which, err);
    if (status != STATUS_OK)
        return status;
    struct seen seen = {.file = file, .bundle = b};
    struct model_options options = {
        .trees = which < 0 ? MODEL_TREES_ALL : (enum model_trees)which, .seen = note_model, .seen_context = &seen};
    struct buf path = {0};
    status = bundle_file_path(file, node, "file", &path, err);
    if (status == STATUS_OK) {
        status = model_load(buf_text(&path), &options, &b->model, err);
        if (status != STATUS_OK)
            status = error_prefix(err, status, "%s:%d: model", file->path, node->line);
    }
    buf_free(&path);
    if (status != STATUS_OK)
        return status;
    if (options.trees == MODEL_TREES_BEST && model_info(b->model)->best_iteration < 0)
        return bundle_refuse(file, yaml_get(node, "trees"), err,
                             "trees: the model has no best iteration, since it was trained without "
                             "early stopping: leave 'trees' out");
    return STATUS_OK;
}

/* Which of several scores is the fraud score. */
static enum status read_output(const struct bundle_file *file, const struct yaml *node, struct bundle *b,
                               struct error *err)
{
    const struct yaml *output = yaml_get(node, "output");
    uint32_t scores = model_info(b->model)->scores;
    if (!output && scores == 1)
        return STATUS_OK;
    if (!output)
        return bundle_refuse(file, node, err,
                             "the model gives %u scores: say with 'output' which is that of fraud, 0 to %u", scores,
                             scores - 1);
    double value;
    enum status status = yaml_double(output, file->path, "output", &value, err);
    if (status != STATUS_OK)
        return status;
    if (!(value >= 0 && value < scores) || value != (double)(uint32_t)value)
        return bundle_refuse(file, output, err, "output: %g is not one of the model's scores, 0 to %u", value,
                             scores - 1);
    b->output = (uint32_t)value;
    return STATUS_OK;
}

/* The position of a name among the model's, or -1. */
static int in_model(const struct model_info *info, const char *name)
{
    for (uint32_t i = 0; i < info->features; i++)
        if (strcmp(info->feature_names[i], name) == 0)
            return (int)i;
    return -1;
}

static bool in_bundle(const struct bundle *b, const char *name)
{
    for (size_t i = 0; i < b->features; i++)
        if (strcmp(plan_column_name(b->plan, i), name) == 0)
            return true;
    return false;
}

/* ": the model's 'night' is missing, 'nigth' is not the model's" into out. */
static void describe_difference(const struct bundle *b, const struct model_info *info, struct buf *out)
{
    const char *missing = NULL, *extra = NULL;
    for (uint32_t i = 0; i < info->features && !missing; i++)
        missing = in_bundle(b, info->feature_names[i]) ? NULL : info->feature_names[i];
    for (size_t i = 0; i < b->features && !extra; i++)
        extra = in_model(info, plan_column_name(b->plan, i)) >= 0 ? NULL : plan_column_name(b->plan, i);
    if (missing)
        buf_format(out, ": the model's '%.60s' is missing", missing);
    if (extra)
        buf_format(out, "%s '%.60s' is not the model's", missing ? "," : ":", extra);
    if (!missing && !extra && b->features == info->features)
        buf_string(out, ": they are the same in another order; put the features into the model's");
}

static enum status check_columns(const struct bundle_file *file, const struct bundle *b, struct error *err)
{
    const struct model_info *info = model_info(b->model);
    const struct yaml *features = yaml_get(file->root, "features"), *at = features;
    bool named = model_names_features(info);
    struct buf difference = {0};
    if (named)
        describe_difference(b, info, &difference);
    enum status status = STATUS_OK;
    if (b->features != info->features) {
        status = bundle_refuse(file, at, err, "the features give %zu columns, the model takes %u%s", b->features,
                               info->features, buf_text(&difference));
    }
    for (size_t i = 0; named && status == STATUS_OK && i < b->features; i++) {
        const char *ours = plan_column_name(b->plan, i), *theirs = info->feature_names[i];
        at = &features->items[plan_column_source(b->plan, i)];
        if (strcmp(ours, theirs) != 0)
            status = bundle_refuse(file, at, err, "column %zu is '%.60s', the model's is '%.60s'%s", i + 1, ours,
                                   theirs, buf_text(&difference));
    }
    buf_free(&difference);
    return status == STATUS_OK ? STATUS_OK : STATUS_MISMATCH;
}

enum status bundle_read_model(struct bundle_file *file, struct bundle *bundle, struct error *err)
{
    static const char *const known[] = {"file", "trees", "output"};
    const struct yaml *node = yaml_get(file->root, "model");
    if (!node || node->kind != YAML_MAP)
        return bundle_refuse(file, node ? node : file->root, err, "'model' is missing: {file: model.json}");
    enum status status = yaml_known_keys(node, file->path, known, sizeof known / sizeof *known, err);
    if (status == STATUS_OK)
        status = load(file, node, bundle, err);
    if (status == STATUS_OK)
        status = read_output(file, node, bundle, err);
    return status == STATUS_OK ? check_columns(file, bundle, err) : status;
}
