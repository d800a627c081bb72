/*
 * Importers: one file a format, each turning a model file's bytes into what model.c makes a model of.
 *
 * The bytes are hostile until proven otherwise: every length is checked against what is left, every index against its
 * array, trees against cycles and depth; memory stays within 4 x the file + 64 MB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"
#include "model/model.h"

/* What an importer fills in. All pointers are owned (malloc); imported_free frees them, also after a failure. */
struct imported {
    char *format, *writer, *objective;
    char **feature_names; /* [features], or NULL */
    uint32_t features;
    enum number_type input_type, output_type;
    bool has_margin;
    int64_t best_iteration; /* -1: none */
    struct forest *forest;   /* one of the two, the other is NULL */
    struct network *network;
};

struct import_file {
    const char *path; /* for messages, and for data files beside it */
    const char *data; /* [len], borrowed */
    size_t len;
};

struct importer {
    const char *name; /* "XGBoost JSON" */
    /* A quick look at the first bytes: is this file mine? Exactly one importer, or none, says yes. */
    bool (*recognises)(const struct import_file *file);
    /* STATUS_INVALID, STATUS_UNSUPPORTED, STATUS_NO_MEMORY, with a message that names what and where. */
    enum status (*load)(const struct import_file *file, const struct model_options *options, struct imported *out, struct error *err);
};

void imported_free(struct imported *imported);
/* What kernels trust: forest_check of every forest, network_check of a network. */
MUST_USE enum status imported_check(struct imported *imported, struct error *err);

/* Checks what every importer promises of a forest: indices in range, every tree a tree (each node reached at most once,
 * depth at most FOREST_DEPTH_MAX), finite leaves, thresholds that are numbers (infinite ones do occur: LightGBM and
 * scikit-learn write them to send all but NaN one way), features below `features`, sizes within the limits below; fills in
 * depth and leaves of each tree. Called by model.c on every imported forest, so that kernels can trust it. */
enum { FOREST_DEPTH_MAX = 512, FOREST_OUTPUTS_MAX = 1024, FOREST_FEATURES_MAX = 1 << 20 };
MUST_USE enum status forest_check(struct forest *forest, struct error *err);

extern const struct importer importer_xgboost_json, importer_xgboost_ubj, importer_lightgbm, importer_onnx, importer_catboost;
