/* The transaction section of bundle.yaml. */
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/bundle_parts.h"

static const char *const types[] = {"id", "time", "key", "number", "boolean", "category"}; /* enum field_type */
static const char *const units[] = {"s", "ms", "us", "rfc3339"};                           /* enum time_unit */

/* The position of a word in a list, or -1. */
static int position(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], word) == 0)
            return (int)i;
    }
    return -1;
}

static enum status read_unit(const struct bundle_file *file, const struct yaml *node, struct field *field, struct error *err)
{
    const char *unit;
    enum status status = bundle_text(file, node, "unit", false, &unit, err);
    if (status != STATUS_OK)
        return status;
    if (field->type != FIELD_TIME)
        return unit ? bundle_refuse(file, yaml_get(node, "unit"), err, "field '%s': only a time has a unit", field->name) : STATUS_OK;
    if (!unit)
        return bundle_refuse(file, node, err, "field '%s': a time needs its unit: s, ms, us or rfc3339", field->name);
    int at = position(units, sizeof units / sizeof units[0], unit);
    if (at < 0)
        return bundle_refuse(file, yaml_get(node, "unit"), err, "field '%s': unit '%.40s' is not one of s, ms, us, rfc3339", field->name, unit);
    field->unit = (enum time_unit)at;
    return STATUS_OK;
}

static enum status read_field(const struct bundle_file *file, const struct yaml *key, const struct yaml *node, struct field *field,
                              struct error *err)
{
    static const char *const known[] = {"field", "type", "unit", "required"};
    enum { TYPES = sizeof types / sizeof types[0] };
    const char *path, *type;
    field->name = key->text;
    enum status status = yaml_known_keys(node, file->path, known, sizeof known / sizeof known[0], err);
    if (status == STATUS_OK)
        status = bundle_text(file, node, "field", false, &path, err);
    if (status == STATUS_OK)
        status = bundle_text(file, node, "type", true, &type, err);
    if (status != STATUS_OK)
        return status;
    field->path = path ? path : field->name;
    int at = position(types, TYPES, type);
    if (at < 0) {
        const char *near = nearest_word(type, types, TYPES);
        return bundle_refuse(file, yaml_get(node, "type"), err, "field '%s': there is no type '%.40s'%s%s; types are id, time, key, number, boolean, category",
                             field->name, type, near ? ", did you mean " : "", near ? near : "");
    }
    field->type = (enum field_type)at;
    const struct yaml *required = yaml_get(node, "required");
    int truth = 0;
    if (required)
        status = yaml_bool(required, file->path, "required", &truth, err);
    field->required = truth;
    return status == STATUS_OK ? read_unit(file, node, field, err) : status;
}

enum status bundle_read_schema(const struct bundle_file *file, struct schema **out, struct error *err)
{
    const struct yaml *section = yaml_get(file->root, "transaction");
    if (!section || section->kind != YAML_MAP || section->size == 0)
        return bundle_refuse(file, section ? section : file->root, err,
                             "`transaction` is needed: a map of fields, such as `amount: {field: amount, type: number}`");
    struct field *fields = calloc(section->size, sizeof *fields);
    if (!fields)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the fields");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < section->size && status == STATUS_OK; i++)
        status = read_field(file, &section->keys[i], &section->items[i], &fields[i], err);
    if (status == STATUS_OK) {
        status = schema_create(fields, section->size, out, err);
        if (status != STATUS_OK)
            status = error_prefix(err, status, "%s:%d: transaction", file->path, section->line);
    }
    free(fields);
    return status;
}
