/*
 * A bundle: the directory that holds everything about one version of one model.
 *
 *     card-fraud/3/
 *       bundle.yaml     transaction fields, features, model file, calibration, policy, reasons
 *       model.ubj       the model as its training library wrote it
 *
 * Immutable once loaded; any thread may read it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/decide.h"
#include "model/features/plan.h"
#include "model/input/schema.h"
#include "model/model.h"

/* A reason code: reported where its condition, an expression over fields and features, is not 0 and not NaN. */
struct reason {
    char *code; /* "night_high_amount" */
    char *text; /* for people; "" where none is given */
};

enum { BUNDLE_REASONS_MAX = 64 };

struct bundle {
    char *dir;
    char *name;      /* "card-fraud" */
    char *version;   /* `version:` in the file, else the name of the directory */
    char digest[65]; /* of all that the bundle names: sha256sum of the lines of hex digits of bundle.yaml's, the model
                      * file's and, where there is one, the calibration table's SHA-256; hex */
    char model_digest[65]; /* SHA-256 of the model file, hex */
    struct schema *schema;
    struct plan *plan; /* columns: the model's inputs, in its order, then one for each reason */
    size_t features;   /* columns that are the model's */
    struct reason *reasons;
    size_t reason_count; /* at most BUNDLE_REASONS_MAX */
    struct model *model;
    uint32_t output; /* which of the model's scores is the fraud score */
    struct calibration calibration;
    struct policy policy;
};

/* Loads and checks dir/bundle.yaml and all it names. Feature names are checked against the model file where that has
 * any. Messages are "file:line: what: what to do". STATUS_INVALID, STATUS_MISMATCH, STATUS_UNSUPPORTED,
 * STATUS_NOT_FOUND, STATUS_IO, STATUS_LIMIT, STATUS_NO_MEMORY. *out is owned: bundle_free. */
MUST_USE enum status bundle_load(const char *dir, struct bundle **out, struct error *err);
/* Loads what features need, schema and plan: the model may not be there yet, or be of other features. Its model is NULL, and
 * calibration and policy are not read. Fails as bundle_load does. */
MUST_USE enum status bundle_load_features(const char *dir, struct bundle **out, struct error *err);
void bundle_free(struct bundle *bundle);
