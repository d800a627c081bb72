/* What the files of the bundle loader share. */
#pragma once

#include "model/base/yaml.h"
#include "model/bundle.h"

/* One bundle.yaml while it is read. */
struct bundle_file {
    const char *path; /* for messages */
    const struct yaml *root;
};

/* "path:line: what": the status, with the message in front of err's caller. */
enum status bundle_refuse(const struct bundle_file *file, const struct yaml *node, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The text of a scalar under key; NULL and STATUS_OK where it is absent and not required. */
MUST_USE enum status bundle_text(const struct bundle_file *file, const struct yaml *map, const char *key, bool required,
                                 const char **out, struct error *err);

/* transaction: -> schema. */
MUST_USE enum status bundle_read_schema(const struct bundle_file *file, struct schema **out, struct error *err);
/* features: and reasons: -> plan, features, reasons, reason_count. */
MUST_USE enum status bundle_read_features(const struct bundle_file *file, struct bundle *bundle, struct error *err);
/* calibration: and policy:. */
MUST_USE enum status bundle_read_decision(const struct bundle_file *file, struct bundle *bundle, struct error *err);

/* SHA-256 as 64 hex digits and a NUL of head[head_len] followed by tail[tail_len]. */
void bundle_sha256(const void *head, size_t head_len, const void *tail, size_t tail_len, char out[65]);
