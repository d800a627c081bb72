/* Private to the CatBoost importer: what is gathered while the document is read, in whatever order its keys come. */
#pragma once

#include <string.h>

#include "model/import/builder.h"
#include "model/import/document.h"
#include "model/import/import.h"

struct catboost_feature {
    char *name;      /* owned */
    bool nan_is_yes; /* NaN counts as above every border */
};

struct catboost {
    struct document d;
    struct import_memory memory;
    struct forest_builder builder;
    struct imported *out;
    struct catboost_feature *features;
    size_t feature_count, feature_capacity;
    struct f64s leaf_values, bias;
    double scale;
    uint32_t outputs; /* 0: no tree was seen yet */
};

static inline bool catboost_is(struct span text, const char *word)
{
    return span_equal(text, word, strlen(word));
}

/* Reads the tree that comes next in c->d and appends it to the forest; failures stick in c->d. */
void catboost_read_tree(struct catboost *c);
