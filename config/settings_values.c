/*
 * Setting one value: from text to the typed field of its option, or to a librdkafka property.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings_table.h"
#include "model/base/nearest.h"

enum { SECRET_BYTES_MAX = 65536 };

#define AT(field) offsetof(struct settings, field)
const struct option settings_table[SETTINGS_OPTIONS] = {
#define OPTION_TEXT(key, field, def, flags, help) {key, OPTION_KIND_TEXT, AT(field), def, 0, 0, "", "", flags, help},
#define OPTION_PATH(key, field, def, flags, help) {key, OPTION_KIND_PATH, AT(field), def, 0, 0, "", "", flags, help},
#define OPTION_BOOL(key, field, def, flags, help) {key, OPTION_KIND_BOOL, AT(field), #def, 0, 0, "", "", flags, help},
#define OPTION_INT(key, field, def, min, max, unit, flags, help)                                                       \
    {key, OPTION_KIND_INT, AT(field), #def, min, max, unit, "", flags, help},
#define OPTION_REAL(key, field, def, min, max, unit, flags, help)                                                      \
    {key, OPTION_KIND_REAL, AT(field), #def, min, max, unit, "", flags, help},
#define OPTION_CHOICE(key, field, def, choices, flags, help)                                                           \
    {key, OPTION_KIND_CHOICE, AT(field), def, 0, 0, "", choices, flags, help},
#include "config/options.def"
#include "config/options_undef.h"
};

static enum status out_of_memory(struct error *err)
{
    return error_set(err, STATUS_NO_MEMORY, "settings: out of memory");
}

static void *field_of(struct settings *settings, const struct option *option)
{
    return (char *)settings + option->offset;
}

static bool is_text(const struct option *option)
{
    return option->kind == OPTION_KIND_TEXT || option->kind == OPTION_KIND_PATH;
}

int settings_option_find(const char *key)
{
    for (int i = 0; i < SETTINGS_OPTIONS; i++) {
        if (strcmp(settings_table[i].key, key) == 0)
            return i;
    }
    return -1;
}

bool settings_is_group(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        if (strncmp(settings_table[i].key, key, len) == 0 && settings_table[i].key[len] == '.')
            return true;
    }
    return strcmp(key, "kafka") == 0 || strcmp(key, "kafka.consumer") == 0 || strcmp(key, "kafka.producer") == 0;
}

void settings_environment_name(const char *key, char out[OPTION_KEY_MAX + 8])
{
    size_t n = (size_t)snprintf(out, OPTION_KEY_MAX + 8, "ASSAY_%s", key);
    for (size_t i = 0; i < n && out[i]; i++)
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
}

bool settings_kafka_secret(const char *key)
{
    return strstr(key, "password") || strstr(key, "secret") || strstr(key, "key.pem") || strstr(key, "oauthbearer.config");
}

static enum status unknown_key(const struct assignment *a, struct error *err)
{
    const char *keys[SETTINGS_OPTIONS];
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++)
        keys[i] = settings_table[i].key;
    const char *near = nearest_word(a->key, keys, SETTINGS_OPTIONS);
    return error_set(err, STATUS_INVALID, "%s: unknown key '%s'%s%s%s; `assay config docs` lists all", a->place, a->key,
                     near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* "file:/run/secrets/x" of a secret: the file's text without the newline at its end. *out is owned. */
static enum status read_secret(const struct assignment *a, char **out, struct error *err)
{
    struct buf text = {0};
    enum status status = buf_read_file(&text, a->text + strlen("file:"), SECRET_BYTES_MAX, err);
    if (status != STATUS_OK) {
        buf_free(&text);
        return error_prefix(err, status, "%s: %s", a->place, a->key);
    }
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.len--;
    *out = strdup(buf_text(&text));
    buf_free(&text);
    return *out ? STATUS_OK : out_of_memory(err);
}

/* *out is owned: the text itself, the content of a secret's file, or a path made relative to the folder. */
static enum status resolve_text(const struct assignment *a, bool path, bool secret, char **out, struct error *err)
{
    if (secret && strncmp(a->text, "file:", strlen("file:")) == 0)
        return read_secret(a, out, err);
    if (!path || !a->folder || a->text[0] == '/' || a->text[0] == '\0') {
        *out = strdup(a->text);
        return *out ? STATUS_OK : out_of_memory(err);
    }
    struct buf joined = {0};
    buf_format(&joined, "%s/%s", a->folder, a->text);
    *out = strdup(buf_text(&joined));
    bool complete = *out && !joined.failed;
    buf_free(&joined);
    return complete ? STATUS_OK : out_of_memory(err);
}

static enum status set_number(const struct option *o, const struct assignment *a, void *field, struct error *err)
{
    char *end = NULL;
    int64_t integer = 0;
    double real;
    errno = 0;
    if (o->kind == OPTION_KIND_INT) {
        integer = strtoimax(a->text, &end, 10);
        real = (double)integer;
    } else {
        real = strtod(a->text, &end);
    }
    if (end == a->text || *end != '\0' || !isfinite(real))
        return error_set(err, STATUS_INVALID, "%s: %s: '%s' is no %s", a->place, a->key, a->text,
                         o->kind == OPTION_KIND_INT ? "whole number" : "number");
    if (errno == ERANGE || real < o->min || real > o->max)
        return error_set(err, STATUS_INVALID, "%s: %s: %s is outside %.15g to %.15g%s%s", a->place, a->key, a->text, o->min,
                         o->max, o->unit[0] ? " " : "", o->unit);
    if (o->kind == OPTION_KIND_INT)
        *(int64_t *)field = integer;
    else
        *(double *)field = real;
    return STATUS_OK;
}

static enum status set_choice(const struct option *o, const struct assignment *a, int *field, struct error *err)
{
    size_t len = strlen(a->text);
    int position = 0;
    for (const char *at = o->choices;; position++) {
        size_t here = strcspn(at, "|");
        if (here == len && memcmp(at, a->text, len) == 0) {
            *field = position;
            return STATUS_OK;
        }
        at += here;
        if (*at == '\0')
            return error_set(err, STATUS_INVALID, "%s: %s: '%s' is none of %s", a->place, a->key, a->text, o->choices);
        at++;
    }
}

/* The words that YAML readers take, as yaml_bool does. */
static enum status set_bool(const struct assignment *a, bool *field, struct error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(a->text, words[i]) == 0) {
            *field = i % 2 == 1;
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_INVALID, "%s: %s: '%s' is neither true nor false", a->place, a->key, a->text);
}

static enum status option_set(struct settings *settings, int i, const struct assignment *a, struct error *err)
{
    const struct option *o = &settings_table[i];
    void *field = field_of(settings, o);
    enum status status = STATUS_OK;
    if (is_text(o)) {
        char *text = NULL;
        status = resolve_text(a, o->kind == OPTION_KIND_PATH, o->flags & SECRET, &text, err);
        if (status == STATUS_OK) {
            free(*(char **)field);
            *(char **)field = text;
        }
    } else if (o->kind == OPTION_KIND_CHOICE) {
        status = set_choice(o, a, field, err);
    } else if (o->kind == OPTION_KIND_BOOL) {
        status = set_bool(a, field, err);
    } else {
        status = set_number(o, a, field, err);
    }
    if (status == STATUS_OK)
        settings->origins[i] = a->origin;
    return status;
}

static enum status kafka_set(struct settings *settings, const struct assignment *a, struct error *err)
{
    const char *key = a->key + strlen("kafka.");
    char *value = NULL;
    enum status status = resolve_text(a, false, settings_kafka_secret(key), &value, err);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (strcmp(settings->kafka[i].key, key) == 0) {
            free(settings->kafka[i].value);
            settings->kafka[i].value = value;
            return STATUS_OK;
        }
    }
    struct setting_pair *grown = realloc(settings->kafka, (settings->kafka_count + 1) * sizeof *grown);
    char *name = strdup(key);
    if (grown)
        settings->kafka = grown;
    if (!grown || !name) {
        free(name);
        free(value);
        return out_of_memory(err);
    }
    settings->kafka[settings->kafka_count++] = (struct setting_pair){.key = name, .value = value};
    return STATUS_OK;
}

enum status settings_assign(struct settings *settings, const struct assignment *a, struct error *err)
{
    if (strncmp(a->key, "kafka.", strlen("kafka.")) == 0 && a->key[strlen("kafka.")] != '\0')
        return kafka_set(settings, a, err);
    int i = settings_option_find(a->key);
    if (i >= 0)
        return option_set(settings, i, a, err);
    if (settings_is_group(a->key))
        return error_set(err, STATUS_INVALID, "%s: %s is a group of settings, not one; `assay config docs` lists them", a->place, a->key);
    return unknown_key(a, err);
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        if (is_text(&settings_table[i]))
            free(*(char **)field_of(settings, &settings_table[i]));
    }
    for (size_t i = 0; i < settings->kafka_count; i++) {
        free(settings->kafka[i].key);
        free(settings->kafka[i].value);
    }
    free(settings->kafka);
    *settings = (struct settings){0};
}

const char *settings_kafka(const struct settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (strcmp(settings->kafka[i].key, key) == 0)
            return settings->kafka[i].value;
    }
    return NULL;
}
