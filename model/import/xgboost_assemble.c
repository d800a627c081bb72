/*
 * The last step of reading an XGBoost model: what the trees mean together. Everything here is float32 in the library's own
 * order, since a margin must come out to the bit.
 *
 *     base_score     is in the space of the prediction; the objective says what margin it stands for; added first, but last
 *                    by XGBoost before 1.3, and by its dart before 1.4
 *     tree_info      the output of each tree
 *     weight_drop    dart's weight of each tree: leaf = leaf * weight, rounded
 *     best_iteration rounds 0 .. best_iteration are kept, where the caller asks for the best trees
 */
#include "model/import/xgboost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/input/number.h"

enum base_space { BASE_MARGIN, BASE_LOGIT, BASE_LOG };

/* The objectives of XGBoost: what its base_score stands for, and what makes a score of a margin. */
static const struct objective {
    const char *name;
    enum base_space base;
    enum link link;
} objectives[] = {
    {"binary:logistic", BASE_LOGIT, LINK_SIGMOID_F32},
    {"reg:logistic", BASE_LOGIT, LINK_SIGMOID_F32},
    {"binary:logitraw", BASE_MARGIN, LINK_IDENTITY},
    {"binary:hinge", BASE_MARGIN, LINK_STEP},
    {"multi:softprob", BASE_MARGIN, LINK_SOFTMAX_XGBOOST},
    {"multi:softmax", BASE_MARGIN, LINK_ARGMAX},
    {"reg:squarederror", BASE_MARGIN, LINK_IDENTITY},
    {"reg:linear", BASE_MARGIN, LINK_IDENTITY}, /* its name before 0.90 */
    {"reg:squaredlogerror", BASE_MARGIN, LINK_IDENTITY},
    {"reg:pseudohubererror", BASE_MARGIN, LINK_IDENTITY},
    {"reg:absoluteerror", BASE_MARGIN, LINK_IDENTITY},
    {"reg:quantileerror", BASE_MARGIN, LINK_SORT},
    {"reg:expectileerror", BASE_MARGIN, LINK_IDENTITY}, /* of one expectile */
    {"rank:pairwise", BASE_MARGIN, LINK_IDENTITY},
    {"rank:ndcg", BASE_MARGIN, LINK_IDENTITY},
    {"rank:map", BASE_MARGIN, LINK_IDENTITY},
    {"count:poisson", BASE_LOG, LINK_EXP_F32},
    {"reg:gamma", BASE_LOG, LINK_EXP_F32},
    {"reg:tweedie", BASE_LOG, LINK_EXP_F32},
    {"survival:cox", BASE_LOG, LINK_EXP_F32},
    {"survival:aft", BASE_LOG, LINK_EXP_F32},
};

static enum status find_objective(const struct xgboost *x, const struct objective **out)
{
    enum { COUNT = sizeof objectives / sizeof objectives[0] };
    const char *names[COUNT];
    const char *name = x->out->objective;
    if (!name)
        return error_set(x->err, STATUS_INVALID, "learner.objective.name is missing");
    for (size_t i = 0; i < COUNT; i++) {
        names[i] = objectives[i].name;
        *out = &objectives[i];
        if (strcmp(name, names[i]) == 0)
            return STATUS_OK;
    }
    const char *near = nearest_word(name, names, COUNT);
    return error_set(x->err, STATUS_UNSUPPORTED,
                     "the objective '%.64s' is not known%s%s%s; for one of your own, save the model with the objective whose "
                     "score is meant (binary:logitraw gives the margin)",
                     name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* "5E-1", "[5E-1]" or "[1E0,2E0]" into values[outputs]; one number counts for all outputs. */
static enum status read_base_score(const struct xgboost *x, float *values, uint32_t outputs)
{
    const char *text = x->base_score ? x->base_score : "5E-1";
    const char *p = text, *end = text + strlen(text);
    bool list = *p == '[';
    p += list;
    uint32_t n = 0;
    for (; n < outputs; n++) {
        size_t used = number_read_float(p, (size_t)(end - p), &values[n]);
        p += used;
        if (used == 0 || (*p != ',' && *p != (list ? ']' : '\0')))
            break;
        if (*p++ != ',') {
            n++;
            break;
        }
    }
    bool ended = p == end || (!list && p == end + 1);
    if (!ended || (n != 1 && n != outputs))
        return error_set(x->err, STATUS_INVALID, "learner_model_param.base_score: '%.60s' should be 1 or %u numbers", text, outputs);
    for (uint32_t i = 1; n == 1 && i < outputs; i++)
        values[i] = values[0];
    return STATUS_OK;
}

static bool before(const struct xgboost *x, int32_t major, int32_t minor)
{
    return x->version[0] < major || (x->version[0] == major && x->version[1] < minor);
}

static float margin_of_base(enum base_space space, float base)
{
    const float least = 1e-6f;
    switch (space) {
    case BASE_LOGIT: {
        /* XGBoost 3 takes 0 and 1 and clamps them; older versions refuse them at training, so that it changes nothing. */
        float p = fminf(fmaxf(base, least), 1.0f - least);
        float odds = 1.0f / p - 1.0f;
        return -logf(odds);
    }
    case BASE_LOG:
        return logf(base);
    case BASE_MARGIN:
        break;
    }
    return base;
}

/* Several expectiles become scores by sums of softplus, which we do not know to the bit. */
static enum status refuse_expectiles(const struct xgboost *x, const struct objective *objective)
{
    if (x->forest->outputs > 1 && strcmp(objective->name, "reg:expectileerror") == 0)
        return error_set(x->err, STATUS_UNSUPPORTED, "reg:expectileerror with several expectiles is not supported; train a model for each");
    return STATUS_OK;
}

static enum status set_base(struct xgboost *x, const struct objective *objective)
{
    struct forest *f = x->forest;
    f->base = calloc(f->outputs, sizeof *f->base);
    float *values = calloc(f->outputs, sizeof *values);
    /* Until 1.2 binary:logitraw took its base score for a probability too. */
    bool old_raw = before(x, 1, 3) && strcmp(objective->name, "binary:logitraw") == 0;
    enum base_space space = old_raw ? BASE_LOGIT : objective->base;
    enum status status = f->base && values ? read_base_score(x, values, f->outputs)
                                           : error_set(x->err, STATUS_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; status == STATUS_OK && i < f->outputs; i++) {
        float margin = margin_of_base(space, values[i]);
        if (!isfinite(margin))
            status = error_set(x->err, STATUS_INVALID, "base_score %g is not possible with %s", (double)values[i], objective->name);
        else
            f->base[i] = (double)margin;
    }
    free(values);
    return status;
}

static enum status set_outputs(struct xgboost *x)
{
    struct forest *f = x->forest;
    int64_t outputs = x->classes > x->targets ? x->classes : x->targets;
    outputs = outputs < 1 ? 1 : outputs;
    if (outputs > FOREST_OUTPUTS_MAX)
        return error_set(x->err, STATUS_LIMIT, "%lld classes or targets; at most %d are supported", (long long)outputs, FOREST_OUTPUTS_MAX);
    f->outputs = (uint32_t)outputs;
    if (x->booster == XGBOOST_GBLINEAR)
        return STATUS_OK;
    if (x->tree_output.size != f->tree_count)
        return error_set(x->err, STATUS_INVALID, "tree_info has %zu entries, but there are %u trees", x->tree_output.size, f->tree_count);
    for (uint32_t t = 0; t < f->tree_count; t++) {
        int32_t output = x->tree_output.items[t];
        if (output < 0 || output >= outputs)
            return error_set(x->err, STATUS_INVALID, "tree_info[%u] is %d, but there are %u outputs", t, output, f->outputs);
        f->trees[t].output = (uint32_t)output;
    }
    return STATUS_OK;
}

/* First and number of leaf entries of tree t: importing appends them tree after tree. */
static uint32_t first_entry(const struct forest *f, uint32_t t)
{
    if (t == f->tree_count)
        return f->entry_count;
    uint32_t node = f->trees[t].root;
    while (f->nodes[node].op != FOREST_LEAF)
        node++;
    return f->nodes[node].yes;
}

static enum status weigh_trees(struct xgboost *x)
{
    struct forest *f = x->forest;
    if (x->weight_drop.size != f->tree_count)
        return error_set(x->err, STATUS_INVALID, "weight_drop has %zu entries, but there are %u trees", x->weight_drop.size, f->tree_count);
    for (uint32_t t = 0; t < f->tree_count; t++) {
        float weight = x->weight_drop.items[t];
        if (!isfinite(weight))
            return error_set(x->err, STATUS_INVALID, "weight_drop[%u] is not a finite number", t);
        for (uint32_t e = first_entry(f, t), end = first_entry(f, t + 1); e < end; e++)
            f->leaf_values[e] = (double)((float)f->leaf_values[e] * weight);
    }
    return STATUS_OK;
}

/* Leaves with a value for each output: every entry gets its output's number. Trees of the other kind may stand between. */
static enum status spread_leaves(struct xgboost *x)
{
    struct forest *f = x->forest;
    f->leaf_outputs = import_grow(&x->memory, NULL, &x->builder.outputs, f->entry_count, sizeof *f->leaf_outputs);
    if (!f->leaf_outputs)
        return error_set(x->err, STATUS_LIMIT, "the leaves need more memory than 4 x the file + 64 MB");
    for (uint32_t t = 0, n = 0; t < f->tree_count; t++) {
        for (uint32_t left = f->trees[t].leaves; left > 0; n++) {
            const struct forest_node *node = &f->nodes[n];
            if (node->op != FOREST_LEAF)
                continue;
            left--;
            if (node->no != 1 && node->no != f->outputs)
                return error_set(x->err, STATUS_INVALID, "tree %u: leaves of %u values, but there are %u outputs", t, node->no, f->outputs);
            for (uint32_t e = 0; e < node->no; e++)
                f->leaf_outputs[node->yes + e] = node->no == 1 ? f->trees[t].output : e;
        }
    }
    return STATUS_OK;
}

/* Keeps rounds 0 .. best_iteration. */
static enum status keep_best(struct xgboost *x)
{
    struct forest *f = x->forest;
    int64_t best = x->out->best_iteration, trees = 0;
    if (best < 0)
        return STATUS_OK;
    if (x->first_tree.size > 0) {
        if ((uint64_t)best + 1 < x->first_tree.size)
            trees = x->first_tree.items[best + 1];
    } else { /* before 3.0: every round has as many trees */
        trees = (best + 1) * (x->parallel_trees > 1 ? x->parallel_trees : 1) * (x->any_vector_leaf ? 1 : f->outputs);
    }
    if (trees < 1 || trees > f->tree_count)
        return error_set(x->err, STATUS_INVALID, "best_iteration is %lld, but the file has no such round", (long long)best);
    f->entry_count = first_entry(f, (uint32_t)trees);
    f->node_count = trees < f->tree_count ? f->trees[trees].root : f->node_count;
    f->tree_count = (uint32_t)trees;
    return STATUS_OK;
}

static enum status check_whole(const struct xgboost *x)
{
    const struct forest *f = x->forest;
    if (!x->has_learner)
        return error_set(x->err, STATUS_INVALID, "'learner' is missing: this is no model of XGBoost");
    bool linear = x->booster == XGBOOST_GBLINEAR;
    if (!x->has_trees && !linear)
        return error_set(x->err, STATUS_INVALID, "there are no trees: this is a configuration (save_config), not a model; use save_model");
    if (x->booster == XGBOOST_NO_BOOSTER)
        return error_set(x->err, STATUS_INVALID, "learner.gradient_booster.name is missing");
    if (f->tree_count == 0 && !linear)
        return error_set(x->err, STATUS_INVALID, "the model has no trees: it was saved before it was trained");
    if (x->declared_trees > 0 && x->declared_trees != f->tree_count)
        return error_set(x->err, STATUS_INVALID, "gbtree_model_param.num_trees is %lld, but there are %u trees", (long long)x->declared_trees, f->tree_count);
    if (x->features < 0)
        return error_set(x->err, STATUS_INVALID, "learner.learner_model_param.num_feature is missing");
    if (x->name_count > 0 && x->name_count != (size_t)x->features)
        return error_set(x->err, STATUS_INVALID, "feature_names has %zu entries, num_feature is %lld", x->name_count, (long long)x->features);
    return STATUS_OK;
}

static void describe(struct xgboost *x, const struct objective *objective)
{
    struct forest *f = x->forest;
    struct imported *out = x->out;
    f->input_type = f->sum_type = out->input_type = out->output_type = NUMBER_F32;
    f->features = out->features = (uint32_t)x->features;
    f->base_first = !before(x, 1, 3) && !(x->booster == XGBOOST_DART && before(x, 1, 4));
    f->category_rule = FOREST_CATEGORY_XGBOOST;
    f->link = objective->link == LINK_SORT && (f->outputs == 1 || before(x, 3, 4)) ? LINK_IDENTITY : objective->link;
    f->link_parameter = f->link_divisor = 1;
    out->has_margin = true;
    if (x->name_count > 0) {
        out->feature_names = x->names;
        x->names = NULL;
        x->name_count = 0;
    }
}

enum status xgboost_assemble(struct xgboost *x, const struct model_options *options)
{
    const struct objective *objective = NULL;
    enum status status = check_whole(x);
    if (status == STATUS_OK)
        status = find_objective(x, &objective);
    if (status == STATUS_OK)
        status = set_outputs(x);
    if (status == STATUS_OK)
        status = refuse_expectiles(x, objective);
    if (status == STATUS_OK)
        status = set_base(x, objective);
    if (status == STATUS_OK && (x->booster == XGBOOST_DART || x->weight_drop.size > 0))
        status = weigh_trees(x);
    if (status == STATUS_OK && x->any_vector_leaf)
        status = spread_leaves(x);
    if (status == STATUS_OK && options && options->trees == MODEL_TREES_BEST)
        status = keep_best(x);
    if (status != STATUS_OK)
        return status;
    describe(x, objective);
    builder_finish(&x->builder);
    return x->booster == XGBOOST_GBLINEAR ? xgboost_linear(x) : STATUS_OK;
}
