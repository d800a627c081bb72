/*
 * The server's settings as a plain struct, read from YAML, the environment and --set, in that order of precedence (the
 * last wins). options.def declares each once. Modules get this struct or values of it; none reads a file or the environment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/buf.h"
#include "model/base/status.h"

/* A librdkafka property: kafka.<key>: value. A key "consumer.<name>" or "producer.<name>" is for that side alone. */
struct setting_pair {
    char *key, *value;
};

enum {
    SETTINGS_OPTIONS = 0
#define OPTION_TEXT(key, field, def, flags, help) +1
#define OPTION_PATH(key, field, def, flags, help) +1
#define OPTION_BOOL(key, field, def, flags, help) +1
#define OPTION_INT(key, field, def, min, max, unit, flags, help) +1
#define OPTION_REAL(key, field, def, min, max, unit, flags, help) +1
#define OPTION_CHOICE(key, field, def, choices, flags, help) +1
#include "config/options.def"
#include "config/options_undef.h"
};

/* Where the value of an option came from. */
struct setting_origin {
    enum { SETTING_DEFAULT, SETTING_FILE, SETTING_ENVIRONMENT, SETTING_OVERRIDE } kind;
    int line; /* SETTING_FILE */
};

struct settings {
#define OPTION_TEXT(key, field, def, flags, help) char *field;
#define OPTION_PATH(key, field, def, flags, help) char *field;
#define OPTION_BOOL(key, field, def, flags, help) bool field;
#define OPTION_INT(key, field, def, min, max, unit, flags, help) int64_t field;
#define OPTION_REAL(key, field, def, min, max, unit, flags, help) double field;
#define OPTION_CHOICE(key, field, def, choices, flags, help) int field;
#include "config/options.def"
#include "config/options_undef.h"
    struct setting_pair *kafka; /* [kafka_count] */
    size_t kafka_count;
    struct setting_origin origins[SETTINGS_OPTIONS]; /* in the order of options.def */
};

/* Defaults, then the file (NULL: none), then ASSAY_… of the environment (ASSAY_HTTP_LISTEN for http.listen,
 * ASSAY_KAFKA_SASL_PASSWORD for kafka.sasl.password), then the overrides "key=value"; at the end, what must agree is checked.
 * Paths in the file are relative to it, other ones to the working directory. A value "file:/path" of a secret is read from
 * that file. Variables that name no option are left alone: other programs set ASSAY_… too (Kubernetes, for a service of that
 * name). STATUS_INVALID with file:line and the nearest name for an unknown key (STATUS_USAGE: in an override); STATUS_NOT_FOUND, STATUS_IO,
 * STATUS_NO_MEMORY. Free with settings_free, also after a failure. */
MUST_USE enum status settings_load(struct settings *out, const char *file, const char *const *overrides, size_t n, struct error *err);
void settings_free(struct settings *settings);

/* The value of a librdkafka property that is set, or NULL; key without "kafka.". Borrowed. */
const char *settings_kafka(const struct settings *settings, const char *key);

/* Does a librdkafka property of this name hold a secret? Its value belongs in no message. */
bool settings_kafka_secret(const char *key);

/* The word of a choice: "auto" for "engine". CHECKs that the option is a choice. Returns text. */
enum { SETTINGS_CHOICE_MAX = 32 };
const char *settings_choice(const struct settings *settings, const char *key, char text[SETTINGS_CHOICE_MAX]);

/* `config show`: effective settings as YAML with where each came from, secrets as "***" (also kafka.* keys that hold
 * password, secret or key.pem). */
void settings_show(const struct settings *settings, struct buf *out);
/* `config docs`: the reference of all options as Markdown. */
void settings_docs(struct buf *out);
