/* The features and reasons of bundle.yaml: one plan, the model's inputs first, then a column for each reason. */
#include <stdlib.h>
#include <string.h>

#include "model/bundle_parts.h"

static struct feature_source source_at(const struct bundle_file *file, const char *name, const struct yaml *expression)
{
    return (struct feature_source){.name = name,
                                   .expression = expression->text,
                                   .file = file->path,
                                   .line = expression->line,
                                   .column = expression->column + (expression->quoted ? 1 : 0)};
}

/* - name: expression */
static enum status read_feature(const struct bundle_file *file, const struct yaml *item, struct feature_source *out,
                                struct error *err)
{
    if (item->kind != YAML_MAP || item->size != 1 || item->items[0].kind != YAML_SCALAR)
        return bundle_refuse(file, item, err, "a feature is one line '- name: expression'");
    *out = source_at(file, item->keys[0].text, &item->items[0]);
    return STATUS_OK;
}

/* - {code: …, when: expression, text: …} */
static enum status read_reason(const struct bundle_file *file, const struct yaml *item, struct reason *reason,
                               struct feature_source *out, struct error *err)
{
    static const char *const known[] = {"code", "when", "text"};
    const char *code, *when, *text;
    enum status status = yaml_known_keys(item, file->path, known, sizeof known / sizeof *known, err);
    if (status == STATUS_OK)
        status = bundle_text(file, item, "code", true, &code, err);
    if (status == STATUS_OK)
        status = bundle_text(file, item, "when", true, &when, err);
    if (status == STATUS_OK)
        status = bundle_text(file, item, "text", false, &text, err);
    if (status != STATUS_OK)
        return status;
    reason->code = strdup(code);
    reason->text = strdup(text ? text : "");
    if (!reason->code || !reason->text)
        return bundle_no_memory(err);
    *out = source_at(file, reason->code, yaml_get(item, "when"));
    return STATUS_OK;
}

/* sources: room for features and reasons. */
static enum status compile(const struct bundle_file *file, const struct yaml *features, const struct yaml *reasons,
                           struct feature_source *sources, struct bundle *bundle, struct error *err)
{
    struct feature_source *conditions = sources + features->size;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < features->size && status == STATUS_OK; i++)
        status = read_feature(file, &features->items[i], &sources[i], err);
    for (size_t i = 0; i < bundle->reason_count && status == STATUS_OK; i++)
        status = read_reason(file, &reasons->items[i], &bundle->reasons[i], &conditions[i], err);
    if (status == STATUS_OK)
        status = plan_compile_with_conditions(bundle->schema, sources, features->size, conditions, bundle->reason_count,
                                              &bundle->plan, err);
    if (status == STATUS_OK)
        bundle->features = plan_columns(bundle->plan) - bundle->reason_count;
    return status;
}

enum status bundle_read_features(const struct bundle_file *file, struct bundle *bundle, struct error *err)
{
    const struct yaml *features = yaml_get(file->root, "features"), *reasons = yaml_get(file->root, "reasons");
    if (!features || features->kind != YAML_LIST || features->size == 0)
        return bundle_refuse(file, features ? features : file->root, err,
                             "'features' is missing: a list of '- name: expression'");
    if (reasons && reasons->kind != YAML_LIST)
        return bundle_refuse(file, reasons, err, "reasons: a list of {code, when, text} is needed");
    size_t count = reasons ? reasons->size : 0;
    if (count > BUNDLE_REASONS_MAX)
        return bundle_refuse(file, reasons, err, "%zu reasons, at most %d are possible", count, BUNDLE_REASONS_MAX);
    bundle->reasons = calloc(count + 1, sizeof *bundle->reasons);
    struct feature_source *sources = calloc(features->size + count, sizeof *sources);
    enum status status = STATUS_NO_MEMORY;
    if (bundle->reasons && sources) {
        bundle->reason_count = count;
        status = compile(file, features, reasons, sources, bundle, err);
    } else {
        (void)bundle_no_memory(err);
    }
    free(sources);
    return status;
}
