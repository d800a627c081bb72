/*
 * Private to the LightGBM importer: where it stands in the text, and what it has gathered.
 *
 * The text is a sequence of lines "key=value", in blocks that an empty line ends: a header, then a block a tree, then
 * "end of trees". The first '=' splits a line, so a value may hold others. Numbers in a list stand between blanks.
 */
#pragma once

#include "model/base/span.h"
#include "model/import/builder.h"
#include "model/import/document.h"
#include "model/import/import.h"

/* One tree as the file has it, an array a key; reused from tree to tree. */
struct lightgbm_tree {
    int64_t number, leaf_count, set_count;
    bool is_linear, has_leaf_count;
    struct i32s feature, decision, left, right, set_start, leaf_feature_count, leaf_features;
    struct f64s threshold, leaf_value, leaf_constant, leaf_coefficients;
    struct i32s set_words;    /* 32 bits of a set each */
    struct i32s reached_from; /* [nodes + leaves] 1 + the node that names it as a child; 0: none yet */
};

struct lightgbm {
    const char *at, *end; /* borrowed: what is left of the text */
    size_t line;          /* number of the line last read, from 1 */
    int64_t tree_number;  /* of the tree being read; -1: none */
    enum status status;   /* the first failure; everything after it does nothing */
    struct error *err;
    struct import_memory memory;
    struct forest_builder builder;
    struct imported *out;
    struct lightgbm_tree tree;

    int64_t classes, outputs, features, declared_trees; /* -1: not in the header */
    bool average;
    struct span objective, feature_names;
};

/* Keeps the first failure, its message led by the line and the tree. Returns false. */
bool lightgbm_fail(struct lightgbm *l, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool lightgbm_out_of_memory(struct lightgbm *l);

/* The next line without its end; false at the end of the text or after a failure. */
bool lightgbm_line(struct lightgbm *l, struct span *line);
/* Splits "key=value" at the first '='; false where there is none: key is then the whole line. */
bool lightgbm_split(struct span line, struct span *key, struct span *value);

/* One number, and lists of them, replacing what out held. A failure names `key`. */
bool lightgbm_whole(struct lightgbm *l, const char *key, struct span text, int64_t min, int64_t max, int64_t *out);
bool lightgbm_real(struct lightgbm *l, const char *key, struct span text, double *out);
bool lightgbm_wholes(struct lightgbm *l, const char *key, struct span text, struct i32s *out);
bool lightgbm_words(struct lightgbm *l, const char *key, struct span text, struct i32s *out); /* unsigned 32 bits */
bool lightgbm_reals(struct lightgbm *l, const char *key, struct span text, struct f64s *out);

/* Cuts the next word off a list: what stands before the next blank. false: the list is at its end. */
bool lightgbm_word(struct span *list, struct span *word);

/* Reads the block of a tree, whose "Tree=number" line was just taken, and appends it to the forest. */
bool lightgbm_read_tree(struct lightgbm *l);
void lightgbm_tree_free(struct lightgbm_tree *tree);

/* The objective line: which link, with which parameter. */
bool lightgbm_read_objective(struct lightgbm *l);
