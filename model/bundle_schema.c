/* The transaction section of bundle.yaml. */
#include <stdlib.h>
#include <string.h>

#include "model/bundle_parts.h"

static const char *const types[] = {"id", "time", "key", "number", "boolean", "category"}; /* enum field_type */
static const char *const units[] = {"s", "ms", "us", "rfc3339"};                           /* enum time_unit */

/* Features call a field by its name, so it must be what their grammar calls one. */
static bool is_name(const char *name)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.0123456789";
    bool keyword = strcmp(name, "and") == 0 || strcmp(name, "or") == 0 || strcmp(name, "not") == 0;
    bool starts = name[0] != '\0' && !strchr(".0123456789", name[0]);
    return starts && name[strspn(name, characters)] == '\0' && !keyword;
}

static enum status read_unit(const struct bundle_file *file, const struct yaml *node, struct field *field,
                             struct error *err)
{
    int unit;
    enum status status = bundle_word(file, node, "unit", units, sizeof units / sizeof *units, &unit, err);
    if (status != STATUS_OK)
        return status;
    if (field->type != FIELD_TIME)
        return unit >= 0 ? bundle_refuse(file, yaml_get(node, "unit"), err, "%s: only a time has a unit", field->name)
                         : STATUS_OK;
    if (unit < 0)
        return bundle_refuse(file, node, err, "%s: a time needs its 'unit': s, ms, us or rfc3339", field->name);
    field->unit = (enum time_unit)unit;
    return STATUS_OK;
}

static enum status read_field(const struct bundle_file *file, const struct yaml *key, const struct yaml *node,
                              struct field *field, struct error *err)
{
    static const char *const known[] = {"field", "type", "unit", "required"};
    field->name = key->text;
    if (!is_name(key->text))
        return bundle_refuse(file, key, err,
                             "'%.80s' can't be the name of a field: letters, digits, '_' and '.' make one; where it "
                             "stands in the JSON is said by 'field'",
                             key->text);
    int type = -1, required = 0;
    enum status status = yaml_known_keys(node, file->path, known, sizeof known / sizeof *known, err);
    if (status == STATUS_OK)
        status = bundle_text(file, node, "field", false, &field->path, err);
    if (status == STATUS_OK)
        status = bundle_word(file, node, "type", types, sizeof types / sizeof *types, &type, err);
    if (status == STATUS_OK && yaml_get(node, "required"))
        status = yaml_bool(yaml_get(node, "required"), file->path, "required", &required, err);
    if (status != STATUS_OK)
        return status;
    if (type < 0)
        return bundle_refuse(file, node, err, "%s: 'type' is missing: id, time, key, number, boolean or category",
                             field->name);
    field->path = field->path ? field->path : field->name;
    field->type = (enum field_type)type;
    field->required = required;
    return read_unit(file, node, field, err);
}

enum status bundle_read_schema(const struct bundle_file *file, struct schema **out, struct error *err)
{
    const struct yaml *section = yaml_get(file->root, "transaction");
    if (!section || section->kind != YAML_MAP || section->size == 0)
        return bundle_refuse(
            file, section ? section : file->root, err,
            "'transaction' is missing: a map of fields, such as amount: {field: amount, type: number}");
    struct field *fields = calloc(section->size, sizeof *fields);
    if (!fields)
        return bundle_no_memory(err);
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
