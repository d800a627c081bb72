/*
 * Reading settings: defaults, file, environment and overrides all end in settings_assign (settings_values.c) as a text with its place.
 *
 *     assay.yaml ── flatten: http: {listen: x} is http.listen ──┐
 *     ASSAY_HTTP_LISTEN=x ──────────────────────────────────────┼─► settings_assign(key, text)
 *     --set http.listen=x ──────────────────────────────────────┘
 */
#include "config/settings.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings_table.h"
#include "model/base/yaml.h"

extern char **environ;

struct reader {
    struct settings *settings;
    const char *file;
    const char *folder;
};

/* The same key in two spellings (http: {listen: x} and http.listen: y) is a slip that must not be silent. */
static enum status check_twice(const struct reader *reader, const char *key, const struct yaml *name, struct error *err)
{
    int i = settings_option_find(key);
    const struct setting_origin *origin = i < 0 ? NULL : &reader->settings->origins[i];
    if (origin && origin->kind == SETTING_FILE)
        return error_set(err, STATUS_INVALID, "%s:%d: %s is set twice, first on line %d", reader->file, name->line, key, origin->line);
    if (strncmp(key, "kafka.", strlen("kafka.")) == 0 && settings_kafka(reader->settings, key + strlen("kafka.")))
        return error_set(err, STATUS_INVALID, "%s:%d: %s is set twice", reader->file, name->line, key);
    return STATUS_OK;
}

static enum status read_scalar(const struct reader *reader, const char *key, const struct yaml *name, const struct yaml *value,
                               struct error *err)
{
    bool empty = !value->quoted && (value->text[0] == '\0' || strcmp(value->text, "~") == 0 || strcmp(value->text, "null") == 0);
    if (empty && settings_is_group(key))
        return STATUS_OK; /* `http:` with everything below it commented out */
    if (empty)
        return error_set(err, STATUS_INVALID, "%s:%d: %s has no value; write \"\" for an empty text", reader->file, name->line, key);
    enum status status = check_twice(reader, key, name, err);
    if (status != STATUS_OK)
        return status;
    char place[PATH_MAX + 16];
    (void)snprintf(place, sizeof place, "%s:%d", reader->file, name->line);
    const struct assignment a = {.key = key, .text = value->text, .place = place, .folder = reader->folder,
                                 .origin = {.kind = SETTING_FILE, .line = name->line}};
    return settings_assign(reader->settings, &a, err);
}

/* NOLINTNEXTLINE(misc-no-recursion): yaml.h bounds the depth. */
static enum status read_map(const struct reader *reader, const char *prefix, const struct yaml *map, struct error *err)
{
    for (size_t i = 0; i < map->size; i++) {
        const struct yaml *name = &map->keys[i], *value = &map->items[i];
        char key[SETTINGS_KEY_MAX];
        int len = snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] ? "." : "", name->text);
        if (len < 0 || (size_t)len >= sizeof key)
            return error_set(err, STATUS_INVALID, "%s:%d: the key is longer than %d bytes", reader->file, name->line, SETTINGS_KEY_MAX - 1);
        enum status status;
        if (value->kind == YAML_SCALAR)
            status = read_scalar(reader, key, name, value, err);
        else if (value->kind == YAML_LIST || settings_option_find(key) >= 0)
            status = error_set(err, STATUS_INVALID, "%s:%d: %s needs a single value, found a %s", reader->file, name->line, key,
                               value->kind == YAML_LIST ? "list" : "map");
        else
            status = read_map(reader, key, value, err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status read_file(struct settings *settings, const char *file, struct error *err)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(file, '/');
    if (slash && (size_t)(slash - file) < sizeof folder)
        (void)snprintf(folder, sizeof folder, "%.*s", slash == file ? 1 : (int)(slash - file), file);
    struct yaml *root = NULL;
    enum status status = yaml_load(file, &root, err);
    if (status != STATUS_OK)
        return status;
    const struct reader reader = {.settings = settings, .file = file, .folder = folder};
    if (root->kind == YAML_MAP)
        status = read_map(&reader, "", root, err);
    else
        status = error_set(err, STATUS_INVALID, "%s:%d: a map of settings is needed", file, root->line);
    yaml_tree_free(root);
    return status;
}

/* ASSAY_KAFKA_SASL_PASSWORD: kafka.sasl.password. Properties of librdkafka have dots and no underscores. */
static enum status read_kafka_variable(struct settings *settings, const char *variable, struct error *err)
{
    const char *equals = strchr(variable, '=');
    const char *rest = variable + strlen("ASSAY_KAFKA_");
    if (!equals || equals <= rest || equals - variable >= SETTINGS_KEY_MAX)
        return STATUS_OK;
    /* What Kubernetes sets for a service called assay-kafka; no property starts so. */
    if (strncmp(rest, "SERVICE_", strlen("SERVICE_")) == 0 || strncmp(rest, "PORT", strlen("PORT")) == 0)
        return STATUS_OK;
    char name[SETTINGS_KEY_MAX], key[SETTINGS_KEY_MAX];
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
    size_t len = (size_t)snprintf(key, sizeof key, "%s", name + strlen("ASSAY_"));
    for (size_t i = 0; i < len; i++)
        key[i] = key[i] == '_' ? '.' : (char)tolower((unsigned char)key[i]);
    const struct assignment a = {.key = key, .text = equals + 1, .place = name, .origin = {.kind = SETTING_ENVIRONMENT}};
    return settings_assign(settings, &a, err);
}

static enum status read_environment(struct settings *settings, struct error *err)
{
    for (int i = 0; i < SETTINGS_OPTIONS; i++) {
        char name[OPTION_KEY_MAX + 8];
        settings_environment_name(settings_table[i].key, name);
        const char *text = getenv(name);
        const struct assignment a = {.key = settings_table[i].key, .text = text, .place = name, .origin = {.kind = SETTING_ENVIRONMENT}};
        enum status status = text ? settings_assign(settings, &a, err) : STATUS_OK;
        if (status != STATUS_OK)
            return status;
    }
    for (char **variable = environ; variable && *variable; variable++) {
        enum status status = STATUS_OK;
        if (strncmp(*variable, "ASSAY_KAFKA_", strlen("ASSAY_KAFKA_")) == 0)
            status = read_kafka_variable(settings, *variable, err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status read_override(struct settings *settings, const char *override, struct error *err)
{
    const char *equals = strchr(override, '=');
    char key[SETTINGS_KEY_MAX];
    if (!equals || equals == override || (size_t)(equals - override) >= sizeof key)
        return error_set(err, STATUS_INVALID, "--set '%s': key=value is needed", override);
    (void)snprintf(key, sizeof key, "%.*s", (int)(equals - override), override);
    const struct assignment a = {.key = key, .text = equals + 1, .place = "--set", .origin = {.kind = SETTING_OVERRIDE}};
    return settings_assign(settings, &a, err);
}

/* Is this property set, and to more than nothing? */
static bool kafka_says(const struct settings *s, const char *name)
{
    const char *value = settings_kafka(s, name);
    return value && value[strspn(value, " ,")] != '\0';
}

static enum status check_together(const struct settings *s, struct error *err)
{
    bool brokers = kafka_says(s, "bootstrap.servers") || kafka_says(s, "metadata.broker.list") || kafka_says(s, "test.mock.num.brokers");
    if (!s->http_listen[0] && !s->stream_input[0])
        return error_set(err, STATUS_INVALID, "neither http.listen nor stream.input is set: nothing would come in");
    if (s->stream_input[0] && !s->stream_output[0])
        return error_set(err, STATUS_INVALID, "stream.input is set, so stream.output is needed: the topic for results");
    if (s->stream_input[0] && !s->stream_dead_letter[0])
        return error_set(err, STATUS_INVALID, "stream.input is set, so stream.dead_letter is needed: the topic for records that can't be scored");
    if ((s->stream_input[0] || s->decision_log_topic[0]) && !brokers)
        return error_set(err, STATUS_INVALID, "%s is set, so kafka.bootstrap.servers is needed: host:port,…",
                         s->stream_input[0] ? "stream.input" : "decision_log.topic");
    const struct setting_pair outs[] = {{"stream.output", s->stream_output}, {"stream.dead_letter", s->stream_dead_letter},
                                        {"decision_log.topic", s->decision_log_topic}};
    for (size_t i = 0; s->stream_input[0] && i < sizeof outs / sizeof outs[0]; i++) {
        if (strcmp(outs[i].value, s->stream_input) == 0)
            return error_set(err, STATUS_INVALID, "%s is the same topic as stream.input: the server would read what it writes", outs[i].key);
    }
    return STATUS_OK;
}

static enum status set_defaults(struct settings *settings, struct error *err)
{
    for (int i = 0; i < SETTINGS_OPTIONS; i++) {
        const struct option *o = &settings_table[i];
        const struct assignment a = {.key = o->key, .text = o->initial, .place = "default"};
        enum status status = settings_assign(settings, &a, err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status settings_load(struct settings *out, const char *file, const char *const *overrides, size_t n, struct error *err)
{
    *out = (struct settings){0};
    enum status status = set_defaults(out, err);
    if (status == STATUS_OK && file)
        status = read_file(out, file, err);
    if (status == STATUS_OK)
        status = read_environment(out, err);
    for (size_t i = 0; i < n && status == STATUS_OK; i++) {
        status = read_override(out, overrides[i], err);
        if (status == STATUS_INVALID)
            status = STATUS_USAGE;
    }
    if (status == STATUS_OK)
        status = check_together(out, err);
    return status;
}
