#include "model/bundle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/bundle_parts.h"

enum { YAML_BYTES_MAX = 1 << 20 };

enum status bundle_refuse(const struct bundle_file *file, const struct yaml *node, struct error *err,
                          const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(err, STATUS_INVALID, "%s:%d: %s", file->path, node->line, what);
}

enum status bundle_no_memory(struct error *err)
{
    return error_set(err, STATUS_NO_MEMORY, "out of memory for the bundle");
}

enum status bundle_text(const struct bundle_file *file, const struct yaml *map, const char *key, bool required,
                        const char **out, struct error *err)
{
    const struct yaml *node = yaml_get(map, key);
    *out = NULL;
    if (!node && required)
        return bundle_refuse(file, map, err, "'%s' is missing", key);
    if (node && (node->kind != YAML_SCALAR || node->text[0] == '\0'))
        return bundle_refuse(file, node, err, "%s: a text is needed", key);
    *out = node ? node->text : NULL;
    return STATUS_OK;
}

enum status bundle_word(const struct bundle_file *file, const struct yaml *map, const char *key,
                        const char *const *words, size_t n, int *out, struct error *err)
{
    const char *word;
    *out = -1;
    enum status status = bundle_text(file, map, key, false, &word, err);
    if (status != STATUS_OK || !word)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *out = (int)i;
        return STATUS_OK;
    }
    const char *near = nearest_word(word, words, n);
    struct buf list = {0};
    for (size_t i = 0; i < n && !near; i++)
        buf_format(&list, "%s%s", i ? ", " : "", words[i]);
    status = bundle_refuse(file, yaml_get(map, key), err, "%s: there is no '%.60s'; %s%s%s", key, word,
                           near ? "did you mean '" : "one of these is needed: ", near ? near : buf_text(&list),
                           near ? "'?" : "");
    buf_free(&list);
    return status;
}

/* A relative path that does not lead out of the bundle. */
static bool stays_inside(const char *path)
{
    if (path[0] == '/')
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    return true;
}

void bundle_note_digest(struct bundle_file *file, const char *data, size_t len, char out[65])
{
    bundle_sha256(data, len, out);
    buf_format(&file->digests, "%s\n", out);
}

enum status bundle_file_path(const struct bundle_file *file, const struct yaml *map, const char *key, struct buf *path,
                             struct error *err)
{
    const char *name;
    enum status status = bundle_text(file, map, key, true, &name, err);
    if (status != STATUS_OK)
        return status;
    if (!stays_inside(name))
        return bundle_refuse(file, yaml_get(map, key), err, "%s: '%.120s' lies outside the bundle: copy it in", key,
                             name);
    buf_format(path, "%s/%s", file->dir, name);
    return path->failed ? bundle_no_memory(err) : STATUS_OK;
}

/* "card-fraud/3" is version "3" where the file does not say otherwise, also when it is loaded as ".". */
static enum status read_names(const struct bundle_file *file, struct bundle *b, struct error *err)
{
    const char *name, *version;
    enum status status = bundle_text(file, file->root, "name", true, &name, err);
    if (status == STATUS_OK)
        status = bundle_text(file, file->root, "version", false, &version, err);
    if (status != STATUS_OK)
        return status;
    char *real = version ? NULL : realpath(file->dir, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    b->name = strdup(name);
    b->version = strdup(version ? version : slash ? slash + 1 : file->dir);
    free(real);
    return b->name && b->version ? STATUS_OK : bundle_no_memory(err);
}

enum parts { FEATURES_ALONE, ALL_PARTS };

static enum status read_all(struct bundle_file *file, struct bundle *b, enum parts parts, struct error *err)
{
    static const char *const known[] = {"name",    "version", "transaction", "features",
                                        "reasons", "model",   "calibration", "policy"};
    enum status status = yaml_known_keys(file->root, file->path, known, sizeof known / sizeof *known, err);
    if (status == STATUS_OK)
        status = read_names(file, b, err);
    if (status == STATUS_OK)
        status = bundle_read_schema(file, &b->schema, err);
    if (status == STATUS_OK)
        status = bundle_read_features(file, b, err);
    if (status != STATUS_OK || parts == FEATURES_ALONE)
        return status;
    status = bundle_read_model(file, b, err);
    if (status == STATUS_OK)
        status = bundle_read_decision(file, b, err);
    if (status == STATUS_OK && file->digests.failed)
        status = bundle_no_memory(err);
    if (status == STATUS_OK)
        bundle_sha256(file->digests.data, file->digests.len, b->digest);
    return status;
}

/* bundle.yaml is read once: what is parsed is what is digested. */
static enum status load(struct bundle *b, enum parts parts, struct error *err)
{
    struct buf path = {0}, content = {0};
    struct yaml *root = NULL;
    buf_format(&path, "%s/bundle.yaml", b->dir);
    struct bundle_file file = {.path = buf_text(&path), .dir = b->dir};
    enum status status = path.failed ? bundle_no_memory(err) : buf_read_file(&content, file.path, YAML_BYTES_MAX, err);
    if (status == STATUS_OK) {
        bundle_note_digest(&file, content.data, content.len, b->digest);
        status = yaml_parse(file.path, content.data, content.len, &root, err);
    }
    file.root = root;
    if (status == STATUS_OK)
        status = read_all(&file, b, parts, err);
    yaml_tree_free(root);
    buf_free(&file.digests);
    buf_free(&content);
    buf_free(&path);
    return status;
}

static enum status load_parts(const char *dir, enum parts parts, struct bundle **out, struct error *err)
{
    *out = NULL;
    struct bundle *b = calloc(1, sizeof *b);
    if (b)
        b->dir = strdup(dir);
    if (!b || !b->dir) {
        bundle_free(b);
        return bundle_no_memory(err);
    }
    for (size_t len = strlen(b->dir); len > 1 && b->dir[len - 1] == '/'; len--)
        b->dir[len - 1] = '\0';
    enum status status = load(b, parts, err);
    if (status == STATUS_OK)
        *out = b;
    else
        bundle_free(b);
    return status;
}

enum status bundle_load(const char *dir, struct bundle **out, struct error *err)
{
    return load_parts(dir, ALL_PARTS, out, err);
}

enum status bundle_load_features(const char *dir, struct bundle **out, struct error *err)
{
    return load_parts(dir, FEATURES_ALONE, out, err);
}

void bundle_free(struct bundle *bundle)
{
    if (!bundle)
        return;
    for (size_t i = 0; i < bundle->reason_count; i++) {
        free(bundle->reasons[i].code);
        free(bundle->reasons[i].text);
    }
    free(bundle->reasons);
    plan_free(bundle->plan);
    schema_free(bundle->schema);
    model_free(bundle->model);
    calibration_free(&bundle->calibration);
    free(bundle->dir);
    free(bundle->name);
    free(bundle->version);
    free(bundle);
}
