/*
 * XGBoost's own files, JSON and UBJ, as its versions 1.0 to 3.x write them. The two spell the same document:
 *
 *     learner.gradient_booster            name: gbtree, dart, gblinear
 *       .model                            (dart before 3.3: .gbtree.model, and .weight_drop beside it)
 *         .trees[]                        an object a tree, an array a field: see xgboost_tree.c
 *         .tree_info[]                    the output that each tree adds to
 *         .iteration_indptr[]             first tree of each round (3.x)
 *         .weights[]                      gblinear has these and no trees: see xgboost_linear.c
 *         .weight_drop[]                  dart's weights from 3.3 on, where its booster is called gbtree
 *     learner.learner_model_param         base_score, num_class, num_feature, num_target: texts
 *     learner.objective.name, learner.feature_names, learner.attributes.best_iteration
 *     version                             [3,2,0]
 *
 * Source: the layout is described in XGBoost's doc/tutorials/saving_model.rst; the arithmetic in docs/models.md.
 */
#include "model/import/xgboost.h"

#include <stdlib.h>
#include <string.h>

static bool is(struct span text, const char *word)
{
    return span_equal(text, word, strlen(word));
}

/* A text of the document, copied; replaces what *out held. */
static void take_text(struct xgboost *x, char **out)
{
    struct span text;
    if (!document_text(&x->d, &text))
        return;
    free(*out);
    *out = import_text(&x->memory, text);
    if (!*out)
        (void)document_out_of_memory(&x->d);
}

/* A whole number written as a text ("10"), as in all of XGBoost's *_param objects. */
static void take_count(struct xgboost *x, int64_t *out)
{
    struct span text;
    if (!document_text(&x->d, &text))
        return;
    char copy[24] = "", *end = copy;
    if (text.len > 0 && text.len < sizeof copy)
        memcpy(copy, text.data, text.len);
    long long value = strtoll(copy, &end, 10);
    if (end == copy || *end != '\0' || value < 0 || value > UINT32_MAX)
        (void)document_fail(&x->d, STATUS_INVALID, "a count in quotes is expected");
    *out = value;
}

static void read_model_param(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "base_score"))
            take_text(x, &x->base_score);
        else if (is(key, "num_feature"))
            take_count(x, &x->features);
        else if (is(key, "num_class"))
            take_count(x, &x->classes);
        else if (is(key, "num_target"))
            take_count(x, &x->targets);
        else
            (void)document_skip(&x->d);
    }
}

static void read_trees(struct xgboost *x)
{
    x->has_trees = true;
    for (document_array(&x->d); document_item(&x->d);)
        xgboost_read_tree(x);
}

static void read_gbtree_param(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "num_parallel_tree"))
            take_count(x, &x->parallel_trees);
        else if (is(key, "num_trees"))
            take_count(x, &x->declared_trees);
        else
            (void)document_skip(&x->d);
    }
}

static void read_model(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "trees"))
            read_trees(x);
        else if (is(key, "tree_info"))
            (void)document_i32s(&x->d, &x->tree_output);
        else if (is(key, "iteration_indptr"))
            (void)document_i32s(&x->d, &x->first_tree);
        else if (is(key, "weight_drop"))
            (void)document_f32s(&x->d, &x->weight_drop);
        else if (is(key, "weights"))
            (void)document_f32s(&x->d, &x->weights);
        else if (is(key, "gbtree_model_param"))
            read_gbtree_param(x);
        else
            (void)document_skip(&x->d);
    }
}

static void read_booster_name(struct xgboost *x)
{
    struct span text;
    if (!document_text(&x->d, &text))
        return;
    x->booster = is(text, "gbtree")     ? XGBOOST_GBTREE
                 : is(text, "dart")     ? XGBOOST_DART
                 : is(text, "gblinear") ? XGBOOST_GBLINEAR
                                        : XGBOOST_NO_BOOSTER;
    if (x->booster == XGBOOST_NO_BOOSTER)
        (void)document_fail(&x->d, STATUS_UNSUPPORTED, "the booster '%.*s' is not known; gbtree, dart and gblinear are",
                            text.len > 40 ? 40 : (int)text.len, text.data);
}

static void read_booster(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "name")) {
            read_booster_name(x);
        } else if (is(key, "model")) {
            read_model(x);
        } else if (is(key, "gbtree")) { /* dart keeps a whole gbtree inside */
            struct span inner;
            for (document_object(&x->d); document_key(&x->d, &inner);) {
                if (is(inner, "model"))
                    read_model(x);
                else
                    (void)document_skip(&x->d);
            }
        } else if (is(key, "weight_drop")) {
            (void)document_f32s(&x->d, &x->weight_drop);
        } else {
            (void)document_skip(&x->d);
        }
    }
}

static void read_attributes(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "best_iteration"))
            take_count(x, &x->out->best_iteration);
        else
            (void)document_skip(&x->d);
    }
}

static void read_feature_names(struct xgboost *x)
{
    for (document_array(&x->d); document_item(&x->d);) {
        char **grown = import_grow(&x->memory, x->names, &x->name_capacity, x->name_count + 1, sizeof *grown);
        if (!grown) {
            (void)document_out_of_memory(&x->d);
            return;
        }
        x->names = grown;
        char *name = NULL;
        take_text(x, &name);
        if (name)
            x->names[x->name_count++] = name;
    }
}

static void read_objective(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "name"))
            take_text(x, &x->out->objective);
        else
            (void)document_skip(&x->d);
    }
}

static void read_learner(struct xgboost *x)
{
    struct span key;
    x->has_learner = true;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "gradient_booster"))
            read_booster(x);
        else if (is(key, "learner_model_param"))
            read_model_param(x);
        else if (is(key, "objective"))
            read_objective(x);
        else if (is(key, "attributes"))
            read_attributes(x);
        else if (is(key, "feature_names") && !x->names)
            read_feature_names(x);
        else
            (void)document_skip(&x->d);
    }
}

static void read_version(struct xgboost *x)
{
    struct i32s version = {0};
    struct buf text = {0};
    if (document_i32s(&x->d, &version)) {
        buf_string(&text, "XGBoost ");
        for (size_t i = 0; i < version.size && i < 3; i++)
            buf_format(&text, "%s%d", i ? "." : "", version.items[i]);
        for (size_t i = 0; i < version.size && i < 2; i++)
            x->version[i] = version.items[i];
        free(x->out->writer);
        x->out->writer = strdup(buf_text(&text));
    }
    buf_free(&text);
    free(version.items);
}

static void read_document(struct xgboost *x)
{
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (is(key, "learner"))
            read_learner(x);
        else if (is(key, "version"))
            read_version(x);
        else
            (void)document_skip(&x->d);
    }
}

/* What a node takes in a UBJ file of XGBoost: 34 bytes of arrays. In JSON it is more. */
enum { NODE_BYTES = 34 };

static enum status load(const struct document_format *format, const struct import_file *file,
                        const struct model_options *options, struct imported *out, struct error *err)
{
    struct xgboost x = {.memory = import_memory_of(file->len), .out = out, .err = err, .features = -1, .version = {INT32_MAX}};
    x.forest = out->forest = calloc(1, sizeof *out->forest);
    if (!x.forest)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    x.builder = (struct forest_builder){.forest = x.forest, .memory = &x.memory};
    builder_reserve(&x.builder, file->len / NODE_BYTES, file->len / NODE_BYTES / 2);
    out->best_iteration = -1;
    document_open(&x.d, format, file->data, file->len, &x.memory, err);
    read_document(&x);
    enum status status = document_finish(&x.d);
    if (status == STATUS_OK)
        status = xgboost_assemble(&x, options);
    xgboost_tree_free(&x.tree);
    for (size_t i = 0; i < x.name_count; i++)
        free(x.names[i]);
    free(x.names);
    free(x.base_score);
    free(x.tree_output.items);
    free(x.first_tree.items);
    free(x.weight_drop.items);
    free(x.weights.items);
    return status;
}

static bool is_ours(struct span first_key)
{
    return is(first_key, "learner") || is(first_key, "version");
}

static bool json_recognises(const struct import_file *file)
{
    return is_ours(json_first_key(file->data, file->len));
}

static enum status json_load(const struct import_file *file, const struct model_options *options, struct imported *out,
                             struct error *err)
{
    return load(&document_json, file, options, out, err);
}

static bool ubj_recognises(const struct import_file *file)
{
    return is_ours(ubj_first_key(file->data, file->len));
}

static enum status ubj_load(const struct import_file *file, const struct model_options *options, struct imported *out,
                            struct error *err)
{
    return load(&document_ubj, file, options, out, err);
}

const struct importer importer_xgboost_json = {.name = "XGBoost JSON", .recognises = json_recognises, .load = json_load};
const struct importer importer_xgboost_ubj = {.name = "XGBoost UBJ", .recognises = ubj_recognises, .load = ubj_load};
