#include "model/input/decode.h"

#include <math.h>
#include <string.h>

#include "model/input/scan.h"
#include "model/input/number.h"
#include "model/input/schema_tree.h"
#include "model/input/time.h"

struct decoder {
    struct scan scan;
    const struct schema *schema;
    struct transaction *tx;
    struct decode_fault *fault; /* the first breach of the schema; the JSON goes on being read to find its end */
    uint64_t seen[SCHEMA_FIELDS_MAX / 64]; /* of both only the words that this schema uses are set up */
    uint64_t seen_objects[SCHEMA_FIELDS_MAX * SCHEMA_DEPTH_MAX / 64];
};

static bool mark(uint64_t *bits, size_t i)
{
    bool before = bits[i / 64] >> (i % 64) & 1;
    bits[i / 64] |= UINT64_C(1) << (i % 64);
    return before;
}

static void blame(struct decoder *d, enum decode_reason reason, int32_t field, const char *where)
{
    if (d->fault->reason == DECODE_NONE)
        *d->fault = (struct decode_fault){reason, field, (uint32_t)(where - d->scan.start)};
}

/* A string for an id, key or category: borrowed from the document, or unescaped into the arena. */
static bool text_value(struct decoder *d, int32_t field, struct value *value, bool may_be_empty)
{
    const char *where = d->scan.at;
    struct scan_text text;
    if (!scan_string(&d->scan, &text))
        return false;
    struct transaction *tx = d->tx;
    if (!text.escaped) {
        value->text = (struct span){text.data, (uint32_t)text.len};
        if (text.len > TEXT_BYTES_MAX)
            blame(d, DECODE_TEXT_TOO_LONG, field, where);
    } else {
        char *to = tx->arena + tx->arena_len;
        size_t room = tx->arena_cap - tx->arena_len;
        size_t len = scan_unescape(&text, to, room < TEXT_BYTES_MAX ? room : TEXT_BYTES_MAX);
        if (len == SIZE_MAX) {
            blame(d, DECODE_TEXT_TOO_LONG, field, where);
            return true;
        }
        value->text = (struct span){to, (uint32_t)len};
        tx->arena_len += (uint32_t)len;
    }
    if (value->text.len == 0 && !may_be_empty)
        blame(d, DECODE_TEXT_EMPTY, field, where);
    return true;
}

/* The numbers of a schema: amounts, times, and ids and keys that are integers. */
static bool number_value(struct decoder *d, int32_t field, const struct field *f, struct value *value)
{
    const char *where = d->scan.at;
    if (f->type == FIELD_NUMBER) { /* read and checked in one go */
        size_t used = number_read_double(where, (size_t)(d->scan.end - where), &value->number);
        d->scan.at += used;
        if (used > 0)
            return true;
    }
    struct span text;
    bool integer;
    if (!scan_number(&d->scan, &text, &integer))
        return false;
    enum decode_reason reason = DECODE_NONE;
    int64_t us;
    switch (f->type) {
    case FIELD_NUMBER:
        reason = DECODE_NUMBER; /* good JSON, so it is too large */
        break;
    case FIELD_TIME:
        reason = f->unit == TIME_RFC3339 ? DECODE_TYPE : time_from_number(text.data, text.len, f->unit, &us);
        if (reason != DECODE_NONE)
            break;
        value->number = (double)us / 1e6;
        if ((size_t)field == d->schema->time)
            d->tx->time_us = us;
        break;
    case FIELD_ID:
    case FIELD_KEY:
        value->text = text.len == 2 && where[0] == '-' && where[1] == '0' ? (struct span){where + 1, 1} : text; /* -0 is 0 */
        if (!integer)
            reason = DECODE_TYPE;
        else if (text.len > TEXT_BYTES_MAX)
            reason = DECODE_TEXT_TOO_LONG;
        break;
    default:
        reason = DECODE_TYPE;
    }
    if (reason != DECODE_NONE)
        blame(d, reason, field, where);
    return true;
}

static bool string_value(struct decoder *d, int32_t field, const struct field *f, struct value *value)
{
    if (f->type == FIELD_ID || f->type == FIELD_KEY || f->type == FIELD_CATEGORY)
        return text_value(d, field, value, f->type == FIELD_CATEGORY);
    const char *where = d->scan.at;
    struct scan_text text;
    if (!scan_string(&d->scan, &text))
        return false;
    if (f->type != FIELD_TIME || f->unit != TIME_RFC3339) {
        blame(d, DECODE_TYPE, field, where);
        return true;
    }
    int64_t us = 0;
    enum decode_reason reason = time_from_rfc3339(text.data, text.len, &us);
    if (reason != DECODE_NONE)
        blame(d, reason, field, where);
    value->number = (double)us / 1e6;
    if ((size_t)field == d->schema->time)
        d->tx->time_us = us;
    return true;
}

static bool field_value(struct decoder *d, int32_t field, int depth)
{
    const struct field *f = &d->schema->fields[field];
    struct value *value = &d->tx->values[field];
    char c = scan_peek(&d->scan);
    const char *where = d->scan.at;
    switch (c) {
    case '"':
        return string_value(d, field, f, value);
    case 'n':
        if (f->required)
            blame(d, DECODE_MISSING, field, where);
        return scan_literal(&d->scan);
    case 't':
    case 'f':
        if (f->type != FIELD_BOOLEAN)
            blame(d, DECODE_TYPE, field, where);
        value->number = c == 't';
        return scan_literal(&d->scan);
    case '{':
    case '[':
        blame(d, DECODE_TYPE, field, where);
        return scan_skip_value(&d->scan, depth);
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return scan_fail(&d->scan, d->scan.at == d->scan.end ? DECODE_TRUNCATED : DECODE_SYNTAX);
        return number_value(d, field, f, value);
    }
}

static bool decode_object(struct decoder *d, size_t object, int depth);

/* The value of a key that leads to deeper fields: an object, or null for none of them. */
static bool object_value(struct decoder *d, const struct schema_entry *entry, int depth)
{
    char c = scan_peek(&d->scan);
    if (c == '{')
        return decode_object(d, (size_t)entry->object, depth);
    if (c != 'n')
        blame(d, DECODE_PARENT, entry->field, d->scan.at);
    return scan_skip_value(&d->scan, depth);
}

static bool member(struct decoder *d, size_t object, int depth)
{
    struct scan *s = &d->scan;
    const char *where = s->at;
    struct scan_text key;
    if (!scan_string(s, &key) || !scan_take(s, ':'))
        return false;
    const struct schema_object *level = &d->schema->objects[object];
    const struct schema_entry *entry;
    if (key.escaped) {
        char plain[SCHEMA_NAME_MAX];
        size_t len = scan_unescape(&key, plain, sizeof plain);
        entry = len == SIZE_MAX ? NULL : schema_lookup(level, plain, len, len);
    } else {
        entry = schema_lookup(level, key.data, key.len, (size_t)(s->end - key.data));
    }
    if (!entry)
        return scan_skip_value(s, depth);
    bool repeated = entry->object < 0 ? mark(d->seen, (size_t)entry->field) : mark(d->seen_objects, (size_t)entry->object);
    if (repeated) {
        blame(d, DECODE_DUPLICATE, entry->field, where);
        return scan_skip_value(s, depth);
    }
    return entry->object < 0 ? field_value(d, entry->field, depth) : object_value(d, entry, depth);
}

/* The cursor is at '{'; `depth` containers are open around it. Recursion is bounded by the schema's depth. */
static bool decode_object(struct decoder *d, size_t object, int depth)
{
    struct scan *s = &d->scan;
    s->at++;
    if (scan_peek(s) == '}') {
        s->at++;
        return true;
    }
    for (;;) {
        if (scan_peek(s) != '"')
            return scan_fail(s, s->at == s->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
        if (!member(d, object, depth + 1))
            return false;
        char c = scan_peek(s);
        if (c != ',' && c != '}')
            return scan_fail(s, s->at == s->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
        s->at++;
        if (c == '}')
            return true;
    }
}

static void check_required(struct decoder *d, const char *where)
{
    for (size_t i = 0; i < d->schema->size; i++) {
        if (d->schema->fields[i].required && !(d->seen[i / 64] >> (i % 64) & 1))
            blame(d, DECODE_MISSING, (int32_t)i, where);
    }
}

enum status decode_transaction(const struct schema *schema, const char *json, size_t len, struct transaction *tx,
                               size_t *consumed, struct decode_fault *fault)
{
    struct decoder d;
    d.scan = (struct scan){.at = json, .start = json, .end = json + len};
    d.schema = schema;
    d.tx = tx;
    d.fault = fault;
    memset(d.seen, 0, (schema->size + 63) / 64 * sizeof d.seen[0]);
    memset(d.seen_objects, 0, (schema->object_count + 63) / 64 * sizeof d.seen_objects[0]);
    *fault = (struct decode_fault){DECODE_NONE, -1, 0};
    *consumed = 0;
    tx->arena_len = 0;
    for (size_t i = 0; i < schema->size; i++)
        tx->values[i] = (struct value){.number = NAN};
    char first = scan_peek(&d.scan);
    const char *where = d.scan.at;
    if (where == d.scan.end)
        (void)scan_fail(&d.scan, DECODE_EMPTY);
    else if (first == '{')
        (void)decode_object(&d, 0, 0);
    else if (scan_skip_value(&d.scan, 0))
        blame(&d, DECODE_NOT_OBJECT, -1, where);
    if (d.scan.reason != DECODE_NONE) { /* broken JSON outweighs a broken rule: nothing after it can be trusted */
        *fault = (struct decode_fault){d.scan.reason, -1, (uint32_t)(d.scan.at - json)};
        return STATUS_INVALID;
    }
    if (fault->reason == DECODE_NONE)
        check_required(&d, where);
    *consumed = (size_t)(d.scan.at - json);
    return fault->reason == DECODE_NONE ? STATUS_OK : STATUS_INVALID;
}

size_t decode_skip_space(const char *json, size_t len)
{
    struct scan s = {.at = json, .start = json, .end = json + len};
    scan_space(&s);
    return (size_t)(s.at - json);
}
