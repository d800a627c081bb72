/*
 * Settings as text: `config show` (YAML that can be read back, but for masked secrets) and `config docs` (Markdown).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/settings_table.h"
#include "model/base/check.h"

static const char masked[] = "***";

/* Bytes of the key's group with its dot: 5 for "http.listen", 0 for "bundle". */
static size_t group_length(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot ? (size_t)(dot - key) + 1 : 0;
}

/* Does option i stand in another group than the one before it? */
static bool group_begins(size_t i)
{
    size_t len = group_length(settings_table[i].key);
    return i == 0 || group_length(settings_table[i - 1].key) != len || memcmp(settings_table[i - 1].key, settings_table[i].key, len) != 0;
}

const char *settings_choice(const struct settings *settings, const char *key, char text[SETTINGS_CHOICE_MAX])
{
    int i = settings_option_find(key);
    CHECK(i >= 0 && settings_table[i].kind == OPTION_KIND_CHOICE);
    int position = *(const int *)(const void *)((const char *)settings + settings_table[i].offset);
    const char *word = settings_table[i].choices;
    while (position-- > 0)
        word += strcspn(word, "|") + 1;
    (void)snprintf(text, SETTINGS_CHOICE_MAX, "%.*s", (int)strcspn(word, "|"), word);
    return text;
}

static void put_value(const struct settings *settings, const struct option *o, struct buf *out)
{
    const void *field = (const char *)settings + o->offset;
    switch (o->kind) {
    case OPTION_KIND_TEXT:
    case OPTION_KIND_PATH: {
        const char *text = *(const char *const *)field;
        if ((o->flags & SECRET) && text[0])
            text = masked;
        buf_json_string(out, text, strlen(text));
        break;
    }
    case OPTION_KIND_BOOL:
        buf_string(out, *(const bool *)field ? "true" : "false");
        break;
    case OPTION_KIND_INT:
        buf_format(out, "%" PRId64, *(const int64_t *)field);
        break;
    case OPTION_KIND_REAL:
        buf_format(out, "%.17g", *(const double *)field);
        break;
    case OPTION_KIND_CHOICE: {
        char text[SETTINGS_CHOICE_MAX];
        buf_string(out, settings_choice(settings, o->key, text));
        break;
    }
    }
}

static void put_origin(const struct setting_origin *origin, const char *key, struct buf *out)
{
    char name[OPTION_KEY_MAX + 8];
    if (origin->kind == SETTING_FILE)
        buf_format(out, "  # line %d", origin->line);
    if (origin->kind == SETTING_OVERRIDE)
        buf_string(out, "  # --set");
    if (origin->kind == SETTING_ENVIRONMENT) {
        settings_environment_name(key, name);
        buf_format(out, "  # %s", name);
    }
    buf_char(out, '\n');
}

void settings_show(const struct settings *settings, struct buf *out)
{
    buf_string(out, "# Without a remark: the default.\n");
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        const struct option *o = &settings_table[i];
        size_t group = group_length(o->key);
        if (group > 0 && group_begins(i))
            buf_format(out, "%.*s:\n", (int)group - 1, o->key);
        buf_format(out, "%s%s: ", group ? "  " : "", o->key + group);
        put_value(settings, o, out);
        put_origin(&settings->origins[i], o->key, out);
    }
    if (settings->kafka_count > 0)
        buf_string(out, "kafka:\n");
    for (size_t i = 0; i < settings->kafka_count; i++) {
        const struct setting_pair *pair = &settings->kafka[i];
        const char *value = settings_kafka_secret(pair->key) && pair->value[0] ? masked : pair->value;
        buf_format(out, "  %s: ", pair->key);
        buf_json_string(out, value, strlen(value));
        buf_char(out, '\n');
    }
}

/* A '|' would end the cell of a Markdown table. */
static void put_cell(const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_char(out, '\\');
        buf_char(out, *text);
    }
}

static void put_range(const struct option *o, struct buf *out)
{
    if (o->kind == OPTION_KIND_CHOICE)
        put_cell(o->choices, out);
    else if (o->kind == OPTION_KIND_INT || o->kind == OPTION_KIND_REAL)
        buf_format(out, "%.15g to %.15g%s%s", o->min, o->max, o->unit[0] ? " " : "", o->unit);
    else if (o->kind == OPTION_KIND_BOOL)
        buf_string(out, "true, false");
}

static void put_row(const struct option *o, struct buf *out)
{
    static const char *const kinds[] = {"text", "path", "boolean", "whole number", "number", "choice"};
    char name[OPTION_KEY_MAX + 8];
    settings_environment_name(o->key, name);
    buf_format(out, "| `%s` | %s | `%s` | ", o->key, kinds[o->kind], o->initial[0] ? o->initial : "\"\"");
    put_range(o, out);
    buf_string(out, " | ");
    put_cell(o->help, out);
    if (o->flags & SECRET)
        buf_string(out, " Secret: shown as `***`; `file:/path` reads it from that file.");
    if (o->flags & RELOADABLE)
        buf_string(out, " Taken up by a reload.");
    buf_format(out, " | `%s` |\n", name);
}

void settings_docs(struct buf *out)
{
    buf_string(out,
               "# Settings\n\n"
               "Read from the YAML file of `--config`, then from the environment, then from `--set key=value`; the last wins.\n"
               "In YAML a dot is a level or a dot: `http: {listen: x}` and `http.listen: x` are the same setting. Paths in the\n"
               "file are relative to it. An unknown key is an error.\n");
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        const char *key = settings_table[i].key;
        if (group_begins(i)) {
            size_t group = group_length(key);
            buf_format(out, "\n## %.*s\n\n", group ? (int)group - 1 : 7, group ? key : "General");
            buf_string(out, "| key | type | default | range | what it does | environment |\n|---|---|---|---|---|---|\n");
        }
        put_row(&settings_table[i], out);
    }
    buf_string(out,
               "\n## kafka\n\n"
               "Every `kafka.NAME` goes to librdkafka as its property NAME, for the consumer and the producer:\n"
               "`kafka: {bootstrap.servers: \"broker:9092\", security.protocol: ssl}`. What is meant for one side alone stands\n"
               "below `kafka.consumer` or `kafka.producer`: `kafka: {producer: {linger.ms: 5}}`. In the environment\n"
               "`ASSAY_KAFKA_SASL_PASSWORD` is `kafka.sasl.password`. Properties whose name holds `password`, `secret` or `key.pem`\n"
               "are shown as `***` and may be `file:/path`.\n");
}
