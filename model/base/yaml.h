/*
 * A YAML file as a tree that remembers lines, so that every message can name its place. Wraps libyaml; aliases and tags
 * are refused (a config needs neither, and aliases can blow up). Used for bundle.yaml and the server's configuration.
 */
#pragma once

#include <stddef.h>

#include "model/base/status.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    int line, column;   /* from 1 */
    const char *text;   /* SCALAR: its text; NUL-terminated. Else NULL */
    int quoted;         /* SCALAR: was in quotes or a block, so "null" and "1" are text */
    size_t size;        /* LIST, MAP: entries */
    struct yaml *items; /* [size] */
    struct yaml *keys;  /* MAP: [size] scalars, distinct; else NULL */
};

/* Parses a file of one document: at most 1 MB, 16 levels, 1024 keys a map. Nothing but comments is an empty map.
 * Messages carry file:line:column. STATUS_INVALID, STATUS_LIMIT, STATUS_NO_MEMORY; yaml_load also STATUS_NOT_FOUND,
 * STATUS_IO. *out is owned: yaml_tree_free. */
MUST_USE enum status yaml_load(const char *path, struct yaml **out, struct error *err);
MUST_USE enum status yaml_parse(const char *name, const char *text, size_t len, struct yaml **out, struct error *err);
void yaml_tree_free(struct yaml *root); /* not yaml_free: libyaml exports that name for itself */

/* The value of a key in a map; NULL where absent or where node is no map. */
const struct yaml *yaml_get(const struct yaml *node, const char *key);

/* Scalars as values; STATUS_INVALID with "path:line: key: …" where the text is not one. `what` names the key. A double
 * is finite and decimal; a bool is true/false, yes/no or on/off. Text in quotes is neither. */
MUST_USE enum status yaml_double(const struct yaml *node, const char *path, const char *what, double *out,
                                 struct error *err);
MUST_USE enum status yaml_bool(const struct yaml *node, const char *path, const char *what, int *out,
                               struct error *err);

/* Refuses keys of a map that are not in known[n], with the nearest one: a typo must not be silently ignored. Refuses
 * anything that is no map. */
MUST_USE enum status yaml_known_keys(const struct yaml *map, const char *path, const char *const *known, size_t n,
                                     struct error *err);
