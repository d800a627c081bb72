#include "model/input/schema.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/input/schema_tree.h"

const char *field_type_name(enum field_type type)
{
    static const char *const names[] = {"id", "time", "key", "number", "boolean", "category"};
    CHECK(type <= FIELD_CATEGORY);
    return names[type];
}

/* "merchant.country" has two parts, none empty or too long. */
static enum status check_path(const struct field *f, struct error *err)
{
    size_t parts = 0;
    for (const char *p = f->path;; parts++) {
        const char *dot = strchr(p, '.');
        size_t len = dot ? (size_t)(dot - p) : strlen(p);
        if (len == 0 || len > SCHEMA_NAME_MAX)
            return error_set(err, STATUS_INVALID, "field '%s': path '%.200s' has an empty part or one longer than %d bytes",
                             f->name, f->path, SCHEMA_NAME_MAX);
        if (!dot)
            break;
        p = dot + 1;
    }
    if (parts + 1 > SCHEMA_DEPTH_MAX)
        return error_set(err, STATUS_INVALID, "field '%s': path '%.200s' is more than %d levels deep", f->name, f->path,
                         SCHEMA_DEPTH_MAX);
    return STATUS_OK;
}

static enum status check_fields(const struct field *fields, size_t n, struct error *err)
{
    size_t ids = 0, times = 0;
    if (n > SCHEMA_FIELDS_MAX)
        return error_set(err, STATUS_INVALID, "%zu fields, at most %d are possible", n, SCHEMA_FIELDS_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(fields[i].name);
        if (len == 0 || len > SCHEMA_NAME_MAX)
            return error_set(err, STATUS_INVALID, "field '%.80s': a name has 1 to %d bytes", fields[i].name, SCHEMA_NAME_MAX);
        enum status status = check_path(&fields[i], err);
        if (status != STATUS_OK)
            return status;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(fields[k].name, fields[i].name) == 0)
                return error_set(err, STATUS_INVALID, "field '%s' is declared twice", fields[i].name);
        }
        ids += fields[i].type == FIELD_ID;
        times += fields[i].type == FIELD_TIME;
    }
    if (ids != 1)
        return error_set(err, STATUS_INVALID, "exactly one field of type id is needed, there are %zu", ids);
    if (times == 0)
        return error_set(err, STATUS_INVALID, "a field of type time is needed: when the transaction took place");
    return STATUS_OK;
}

static enum status copy_fields(struct schema *s, const struct field *fields, size_t n, struct error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(fields[i].name) + strlen(fields[i].path) + 2;
    s->fields = calloc(n, sizeof *s->fields);
    s->strings = malloc(bytes);
    if (!s->fields || !s->strings)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the schema");
    char *to = s->strings;
    bool time_seen = false;
    for (size_t i = 0; i < n; i++) {
        struct field *f = &s->fields[i];
        *f = fields[i];
        size_t name = strlen(f->name) + 1, path = strlen(f->path) + 1;
        memcpy(to, f->name, name);
        memcpy(to + name, f->path, path);
        f->name = to;
        f->path = to + name;
        to += name + path;
        if (f->type == FIELD_ID) {
            s->id = i;
            f->required = true;
        }
        if (f->type == FIELD_TIME && !time_seen) {
            s->time = i;
            f->required = time_seen = true;
        }
        s->text_fields += f->type == FIELD_ID || f->type == FIELD_KEY || f->type == FIELD_CATEGORY;
    }
    s->size = n;
    return STATUS_OK;
}

/* A new, empty object level, large enough for every field: at most a quarter of its places are ever used. */
static enum status add_object(struct schema *s, struct error *err)
{
    struct schema_object *grown = realloc(s->objects, (s->object_count + 1) * sizeof *grown);
    if (!grown)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the schema");
    s->objects = grown;
    struct schema_object *o = &grown[s->object_count];
    *o = (struct schema_object){.bits = 3};
    while ((size_t)1 << o->bits < 4 * s->size)
        o->bits++;
    o->places = calloc((size_t)1 << o->bits, sizeof *o->places);
    if (!o->places)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the schema");
    s->object_count++;
    return STATUS_OK;
}

static void put(struct schema_object *o, const struct schema_entry *entry)
{
    uint32_t mask = (UINT32_C(1) << o->bits) - 1;
    uint32_t i = schema_place(o, entry->prefix, entry->len);
    while (o->places[i].key)
        i = (i + 1) & mask;
    o->places[i] = *entry;
    o->used++;
}

/* Adds the part of field i's path that starts at `part` to object level `at`; *next is the level below it. */
static enum status add_part(struct schema *s, size_t i, const char *part, size_t len, bool last, size_t at, size_t *next, struct error *err)
{
    const struct schema_entry *known = schema_lookup(&s->objects[at], part, len, len);
    if (known && (last || known->object < 0)) {
        const struct field *other = &s->fields[known->field];
        return error_set(err, STATUS_INVALID, "fields '%s' and '%s': the paths '%.120s' and '%.120s' exclude each other", other->name,
                         s->fields[i].name, other->path, s->fields[i].path);
    }
    if (known) {
        *next = (size_t)known->object;
        return STATUS_OK;
    }
    struct schema_entry entry = {.key = part, .prefix = schema_prefix(part, len, len), .len = (uint32_t)len, .field = (int16_t)i, .object = -1};
    if (!last) {
        enum status status = add_object(s, err);
        if (status != STATUS_OK)
            return status;
        *next = s->object_count - 1;
        entry.object = (int16_t)*next;
    }
    put(&s->objects[at], &entry);
    return STATUS_OK;
}

static enum status add_path(struct schema *s, size_t i, struct error *err)
{
    size_t at = 0;
    const char *part = s->fields[i].path;
    for (;;) {
        const char *dot = strchr(part, '.');
        size_t len = dot ? (size_t)(dot - part) : strlen(part);
        enum status status = add_part(s, i, part, len, dot == NULL, at, &at, err);
        if (status != STATUS_OK || !dot)
            return status;
        part = dot + 1;
    }
}

enum status schema_create(const struct field *fields, size_t n, struct schema **out, struct error *err)
{
    enum status status = check_fields(fields, n, err);
    if (status != STATUS_OK)
        return status;
    struct schema *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the schema");
    status = copy_fields(s, fields, n, err);
    if (status == STATUS_OK)
        status = add_object(s, err);
    for (size_t i = 0; status == STATUS_OK && i < n; i++)
        status = add_path(s, i, err);
    if (status != STATUS_OK) {
        schema_free(s);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

void schema_free(struct schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->object_count; i++)
        free(schema->objects[i].places);
    free(schema->objects);
    free(schema->fields);
    free(schema->strings);
    free(schema);
}

size_t schema_size(const struct schema *schema)
{
    return schema->size;
}

const struct field *schema_field(const struct schema *schema, size_t i)
{
    CHECK(i < schema->size);
    return &schema->fields[i];
}

int schema_find(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->size; i++) {
        if (strcmp(schema->fields[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

size_t schema_id(const struct schema *schema)
{
    return schema->id;
}

size_t schema_time(const struct schema *schema)
{
    return schema->time;
}
