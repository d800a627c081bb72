/*
 * ai.onnx.ml: the preprocessing that skl2onnx writes of scikit-learn pipelines. Columns of whole numbers and of floats are
 * alike here; texts are refused: a bundle's features encode them before the model.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_network.h"

/* f(x, list): one number a column of the last dimension, or one for all. 0: failed. */
static uint32_t with_list(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, uint32_t wire,
                          const char *name, const struct f64s *list, enum network_function function, float a)
{
    uint32_t width = network_width(n->builder.network, wire), first, last = (uint32_t)x->dims[x->rank - 1];
    if (list->size != 1 && (x->rank < 2 || list->size != last)) {
        (void)onnx_fail_node(n->g, node, STATUS_INVALID, "%s has %zu numbers, there are %u columns", name, list->size, width);
        return 0;
    }
    float *numbers = network_builder_numbers(&n->builder, width, &first);
    for (uint32_t i = 0; numbers && i < width; i++)
        numbers[i] = (float)list->items[list->size == 1 ? 0 : i % last];
    uint32_t made = !numbers ? 0
                             : network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_WITH,
                                                                                  .function = (uint8_t)function,
                                                                                  .a = a,
                                                                                  .inputs = {wire},
                                                                                  .width = width,
                                                                                  .first = first,
                                                                                  .count = width});
    if (made == 0)
        (void)onnx_no_room(n, node);
    return made;
}

/* (x - offset) * scale */
static bool scaler(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s offset = {0}, scale = {0};
    bool done = x && onnx_reals(n->g, node, "offset", &offset) && onnx_reals(n->g, node, "scale", &scale);
    uint32_t wire = done ? x->wire : 0;
    if (wire > 0 && offset.size > 0)
        wire = with_list(n, node, x, wire, "offset", &offset, NETWORK_FN_SUB, 0);
    if (wire > 0 && scale.size > 0)
        wire = with_list(n, node, x, wire, "scale", &scale, NETWORK_FN_MUL, 0);
    onnx_numbers_free(n, &offset);
    onnx_numbers_free(n, &scale);
    if (wire == 0)
        return false;
    struct onnx_term out = *x;
    out.type = ONNX_FLOAT;
    return onnx_give_like(n, node, &out, wire);
}

static bool imputer(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s values = {0};
    if (!x)
        return false;
    if (!onnx_reals(n->g, node, "imputed_value_floats", &values)) {
        onnx_numbers_free(n, &values);
        return false;
    }
    float replaced = onnx_real_or(n->g, node, "replaced_value_float", NAN);
    bool whole = values.size == 0;
    if (whole) {
        replaced = (float)onnx_whole_or(n->g, node, "replaced_value_int64", 0);
        if (!onnx_list_of(n, node, "imputed_value_int64s", UINT32_MAX, &values))
            return false;
    }
    uint32_t wire = with_list(n, node, x, x->wire, whole ? "imputed_value_int64s" : "imputed_value_floats", &values, NETWORK_FN_FILL,
                              replaced);
    onnx_numbers_free(n, &values);
    return wire > 0 && onnx_give_like(n, node, x, wire);
}

static bool binarizer(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    return x && onnx_give_like(n, node, x,
                               network_builder_with(&n->builder, x->wire, NETWORK_FN_MORE, onnx_real_or(n->g, node, "threshold", 0)));
}

static bool refuse_texts(struct onnx_network *n, const struct onnx_node *node, const char *name)
{
    struct protobuf texts = onnx_texts(onnx_attribute(n->g, node, name));
    struct span text;
    return !onnx_next_text(&texts, &text) ||
           onnx_unsupported(n, node, "it takes or gives texts; encode them as numbers in the bundle's features, and convert the model "
                                     "from there");
}

/* --- OneHotEncoder ---------------------------------------------------------------------------------------------------- */

/* Every column `times` over, next to itself. */
static uint32_t repeat(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, uint32_t times)
{
    struct onnx_view view = onnx_view_of(x, 1);
    if (view.rank == ONNX_RANK_MAX)
        return 0;
    view.dims[view.rank] = times;
    view.strides[view.rank++] = 0;
    return onnx_view_wire(n, node, x, &view);
}

/* Without `zeros` an unknown category is an error of ONNX Runtime, one for the whole batch. Here its row's score is NaN: the
 * sum over its categories is 0, and 0 / 0 none. */
static uint32_t refuse_unknown(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, uint32_t wire, uint32_t k)
{
    struct onnx_term sums = *x;
    sums.wire = network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_REDUCE,
                                                                    .reduce = NETWORK_SUM,
                                                                    .inputs = {wire},
                                                                    .width = (uint32_t)onnx_items(x),
                                                                    .groups = (uint32_t)onnx_items(x)});
    uint32_t spread = sums.wire ? repeat(n, node, &sums, k) : 0;
    return spread ? network_builder_pair(&n->builder, wire, spread, NETWORK_FN_DIV) : 0;
}

static bool one_hot(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s categories = {0};
    if (!x || !refuse_texts(n, node, "cats_strings") || !onnx_list_of(n, node, "cats_int64s", UINT32_MAX, &categories))
        return false;
    struct onnx_term whole = *x, out = *x;
    uint32_t k = (uint32_t)categories.size, wire = 0;
    if (!onnx_is_whole(x->type))
        whole.wire = network_builder_map(&n->builder, x->wire, NETWORK_FN_TRUNC, 0, 0);
    out.dims[out.rank < ONNX_RANK_MAX ? out.rank++ : 0] = k;
    if (whole.wire > 0 && k > 0)
        wire = repeat(n, node, &whole, k);
    if (wire > 0)
        wire = with_list(n, node, &out, wire, "cats_int64s", &categories, NETWORK_FN_EQUAL, 0);
    onnx_numbers_free(n, &categories);
    if (wire > 0 && onnx_whole_or(n->g, node, "zeros", 1) == 0)
        wire = refuse_unknown(n, node, x, wire, k);
    out.type = ONNX_FLOAT;
    out.is_pair = false;
    return onnx_give_like(n, node, &out, wire);
}

/* --- LabelEncoder ----------------------------------------------------------------------------------------------------- */

struct pair {
    float key, value;
};

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* A list of numbers: floats, whole numbers, or a tensor. */
static bool read_side(struct onnx_network *n, const struct onnx_node *node, bool keys, struct f64s *out)
{
    int32_t type;
    *out = (struct f64s){0};
    if (!refuse_texts(n, node, keys ? "keys_strings" : "values_strings") ||
        !onnx_attribute_numbers(n->g, node, keys ? "keys_tensor" : "values_tensor", out, &type))
        return false;
    if (out->size == 0 && !onnx_reals(n->g, node, keys ? "keys_floats" : "values_floats", out))
        return false;
    return out->size > 0 || onnx_list_of(n, node, keys ? "keys_int64s" : "values_int64s", UINT32_MAX, out);
}

/* What unknown keys become. */
static bool read_default(struct onnx_network *n, const struct onnx_node *node, float *out)
{
    struct f64s numbers = {0};
    int32_t type;
    bool whole = onnx_attribute(n->g, node, "values_int64s") != NULL;
    *out = whole ? (float)onnx_whole_or(n->g, node, "default_int64", -1) : onnx_real_or(n->g, node, "default_float", -0.0f);
    bool read = onnx_attribute_numbers(n->g, node, "default_tensor", &numbers, &type);
    if (read && numbers.size > 0)
        *out = (float)numbers.items[0];
    onnx_numbers_free(n, &numbers);
    return read;
}

/* The keys in order, NaN aside; keys that are one float32 number can't be told apart in a row. */
static bool sort_pairs(struct onnx_network *n, const struct onnx_node *node, const struct f64s *keys, const struct f64s *values,
                       struct pair *pairs, uint32_t *count, float *of_nan)
{
    *count = 0;
    for (size_t i = 0; i < keys->size; i++) {
        if (isnan(keys->items[i]))
            *of_nan = (float)values->items[i];
        else
            pairs[(*count)++] = (struct pair){(float)keys->items[i], (float)values->items[i]};
    }
    qsort(pairs, *count, sizeof *pairs, by_key);
    for (uint32_t i = 1; i < *count; i++) {
        if (pairs[i - 1].key == pairs[i].key)
            return onnx_unsupported(n, node, "two of its keys are the same float32 number");
    }
    return true;
}

static bool encode(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, const struct f64s *keys,
                   const struct f64s *values)
{
    float absent, of_nan;
    if (keys->size == 0 || keys->size != values->size)
        return onnx_fail_node(n->g, node, STATUS_INVALID, "%zu keys and %zu values", keys->size, values->size);
    if (!read_default(n, node, &absent))
        return false;
    size_t capacity = 0;
    uint32_t count, first;
    struct pair *pairs = import_grow(n->g->memory, NULL, &capacity, keys->size, sizeof *pairs);
    if (!pairs)
        return onnx_out_of_memory(n->g);
    of_nan = absent;
    bool done = sort_pairs(n, node, keys, values, pairs, &count, &of_nan);
    float *numbers = done ? network_builder_numbers(&n->builder, 2 * (size_t)count, &first) : NULL;
    for (uint32_t i = 0; numbers && i < count; i++) {
        numbers[i] = pairs[i].key;
        numbers[count + i] = pairs[i].value;
    }
    (void)import_shrink(n->g->memory, pairs, &capacity, 0, sizeof *pairs);
    if (!numbers)
        return done && onnx_out_of_memory(n->g);
    struct onnx_term out = *x;
    out.type = onnx_attribute(n->g, node, "values_int64s") ? ONNX_INT64 : ONNX_FLOAT;
    out.is_pair = false;
    return onnx_give_like(n, node, &out,
                          network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_LOOKUP,
                                                                             .a = absent,
                                                                             .b = of_nan,
                                                                             .inputs = {x->wire},
                                                                             .width = network_width(n->builder.network, x->wire),
                                                                             .rows = count,
                                                                             .first = first,
                                                                             .count = 2 * count}));
}

static bool label_encoder(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s keys = {0}, values = {0};
    if (!x || !refuse_texts(n, node, "classes_strings"))
        return false;
    bool done = read_side(n, node, true, &keys) && read_side(n, node, false, &values) && encode(n, node, x, &keys, &values);
    onnx_numbers_free(n, &keys);
    onnx_numbers_free(n, &values);
    return done;
}

const struct onnx_operator onnx_pipeline_operators[] = {
    {"ai.onnx.ml", "Scaler", scaler, 0, 0},
    {"ai.onnx.ml", "Imputer", imputer, 0, 0},
    {"ai.onnx.ml", "Binarizer", binarizer, 0, 0},
    {"ai.onnx.ml", "OneHotEncoder", one_hot, 0, 0},
    {"ai.onnx.ml", "LabelEncoder", label_encoder, 0, 0},
    {NULL, NULL, NULL, 0, 0},
};
