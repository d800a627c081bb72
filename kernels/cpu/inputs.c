#include "kernels/cpu/inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"
#include "kernels/ref/forest_reference.h"
#include "model/base/check.h"

/* What is missing at a node, and how it fares there. */
enum rule { RULE_NAN_FAILS, RULE_NAN_PASSES, RULE_ZERO_FAILS, RULE_ZERO_PASSES, RULE_NAN_IS_ZERO, RULES };

enum { NO_INPUT = -1 };

struct inputs_lookup {
    int32_t *ordered_input;  /* [features * RULES]: input, or NO_INPUT */
    uint32_t *question_hash; /* open addressing: 1 + number of a question, 0: free */
    size_t hash_size;        /* a power of two */
    size_t question_capacity;
};

/* LightGBM's kZeroThreshold as a float32 key; the double that it widens to has the float64 key. */
static const float tiny = 1e-35f;

static int32_t key32(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? -(bits & INT32_MAX) : bits;
}

static int64_t key64(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? -(bits & INT64_MAX) : bits;
}

double inputs_value(const struct inputs *inputs, int64_t key)
{
    if (inputs->forest->input_type == NUMBER_F64) {
        int64_t bits = key < 0 ? -key | INT64_MIN : key;
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    int32_t bits = key < 0 ? (int32_t)-key | INT32_MIN : (int32_t)key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* The limit that makes key > limit mean x >= threshold or x > threshold. A float32 row may meet a threshold that is no
 * float32: then the next float32 above it decides, for both. */
static int64_t limit_of(enum number_type type, double threshold, bool or_equal)
{
    if (type == NUMBER_F64)
        return key64(threshold) - or_equal;
    float rounded = (float)threshold;
    bool reached = or_equal ? (double)rounded >= threshold : (double)rounded > threshold;
    return (int64_t)key32(rounded) - reached;
}

static bool is_question(const struct forest_node *node)
{
    return node->op == FOREST_EQ || node->op == FOREST_NE || node->op == FOREST_MEMBER;
}

static enum rule rule_of(const struct forest_node *node, bool pass_is_yes)
{
    bool missing_passes = node->missing_yes == pass_is_yes;
    switch ((enum forest_missing)node->missing) {
    case FOREST_MISSING_NAN:
        return missing_passes ? RULE_NAN_PASSES : RULE_NAN_FAILS;
    case FOREST_MISSING_ZERO:
        return missing_passes ? RULE_ZERO_PASSES : RULE_ZERO_FAILS;
    case FOREST_MISSING_AS_ZERO:
        return RULE_NAN_IS_ZERO;
    case FOREST_MISSING_COMPARE: /* a comparison with NaN is false: the no branch */
        return pass_is_yes ? RULE_NAN_FAILS : RULE_NAN_PASSES;
    }
    CHECK(0 && "a way to be missing");
    return RULE_NAN_FAILS;
}

static bool passes_on_yes(const struct forest_node *node)
{
    return node->op == FOREST_GT || node->op == FOREST_GE || is_question(node);
}

/* --- questions: equal ones share an input ----------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static uint64_t question_hash(const struct forest *forest, const struct forest_node *node)
{
    uint64_t hash = mix(node->feature, (uint64_t)node->op << 16 | (uint64_t)node->missing << 8 | node->missing_yes);
    if (node->op != FOREST_MEMBER)
        return mix(hash, (uint64_t)key64(node->threshold));
    const struct forest_set *set = &forest->sets[node->set];
    for (uint32_t i = 0; i < set->words; i++)
        hash = mix(hash, forest->set_words[set->first + i]);
    return hash;
}

static bool same_question(const struct forest *forest, const struct forest_node *a, const struct forest_node *b)
{
    if (a->feature != b->feature || a->op != b->op || a->missing != b->missing || a->missing_yes != b->missing_yes)
        return false;
    if (a->op != FOREST_MEMBER)
        return key64(a->threshold) == key64(b->threshold);
    const struct forest_set *x = &forest->sets[a->set], *y = &forest->sets[b->set];
    return x->words == y->words &&
           memcmp(forest->set_words + x->first, forest->set_words + y->first, x->words * sizeof *forest->set_words) == 0;
}

/* Where the question is in the hash, or where it belongs. */
static size_t question_place(const struct inputs *inputs, const struct forest_node *node)
{
    const struct inputs_lookup *lookup = inputs->lookup;
    size_t at = question_hash(inputs->forest, node) & (lookup->hash_size - 1);
    while (lookup->question_hash[at]) {
        const struct forest_node *other = &inputs->forest->nodes[inputs->question[lookup->question_hash[at] - 1]];
        if (same_question(inputs->forest, node, other))
            break;
        at = (at + 1) & (lookup->hash_size - 1);
    }
    return at;
}

static int grow_question_hash(struct inputs *inputs, uint32_t questions)
{
    struct inputs_lookup *lookup = inputs->lookup;
    uint32_t *grown = calloc(lookup->hash_size * 2, sizeof *grown);
    if (!grown)
        return -1;
    free(lookup->question_hash);
    lookup->question_hash = grown;
    lookup->hash_size *= 2;
    for (uint32_t q = 0; q < questions; q++)
        grown[question_place(inputs, &inputs->forest->nodes[inputs->question[q]])] = q + 1;
    return 0;
}

/* Counts the questions in inputs->count; they are numbered from 0 until the ordered inputs are known. */
static int add_question(struct inputs *inputs, uint32_t number)
{
    struct inputs_lookup *lookup = inputs->lookup;
    size_t at = question_place(inputs, &inputs->forest->nodes[number]);
    if (lookup->question_hash[at])
        return 0;
    if (prepared_grow((void **)&inputs->question, &lookup->question_capacity, inputs->count + 1, sizeof *inputs->question) != 0)
        return -1;
    inputs->question[inputs->count++] = number;
    lookup->question_hash[at] = inputs->count;
    return inputs->count * 2 > lookup->hash_size ? grow_question_hash(inputs, inputs->count) : 0;
}

/* --- collecting ------------------------------------------------------------------------------------------------------- */

static void set_rule(struct inputs *inputs, uint32_t input, enum rule rule)
{
    const struct forest *forest = inputs->forest;
    bool is_f32 = forest->input_type == NUMBER_F32;
    int64_t lowest = is_f32 ? INT32_MIN : INT64_MIN, highest = is_f32 ? INT32_MAX : INT64_MAX;
    bool passes = rule == RULE_NAN_PASSES || rule == RULE_ZERO_PASSES;
    int64_t missing = rule == RULE_NAN_IS_ZERO ? 0 : passes ? highest : lowest;
    bool zero_is_missing = rule == RULE_ZERO_FAILS || rule == RULE_ZERO_PASSES;
    int64_t tiny_limit = zero_is_missing || forest->tiny_is_zero ? (is_f32 ? key32(tiny) : key64((double)tiny)) : -1;
    int64_t tiny_key = zero_is_missing ? missing : 0;
    if (is_f32) {
        ((int32_t *)inputs->nan_key)[input] = (int32_t)missing;
        ((int32_t *)inputs->tiny_limit)[input] = (int32_t)tiny_limit;
        ((int32_t *)inputs->tiny_key)[input] = (int32_t)tiny_key;
    } else {
        ((int64_t *)inputs->nan_key)[input] = missing;
        ((int64_t *)inputs->tiny_limit)[input] = tiny_limit;
        ((int64_t *)inputs->tiny_key)[input] = tiny_key;
    }
}

static int scan_node(struct inputs *inputs, uint32_t number)
{
    const struct forest_node *node = &inputs->forest->nodes[number];
    if (node->op == FOREST_LEAF)
        return 0;
    if (is_question(node))
        return add_question(inputs, number);
    int32_t *input = &inputs->lookup->ordered_input[(size_t)node->feature * RULES + rule_of(node, passes_on_yes(node))];
    inputs->ordered += *input == NO_INPUT;
    *input = 0;
    return 0;
}

/* Finds which (feature, rule) occur, and all questions. Only nodes that can be reached: others may hold anything. */
static int scan(struct inputs *inputs)
{
    const struct forest *forest = inputs->forest;
    int result = 0;
    if (forest_all_reached(forest)) {
        for (uint32_t i = 0; result == 0 && i < forest->node_count; i++)
            result = scan_node(inputs, i);
        return result;
    }
    uint32_t *nodes = malloc(forest_largest_tree(forest) * sizeof *nodes);
    result = nodes ? 0 : -1;
    for (uint32_t t = 0; result == 0 && t < forest->tree_count; t++) {
        uint32_t n = forest_preorder(forest, forest->trees[t].root, nodes);
        for (uint32_t i = 0; result == 0 && i < n; i++)
            result = scan_node(inputs, nodes[i]);
    }
    free(nodes);
    return result;
}

static int number_inputs(struct inputs *inputs)
{
    const struct forest *forest = inputs->forest;
    size_t padded = ((size_t)inputs->count + inputs->ordered + 15) / 16 * 16 + 16;
    size_t key_bytes = number_type_bytes(forest->input_type);
    inputs->feature = prepared_alloc(padded * sizeof *inputs->feature);
    inputs->nan_key = prepared_alloc(padded * key_bytes);
    inputs->tiny_limit = prepared_alloc(padded * key_bytes);
    inputs->tiny_key = prepared_alloc(padded * key_bytes);
    if (!inputs->feature || !inputs->nan_key || !inputs->tiny_limit || !inputs->tiny_key)
        return -1;
    uint32_t next = 0;
    for (size_t i = 0; i < (size_t)forest->features * RULES; i++) {
        if (inputs->lookup->ordered_input[i] == NO_INPUT)
            continue;
        inputs->lookup->ordered_input[i] = (int32_t)next;
        inputs->feature[next] = (uint32_t)(i / RULES);
        set_rule(inputs, next, (enum rule)(i % RULES));
        next++;
    }
    for (uint32_t q = 0; q < inputs->count; q++)
        inputs->feature[inputs->ordered + q] = forest->nodes[inputs->question[q]].feature;
    inputs->count += inputs->ordered;
    return 0;
}

static int make(struct inputs *inputs)
{
    const struct forest *forest = inputs->forest;
    struct inputs_lookup *lookup = inputs->lookup = calloc(1, sizeof *inputs->lookup);
    if (!lookup)
        return -1;
    lookup->hash_size = 64;
    lookup->question_hash = calloc(lookup->hash_size, sizeof *lookup->question_hash);
    lookup->ordered_input = malloc(((size_t)forest->features * RULES + 1) * sizeof *lookup->ordered_input);
    if (!lookup->question_hash || !lookup->ordered_input)
        return -1;
    for (size_t i = 0; i < (size_t)forest->features * RULES; i++)
        lookup->ordered_input[i] = NO_INPUT;
    return scan(inputs) == 0 ? number_inputs(inputs) : -1;
}

enum status inputs_make(const struct forest *forest, struct inputs **out, struct error *err)
{
    struct inputs *inputs = calloc(1, sizeof *inputs);
    if (inputs) {
        inputs->forest = forest;
        if (make(inputs) == 0) {
            *out = inputs;
            return STATUS_OK;
        }
    }
    inputs_free(inputs);
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void inputs_forget_lookup(struct inputs *inputs)
{
    if (!inputs->lookup)
        return;
    free(inputs->lookup->ordered_input);
    free(inputs->lookup->question_hash);
    free(inputs->lookup);
    inputs->lookup = NULL;
}

void inputs_free(struct inputs *inputs)
{
    if (!inputs)
        return;
    inputs_forget_lookup(inputs);
    free(inputs->feature);
    free(inputs->nan_key);
    free(inputs->tiny_limit);
    free(inputs->tiny_key);
    free(inputs->question);
    free(inputs);
}

size_t inputs_bytes(const struct inputs *inputs)
{
    return inputs->count * (sizeof *inputs->feature + 3 * number_type_bytes(inputs->forest->input_type));
}

struct inputs_test inputs_test_of(const struct inputs *inputs, const struct forest_node *node)
{
    const struct inputs_lookup *lookup = inputs->lookup;
    bool pass_is_yes = passes_on_yes(node);
    struct inputs_test test = {.pass_is_yes = pass_is_yes};
    if (is_question(node)) {
        test.input = inputs->ordered + lookup->question_hash[question_place(inputs, node)] - 1;
        return test;
    }
    bool or_equal = node->op == FOREST_LT || node->op == FOREST_GE;
    test.input = (uint32_t)lookup->ordered_input[(size_t)node->feature * RULES + rule_of(node, pass_is_yes)];
    test.limit = limit_of(inputs->forest->input_type, node->threshold, or_equal);
    return test;
}

/* --- rows to keys ----------------------------------------------------------------------------------------------------- */

void inputs_answers32(const struct inputs *inputs, const void *row, int32_t *keys)
{
    const struct forest *forest = inputs->forest;
    for (uint32_t i = inputs->ordered; i < inputs->count; i++)
        keys[i] = forest_reference_takes_yes(forest, &forest->nodes[inputs->question[i - inputs->ordered]], row);
}

void inputs_answers64(const struct inputs *inputs, const void *row, int64_t *keys)
{
    const struct forest *forest = inputs->forest;
    for (uint32_t i = inputs->ordered; i < inputs->count; i++)
        keys[i] = forest_reference_takes_yes(forest, &forest->nodes[inputs->question[i - inputs->ordered]], row);
}

void inputs_keys32(const struct inputs *inputs, const void *row, int32_t *keys)
{
    static const int32_t infinity = 0x7F800000;
    const int32_t *nan_key = inputs->nan_key, *tiny_limit = inputs->tiny_limit, *tiny_key = inputs->tiny_key;
    for (uint32_t i = 0; i < inputs->ordered; i++) {
        int32_t bits;
        memcpy(&bits, (const float *)row + inputs->feature[i], sizeof bits);
        int32_t magnitude = bits & INT32_MAX;
        int32_t key = bits < 0 ? -magnitude : magnitude;
        key = magnitude <= tiny_limit[i] ? tiny_key[i] : key;
        keys[i] = magnitude > infinity ? nan_key[i] : key;
    }
    inputs_answers32(inputs, row, keys);
}

void inputs_keys64(const struct inputs *inputs, const void *row, int64_t *keys)
{
    static const int64_t infinity = 0x7FF0000000000000;
    const int64_t *nan_key = inputs->nan_key, *tiny_limit = inputs->tiny_limit, *tiny_key = inputs->tiny_key;
    for (uint32_t i = 0; i < inputs->ordered; i++) {
        int64_t bits;
        memcpy(&bits, (const double *)row + inputs->feature[i], sizeof bits);
        int64_t magnitude = bits & INT64_MAX;
        int64_t key = bits < 0 ? -magnitude : magnitude;
        key = magnitude <= tiny_limit[i] ? tiny_key[i] : key;
        keys[i] = magnitude > infinity ? nan_key[i] : key;
    }
    inputs_answers64(inputs, row, keys);
}
