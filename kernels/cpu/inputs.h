/*
 * Every test of a forest as one comparison of integers.
 *
 * A floating-point number has an integer *key* that sorts as the number does (-0 and +0 share one), so that
 *
 *     x >= T   <=>   key(x) > limit        for a limit that depends on T and the comparison alone
 *
 * holds exactly, in float32 and in float64. What is missing gets the lowest or the highest key there is: it then fails or
 * passes every test. As nodes differ in where missing values go and in what is missing, one feature may be needed under
 * several rules; each (feature, rule) in use is one *input*. What is no question of order (=, !=, categories) becomes an
 * input of its own whose key is 1 for yes and 0 for no.
 *
 *     row of features ──inputs_keys──► key of each input ──► node: keys[input] > limit ?  "passes" : "fails"
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"
#include "model/forest.h"

struct inputs {
    const struct forest *forest; /* borrowed */
    uint32_t count;
    uint32_t ordered; /* inputs 0 .. ordered - 1 are of order, by feature; the others are questions */
    uint32_t *feature; /* [count, padded to 16] */
    /* The rules, as arrays of int32 where rows are float32, else of int64; [ordered, padded to 16]:
     * key(NaN) = nan_key; |x| with a key <= tiny_limit has the key tiny_key. */
    void *nan_key, *tiny_limit, *tiny_key;
    uint32_t *question; /* [count - ordered] number of a node that asks it */
    struct inputs_lookup *lookup;
};

/* What a node asks: a row passes iff the key of its input is above the limit. */
struct inputs_test {
    uint32_t input;
    bool pass_is_yes; /* else those that pass take the node's no branch */
    int64_t limit;
};

/* Collects the inputs of a forest that forest_check has accepted. *out is owned: inputs_free. STATUS_NO_MEMORY. */
MUST_USE enum status inputs_make(const struct forest *forest, struct inputs **out, struct error *err);
/* Frees what only inputs_test_of needs, once all layouts are built. */
void inputs_forget_lookup(struct inputs *inputs);
void inputs_free(struct inputs *inputs);
size_t inputs_bytes(const struct inputs *inputs);

/* node: no leaf, of the same forest. */
struct inputs_test inputs_test_of(const struct inputs *inputs, const struct forest_node *node);

/* The keys of one row, [count], int32 where rows are float32, else int64. Any thread. */
void inputs_keys32(const struct inputs *inputs, const void *row, int32_t *keys);
void inputs_keys64(const struct inputs *inputs, const void *row, int64_t *keys);
/* Those of the questions alone: keys[ordered .. count - 1]. */
void inputs_answers32(const struct inputs *inputs, const void *row, int32_t *keys);
void inputs_answers64(const struct inputs *inputs, const void *row, int64_t *keys);

/* The value whose key is `key`, in the forest's input type; for making rows that meet a given test. */
double inputs_value(const struct inputs *inputs, int64_t key);
