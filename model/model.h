/*
 * A model as its training library wrote it, read into memory. Immutable once loaded: any thread may read it, a backend
 * prepares it for its device, and a reload builds a new one beside it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/number_type.h"
#include "model/base/status.h"

enum model_kind { MODEL_FOREST, MODEL_NETWORK };

/* Which trees of a model with early stopping are used. */
enum model_trees {
    MODEL_TREES_ALL,  /* as XGBoost's Booster.predict */
    MODEL_TREES_BEST, /* rounds 0 .. best_iteration, as its scikit-learn wrapper */
};

struct model_options {
    enum model_trees trees;
    size_t max_bytes; /* files above are refused; 0: 4 GiB */
    /* Optional: gets the file's bytes as they were read, so that a digest is of what was loaded; then those of data files
     * beside it, in the order in which they are first used. */
    void (*seen)(void *context, const char *data, size_t len);
    void *seen_context;
};

/* What people and callers want to know of a model. Strings are owned by the model. */
struct model_info {
    const char *format;    /* "XGBoost JSON" */
    const char *writer;    /* "XGBoost 3.2.0", or "" */
    const char *objective; /* "binary:logistic" */
    enum model_kind kind;
    enum number_type input_type;  /* of the feature row */
    enum number_type output_type; /* of margins and scores, so that text shows no more digits than there are */
    uint32_t features;
    const char *const *feature_names; /* [features], or NULL: the file names none */
    uint32_t margins; /* per row */
    uint32_t scores;  /* per row */
    bool probability; /* the link keeps scores within 0..1 */
    bool has_margin;  /* false: ONNX, where only the score is known to the outside */
    int64_t best_iteration; /* -1: none in the file */
    uint64_t file_bytes;
};

struct forest;
struct network;
struct model;

/* Whether the file says what its features are. Names that a library makes up where the training data had none, Column_0
 * (LightGBM), f0 (XGBoost), 0 (pandas), say nothing, and neither do no names. */
bool model_names_features(const struct model_info *info);

/* Reads a model file; the format is told from its content, not its name. Memory is bounded by 4 x the file + 64 MB.
 * STATUS_INVALID: damaged. STATUS_UNSUPPORTED: whole, but of a kind not supported; the message says what to do instead.
 * STATUS_NOT_FOUND, STATUS_IO, STATUS_LIMIT, STATUS_NO_MEMORY. options may be NULL. *out is owned: model_free. */
MUST_USE enum status model_load(const char *path, const struct model_options *options, struct model **out, struct error *err);
void model_free(struct model *model);

const struct model_info *model_info(const struct model *model);
/* NULL where the kind is another. A network may have forests inside. */
const struct forest *model_forest(const struct model *model);
const struct network *model_network(const struct model *model);
