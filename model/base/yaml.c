/*
 * YAML by libyaml's events, gathered into a tree.
 *
 * libyaml scans and checks the syntax; what is ours are the rules a configuration keeps: one document, plain data (no
 * anchors, aliases or tags), text keys that occur once in their map, bounded depth and bounded maps. The recursion
 * below is bounded by DEPTH_MAX, the memory by FILE_BYTES_MAX, and the search for repeated keys by KEYS_MAX.
 */
#include "model/base/yaml.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

#include "model/base/buf.h"
#include "model/base/nearest.h"

enum { FILE_BYTES_MAX = 1 << 20, DEPTH_MAX = 16, KEYS_MAX = 1024 };

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct error *err;
};

__attribute__((format(printf, 4, 5))) static enum status fail_at(const struct reader *r, yaml_mark_t mark,
                                                                 enum status code, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(r->err, code, "%s:%zu:%zu: %s", r->name, mark.line + 1, mark.column + 1, what);
}

/* libyaml's own finding, in one line, with a hint for the mistake that everybody makes once. */
static enum status fail_syntax(const struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return error_set(r->err, STATUS_NO_MEMORY, "%s: out of memory while reading YAML", r->name);
    const char *problem = p->problem ? p->problem : "not valid YAML";
    if (p->error == YAML_READER_ERROR)
        return error_set(r->err, STATUS_INVALID, "%s: byte %zu: not valid UTF-8 text: %s", r->name, p->problem_offset,
                         problem);
    const char *hint = strstr(problem, "cannot start any token")
                           ? " (a tab, '@', '`' or '%'? Indent with spaces, and put such text in quotes)"
                           : "";
    return error_set(r->err, STATUS_INVALID, "%s:%zu:%zu: %s%s%s%s", r->name, p->problem_mark.line + 1,
                     p->problem_mark.column + 1, p->context ? p->context : "", p->context ? ": " : "", problem, hint);
}

static enum status next_event(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? STATUS_OK : fail_syntax(r);
}

static void free_inside(struct yaml *node)
{
    free((char *)node->text);
    for (size_t i = 0; i < node->size; i++) {
        free_inside(&node->items[i]);
        if (node->keys)
            free_inside(&node->keys[i]);
    }
    free(node->items);
    free(node->keys);
}

void yaml_tree_free(struct yaml *root)
{
    if (!root)
        return;
    free_inside(root);
    free(root);
}

/* Makes room for one more entry: capacities are powers of two, so that size alone tells when it is full. */
static bool grow(struct yaml *node)
{
    size_t size = node->size;
    if ((size & (size - 1)) != 0)
        return true;
    size_t want = size ? size * 2 : 1;
    struct yaml *items = realloc(node->items, want * sizeof *items);
    if (items)
        node->items = items;
    struct yaml *keys = NULL;
    if (node->kind == YAML_MAP) {
        keys = realloc(node->keys, want * sizeof *keys);
        if (keys)
            node->keys = keys;
    }
    return items && (keys || node->kind == YAML_LIST);
}

static enum status scalar(const struct reader *r, const yaml_event_t *event, struct yaml *out)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(text, '\0', len))
        return fail_at(r, event->start_mark, STATUS_INVALID, "the text holds a NUL character");
    out->text = strndup(text, len);
    out->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return out->text ? STATUS_OK : error_set(r->err, STATUS_NO_MEMORY, "%s: out of memory", r->name);
}

/* Anchors and tags are refused on every kind of node; an alias is an event of its own. */
static enum status check_plain(const struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        return fail_at(
            r, event->start_mark, STATUS_INVALID,
            "aliases ('*name') are not supported: write the value itself (a text that begins with '*' needs quotes)");
    }
    if (anchor)
        return fail_at(r, event->start_mark, STATUS_INVALID,
                       "anchors ('&name') are not supported (a text that begins with '&' needs quotes)");
    if (tag)
        return fail_at(r, event->start_mark, STATUS_INVALID,
                       "tags ('!name') are not supported (a text that begins with '!' needs quotes)");
    return STATUS_OK;
}

static enum status node_from(struct reader *r, const yaml_event_t *event, int depth, struct yaml *out);

/* The next entry's key into node->keys[size]: a scalar that the map does not have yet. */
static enum status map_key(struct reader *r, const yaml_event_t *event, struct yaml *node)
{
    struct yaml *key = &node->keys[node->size];
    *key = (struct yaml){0};
    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(r, event->start_mark, STATUS_INVALID, "a key must be a plain text");
    if (node->size == KEYS_MAX)
        return fail_at(r, event->start_mark, STATUS_LIMIT, "a map with more than %d keys", KEYS_MAX);
    enum status status = node_from(r, event, 0, key);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < node->size; i++) {
        if (strcmp(node->keys[i].text, key->text) != 0)
            continue;
        status = error_set(r->err, STATUS_INVALID, "%s:%d:%d: the key '%.80s' was already given in line %d", r->name,
                           key->line, key->column, key->text, node->keys[i].line);
        free_inside(key);
        return status;
    }
    return STATUS_OK;
}

/* One entry of a list or map that begins with *event; on success node->size has grown by it. */
static enum status entry(struct reader *r, yaml_event_t *event, int depth, struct yaml *node)
{
    if (!grow(node))
        return error_set(r->err, STATUS_NO_MEMORY, "%s: out of memory", r->name);
    struct yaml *item = &node->items[node->size];
    *item = (struct yaml){0};
    enum status status = STATUS_OK;
    if (node->kind == YAML_MAP) {
        status = map_key(r, event, node);
        if (status != STATUS_OK)
            return status;
        yaml_event_delete(event);
        status = next_event(r, event);
    }
    if (status == STATUS_OK)
        status = node_from(r, event, depth, item);
    node->size++; /* counted even when it failed, so that yaml_tree_free finds the key and what there is of the value */
    return status;
}

static enum status collection(struct reader *r, int depth, struct yaml *node)
{
    for (;;) {
        yaml_event_t event = {0};
        enum status status = next_event(r, &event);
        if (status != STATUS_OK)
            return status;
        bool end = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        if (!end)
            status = entry(r, &event, depth, node);
        yaml_event_delete(&event);
        if (end || status != STATUS_OK)
            return status;
    }
}

/* Reads the node that begins with *event into *out, which is zeroed; what it holds after a failure is freed by the
 * owner. */
static enum status node_from(struct reader *r, const yaml_event_t *event, int depth, struct yaml *out)
{
    enum status status = check_plain(r, event);
    if (status != STATUS_OK)
        return status;
    out->line = (int)event->start_mark.line + 1;
    out->column = (int)event->start_mark.column + 1;
    if (event->type == YAML_SCALAR_EVENT)
        return scalar(r, event, out);
    out->kind = event->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST;
    if (depth == DEPTH_MAX)
        return fail_at(r, event->start_mark, STATUS_LIMIT, "nested more than %d levels deep", DEPTH_MAX);
    return collection(r, depth + 1, out);
}

/* Stream: one document, or none (an empty file is an empty map). */
static enum status stream(struct reader *r, struct yaml *root)
{
    bool seen = false;
    for (;;) {
        yaml_event_t event = {0};
        enum status status = next_event(r, &event);
        if (status != STATUS_OK)
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && seen)
            status = fail_at(r, event.start_mark, STATUS_INVALID, "a second document begins here; one is allowed");
        else if (type == YAML_DOCUMENT_START_EVENT)
            seen = true;
        else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT && type != YAML_DOCUMENT_END_EVENT)
            status = node_from(r, &event, 0, root);
        yaml_event_delete(&event);
        if (status != STATUS_OK)
            return status;
        if (type == YAML_STREAM_END_EVENT)
            break;
    }
    if (!seen)
        *root = (struct yaml){.kind = YAML_MAP, .line = 1, .column = 1};
    return STATUS_OK;
}

enum status yaml_parse(const char *name, const char *text, size_t len, struct yaml **out, struct error *err)
{
    *out = NULL;
    if (len > FILE_BYTES_MAX)
        return error_set(err, STATUS_LIMIT, "%s: larger than the limit of %d bytes", name, FILE_BYTES_MAX);
    struct reader r = {.name = name, .err = err};
    struct yaml *root = calloc(1, sizeof *root);
    if (!root || !yaml_parser_initialize(&r.parser)) {
        free(root);
        return error_set(err, STATUS_NO_MEMORY, "%s: out of memory", name);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    enum status status = stream(&r, root);
    yaml_parser_delete(&r.parser);
    if (status == STATUS_OK)
        *out = root;
    else
        yaml_tree_free(root);
    return status;
}

enum status yaml_load(const char *path, struct yaml **out, struct error *err)
{
    *out = NULL;
    struct buf content = {0};
    enum status status = buf_read_file(&content, path, FILE_BYTES_MAX, err);
    if (status == STATUS_OK)
        status = yaml_parse(path, content.data, content.len, out, err);
    buf_free(&content);
    return status;
}

const struct yaml *yaml_get(const struct yaml *node, const char *key)
{
    if (!node || node->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < node->size; i++)
        if (strcmp(node->keys[i].text, key) == 0)
            return &node->items[i];
    return NULL;
}

/* STATUS_INVALID with what is there instead of `needed`. */
static enum status not_a(const char *needed, const struct yaml *node, const char *path, const char *what,
                         struct error *err)
{
    if (node->kind != YAML_SCALAR)
        return error_set(err, STATUS_INVALID, "%s:%d: %s: %s is needed, found a %s", path, node->line, what, needed,
                         node->kind == YAML_LIST ? "list" : "map");
    return error_set(err, STATUS_INVALID, "%s:%d: %s: %s is needed, found '%.80s'%s", path, node->line, what, needed,
                     node->text, node->quoted ? " in quotes, which make it text" : "");
}

enum status yaml_double(const struct yaml *node, const char *path, const char *what, double *out, struct error *err)
{
    /* Decimal digits only: strtod alone would take hexadecimal, "inf" and "nan" too. */
    bool decimal = node->kind == YAML_SCALAR && !node->quoted && node->text[0] != '\0' &&
                   node->text[strspn(node->text, "0123456789+-.eE")] == '\0';
    char *end = NULL;
    double value = decimal ? strtod(node->text, &end) : 0;
    if (!decimal || *end != '\0' || end == node->text)
        return not_a("a number", node, path, what, err);
    if (!isfinite(value))
        return not_a("a number within the range of a double", node, path, what, err);
    *out = value;
    return STATUS_OK;
}

enum status yaml_bool(const struct yaml *node, const char *path, const char *what, int *out, struct error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; node->kind == YAML_SCALAR && !node->quoted && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(node->text, words[i]) != 0)
            continue;
        *out = (int)(i % 2);
        return STATUS_OK;
    }
    return not_a("true or false", node, path, what, err);
}

enum status yaml_known_keys(const struct yaml *map, const char *path, const char *const *known, size_t n,
                            struct error *err)
{
    if (map->kind != YAML_MAP)
        return error_set(err, STATUS_INVALID, "%s:%d: a map (key: value) is needed here", path, map->line);
    for (size_t i = 0; i < map->size; i++) {
        const struct yaml *key = &map->keys[i];
        bool found = false;
        for (size_t k = 0; k < n && !found; k++)
            found = strcmp(key->text, known[k]) == 0;
        if (found)
            continue;
        const char *near = nearest_word(key->text, known, n);
        if (near)
            return error_set(err, STATUS_INVALID, "%s:%d:%d: unknown key '%.80s'; did you mean '%s'?", path, key->line,
                             key->column, key->text, near);
        struct buf list = {0};
        for (size_t k = 0; k < n; k++)
            buf_format(&list, "%s%s", k ? ", " : "", known[k]);
        enum status status = error_set(err, STATUS_INVALID, "%s:%d:%d: unknown key '%.80s'; known here: %s", path,
                                       key->line, key->column, key->text, buf_text(&list));
        buf_free(&list);
        return status;
    }
    return STATUS_OK;
}
