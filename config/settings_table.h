/* The options of options.def as a table; private to the files settings*.c. */
#pragma once

#include "config/settings.h"

enum option_kind { OPTION_KIND_TEXT, OPTION_KIND_PATH, OPTION_KIND_BOOL, OPTION_KIND_INT, OPTION_KIND_REAL, OPTION_KIND_CHOICE };
enum { RELOADABLE = 1, SECRET = 2 };
enum { OPTION_KEY_MAX = 64, SETTINGS_KEY_MAX = 256 };

struct option {
    const char *key;
    enum option_kind kind;
    size_t offset;       /* of its field in struct settings */
    const char *initial; /* the default as text */
    double min, max;     /* INT, REAL */
    const char *unit;
    const char *choices; /* CHOICE: "a|b|c" */
    unsigned flags;
    const char *help;
};

extern const struct option settings_table[SETTINGS_OPTIONS];

/* "ASSAY_HTTP_LISTEN" for http.listen. */
void settings_environment_name(const char *key, char out[OPTION_KEY_MAX + 8]);

/* The position of the option in the table, or -1. */
int settings_option_find(const char *key);

/* Is key a group, as `http` is of http.listen? */
bool settings_is_group(const char *key);

/* One value on its way into the settings. */
struct assignment {
    const char *key; /* dotted, in full */
    const char *text;
    const char *place;  /* for messages: "assay.yaml:12", "--set", "environment" */
    const char *folder; /* that relative paths start from; NULL: the working directory */
    struct setting_origin origin;
};

/* STATUS_INVALID with place and key, nearest name included. */
MUST_USE enum status settings_assign(struct settings *settings, const struct assignment *a, struct error *err);
