/*
 * CatBoost's JSON (save_model(format="json")), with float features and symmetric trees:
 *
 *     features_info.float_features[]   flat_feature_index, feature_id (the name, or ""), nan_value_treatment
 *     model_info.params.loss_function  type: how a margin becomes a score
 *     oblivious_trees[]                splits[] of float_feature_index and border, leaf_values[]
 *     scale_and_bias                   [scale, [bias of each output]]
 *
 * A symmetric tree asks the same question everywhere on a level: bit i of the leaf's number is x > border of split i,
 * in float32. In the forest it becomes a whole binary tree with the last split at its root, so that leaves stand in
 * order. NaN is below every border, or above ("AsTrue"). The margin is scale * sum + bias, in double.
 *
 * Source: CatBoost's documentation of the JSON format; the arithmetic is in docs/models.md.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/catboost.h"

static bool take_text(struct catboost *c, char **out)
{
    struct span text;
    if (!document_text(&c->d, &text))
        return false;
    free(*out);
    *out = import_text(&c->memory, text);
    return *out || document_out_of_memory(&c->d);
}

static void read_nan_treatment(struct catboost *c, struct catboost_feature *feature)
{
    struct span text;
    if (!document_text(&c->d, &text))
        return;
    feature->nan_is_yes = catboost_is(text, "AsTrue");
    if (!feature->nan_is_yes && !catboost_is(text, "AsFalse") && !catboost_is(text, "AsIs"))
        (void)document_fail(&c->d, STATUS_INVALID, "AsIs, AsFalse or AsTrue is expected");
}

static void read_feature(struct catboost *c)
{
    struct catboost_feature *grown =
        import_grow(&c->memory, c->features, &c->feature_capacity, c->feature_count + 1, sizeof *grown);
    if (!grown) {
        (void)document_out_of_memory(&c->d);
        return;
    }
    c->features = grown;
    struct catboost_feature *feature = &grown[c->feature_count++];
    *feature = (struct catboost_feature){0};
    struct span key;
    int64_t index = -1;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "flat_feature_index"))
            (void)document_i64(&c->d, &index);
        else if (catboost_is(key, "feature_id"))
            (void)take_text(c, &feature->name);
        else if (catboost_is(key, "nan_value_treatment"))
            read_nan_treatment(c, feature);
        else
            (void)document_skip(&c->d);
    }
    if (index != (int64_t)c->feature_count - 1)
        (void)document_fail(&c->d, STATUS_INVALID, "flat_feature_index %lld where %zu is expected", (long long)index,
                            c->feature_count - 1);
}

static void read_features(struct catboost *c)
{
    struct span key;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "float_features")) {
            for (document_array(&c->d); document_item(&c->d);)
                read_feature(c);
        } else if (catboost_is(key, "categorical_features") || catboost_is(key, "text_features") ||
                   catboost_is(key, "embedding_features")) {
            bool any = false;
            for (document_array(&c->d); document_item(&c->d);) {
                any = true;
                (void)document_skip(&c->d);
            }
            if (any)
                (void)document_fail(
                    &c->d, STATUS_UNSUPPORTED,
                    "CatBoost models with categorical, text or embedding features are not supported; encode "
                    "them as numbers before training");
        } else {
            (void)document_skip(&c->d);
        }
    }
}

static void read_loss(struct catboost *c)
{
    struct span key;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "type"))
            (void)take_text(c, &c->out->objective);
        else
            (void)document_skip(&c->d);
    }
}

static void read_params(struct catboost *c)
{
    struct span key;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "loss_function"))
            read_loss(c);
        else
            (void)document_skip(&c->d);
    }
}

/* "…Summary: CatBoost release 1.2.10. commit_hash…": the words that name the release. */
static void read_version(struct catboost *c)
{
    static const char mark[] = "CatBoost release ";
    struct span text;
    if (!document_text(&c->d, &text))
        return;
    const char *found = memmem(text.data, text.len, mark, sizeof mark - 1);
    if (!found)
        return;
    const char *version = found + sizeof mark - 1, *end = version;
    while (end < text.data + text.len && ((*end >= '0' && *end <= '9') || *end == '.'))
        end++;
    while (end > version && end[-1] == '.')
        end--;
    struct buf writer = {0};
    buf_format(&writer, "CatBoost %.*s", (int)(end - version), version);
    free(c->out->writer);
    c->out->writer = strdup(buf_text(&writer));
    buf_free(&writer);
}

static void read_info(struct catboost *c)
{
    struct span key;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "params"))
            read_params(c);
        else if (catboost_is(key, "catboost_version_info"))
            read_version(c);
        else
            (void)document_skip(&c->d);
    }
}

/* [scale, [bias, ...]]; before version 0.24 [scale, bias]. */
static void read_scale_and_bias(struct catboost *c)
{
    size_t place = 0;
    for (document_array(&c->d); document_item(&c->d); place++) {
        double bias;
        if (place == 0) {
            (void)document_f64(&c->d, &c->scale);
        } else if (place == 1 && document_peek(&c->d) == DOCUMENT_ARRAY) {
            (void)document_f64s(&c->d, &c->bias);
        } else if (place == 1 && document_f64(&c->d, &bias)) {
            double *grown = import_grow(&c->memory, c->bias.items, &c->bias.capacity, 1, sizeof *grown);
            if (!grown) {
                (void)document_out_of_memory(&c->d);
                return;
            }
            c->bias.items = grown;
            c->bias.items[c->bias.size++] = bias;
        } else {
            (void)document_fail(&c->d, STATUS_INVALID, "a scale and a bias are expected, no more");
        }
    }
}

static void read_document(struct catboost *c)
{
    struct span key;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "features_info")) {
            read_features(c);
        } else if (catboost_is(key, "model_info")) {
            read_info(c);
        } else if (catboost_is(key, "oblivious_trees")) {
            for (document_array(&c->d); document_item(&c->d);)
                catboost_read_tree(c);
        } else if (catboost_is(key, "trees")) {
            (void)document_fail(
                &c->d, STATUS_UNSUPPORTED,
                "CatBoost trees of grow_policy Depthwise and Lossguide are not supported, SymmetricTree is");
        } else if (catboost_is(key, "scale_and_bias")) {
            read_scale_and_bias(c);
        } else {
            (void)document_skip(&c->d);
        }
    }
}

static enum status find_link(struct catboost *c, struct error *err)
{
    static const struct {
        const char *loss;
        enum link link;
    } losses[] = {
        {"Logloss", LINK_SIGMOID_F64},
        {"CrossEntropy", LINK_SIGMOID_F64},
        {"MultiClass", LINK_SOFTMAX_F64},
        {"MultiClassOneVsAll", LINK_SIGMOID_F64},
        {"Poisson", LINK_EXP_F64},
        {"Tweedie", LINK_EXP_F64},
        {"RMSE", LINK_IDENTITY},
        {"MAE", LINK_IDENTITY},
        {"Quantile", LINK_IDENTITY},
        {"MAPE", LINK_IDENTITY},
        {"Huber", LINK_IDENTITY},
        {"Expectile", LINK_IDENTITY},
        {"Lq", LINK_IDENTITY},
        {"QueryRMSE", LINK_IDENTITY},
        {"PairLogit", LINK_IDENTITY},
        {"YetiRank", LINK_IDENTITY},
        {"QuerySoftMax", LINK_IDENTITY},
        {"LogCosh", LINK_IDENTITY},
        {"LogLinQuantile", LINK_IDENTITY},
        {"Cox", LINK_IDENTITY},
        {"MultiRMSE", LINK_IDENTITY},
        {"Focal", LINK_SIGMOID_F64},
        {"MultiLogloss", LINK_SIGMOID_F64},
        {"MultiCrossEntropy", LINK_SIGMOID_F64},
    };
    const char *loss = c->out->objective;
    if (!loss)
        return error_set(err, STATUS_INVALID, "model_info.params.loss_function.type is missing");
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        if (strcmp(loss, losses[i].loss) == 0) {
            c->builder.forest->link = losses[i].link;
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_UNSUPPORTED, "CatBoost's loss function '%.40s' is not supported", loss);
}

/* scale * sum + bias: a power of two scales every leaf without rounding; any other scale would round differently. */
static enum status apply_scale(struct catboost *c, struct error *err)
{
    struct forest *f = c->builder.forest;
    int exponent;
    if (c->scale == 1)
        return STATUS_OK;
    if (!isfinite(c->scale) || fabs(frexp(c->scale, &exponent)) != 0.5 || abs(exponent) > 64)
        return error_set(err, STATUS_UNSUPPORTED,
                         "scale_and_bias: the scale %g is not supported; call set_scale_and_bias(1, ...)", c->scale);
    for (uint32_t i = 0; i < f->entry_count; i++)
        f->leaf_values[i] *= c->scale;
    return STATUS_OK;
}

static enum status take_features(struct catboost *c, struct error *err)
{
    struct forest *f = c->builder.forest;
    struct imported *out = c->out;
    bool named = c->feature_count > 0;
    for (uint32_t i = 0; i < f->node_count; i++) {
        struct forest_node *node = &f->nodes[i];
        if (node->op == FOREST_LEAF)
            continue;
        if (node->feature >= c->feature_count)
            return error_set(err, STATUS_INVALID, "a split uses feature %u, features_info has %zu", node->feature,
                             c->feature_count);
        node->missing_yes = c->features[node->feature].nan_is_yes;
    }
    for (size_t i = 0; i < c->feature_count; i++)
        named &= c->features[i].name && c->features[i].name[0] != '\0';
    f->features = out->features = (uint32_t)c->feature_count;
    if (!named)
        return STATUS_OK;
    out->feature_names = calloc(c->feature_count, sizeof *out->feature_names);
    if (!out->feature_names)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < c->feature_count; i++) {
        out->feature_names[i] = c->features[i].name;
        c->features[i].name = NULL;
    }
    return STATUS_OK;
}

static enum status assemble(struct catboost *c, struct error *err)
{
    struct forest *f = c->builder.forest;
    if (f->tree_count == 0)
        return error_set(err, STATUS_INVALID, "the file has no oblivious_trees");
    if (c->bias.size != 0 && c->bias.size != c->outputs)
        return error_set(err, STATUS_INVALID, "scale_and_bias has %zu values, the trees have %u outputs", c->bias.size,
                         c->outputs);
    enum status status = find_link(c, err);
    if (status == STATUS_OK)
        status = apply_scale(c, err);
    if (status == STATUS_OK)
        status = take_features(c, err);
    if (status != STATUS_OK)
        return status;
    builder_finish(&c->builder);
    f->outputs = c->outputs;
    f->input_type = c->out->input_type = NUMBER_F32;
    f->sum_type = c->out->output_type = NUMBER_F64;
    f->link_parameter = f->link_divisor = 1;
    c->out->has_margin = true;
    c->out->best_iteration = -1;
    f->base = calloc(f->outputs, sizeof *f->base);
    if (!f->base)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < c->bias.size; i++)
        f->base[i] = c->bias.items[i];
    return STATUS_OK;
}

static enum status load(const struct import_file *file, const struct model_options *options, struct imported *out,
                        struct error *err)
{
    (void)options; /* the file holds the trees that training kept */
    struct catboost c = {.memory = import_memory_of(file->len), .out = out, .scale = 1};
    out->forest = calloc(1, sizeof *out->forest);
    if (!out->forest)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    c.builder = (struct forest_builder){.forest = out->forest, .memory = &c.memory};
    document_open(&c.d, &document_json, file->data, file->len, &c.memory, err);
    read_document(&c);
    enum status status = document_finish(&c.d);
    if (status == STATUS_OK)
        status = assemble(&c, err);
    for (size_t i = 0; i < c.feature_count; i++)
        free(c.features[i].name);
    free(c.features);
    free(c.leaf_values.items);
    free(c.bias.items);
    return status;
}

static bool recognises(const struct import_file *file)
{
    struct span key = json_first_key(file->data, file->len);
    return catboost_is(key, "features_info") || catboost_is(key, "model_info") || catboost_is(key, "oblivious_trees") ||
           catboost_is(key, "ctr_data") || catboost_is(key, "trees");
}

const struct importer importer_catboost = {.name = "CatBoost JSON", .recognises = recognises, .load = load};
