/* What the files of the bundle loader share. */
#pragma once

#include "model/base/buf.h"
#include "model/base/yaml.h"
#include "model/bundle.h"

/* One bundle.yaml while it is read. */
struct bundle_file {
    const char *path; /* for messages */
    const char *dir;
    const struct yaml *root;
    struct buf digests; /* a line of 64 hex digits for each file read: bundle.yaml, the model, the calibration table */
};

/* "path:line: what" into err; returns STATUS_INVALID. */
enum status bundle_refuse(const struct bundle_file *file, const struct yaml *node, struct error *err,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The message for it, and STATUS_NO_MEMORY. */
enum status bundle_no_memory(struct error *err);

/* The text of a scalar under key; NULL and STATUS_OK where it is absent and not required. */
MUST_USE enum status bundle_text(const struct bundle_file *file, const struct yaml *map, const char *key, bool required,
                                 const char **out, struct error *err);

/* The position in words[n] of the word under key; -1 where the key is absent. Others are refused with the nearest. */
MUST_USE enum status bundle_word(const struct bundle_file *file, const struct yaml *map, const char *key,
                                 const char *const *words, size_t n, int *out, struct error *err);

/* The path of the file of the bundle whose name stands under key, appended to path. Names that lead out are refused. */
MUST_USE enum status bundle_file_path(const struct bundle_file *file, const struct yaml *map, const char *key,
                                      struct buf *path, struct error *err);
/* Notes the digest of a file's content, and gives it as 64 hex digits and a NUL. */
void bundle_note_digest(struct bundle_file *file, const char *data, size_t len, char out[65]);

/* transaction: -> schema. */
MUST_USE enum status bundle_read_schema(const struct bundle_file *file, struct schema **out, struct error *err);
/* features: and reasons: -> plan, features, reasons, reason_count. */
MUST_USE enum status bundle_read_features(const struct bundle_file *file, struct bundle *bundle, struct error *err);
/* model: -> model, output, model_digest; its inputs are checked against the plan's columns. */
MUST_USE enum status bundle_read_model(struct bundle_file *file, struct bundle *bundle, struct error *err);
/* calibration: and policy:, for the model. */
MUST_USE enum status bundle_read_decision(struct bundle_file *file, struct bundle *bundle, struct error *err);

/* SHA-256 of data[len] as 64 hex digits and a NUL. */
void bundle_sha256(const void *data, size_t len, char out[65]);
