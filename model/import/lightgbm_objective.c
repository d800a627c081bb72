/*
 * LightGBM's objective line: a name, then words like "sigmoid:1" or "num_class:4". It says how a margin becomes a
 * score. Models trained with an objective of one's own have no such line: there the score is the margin.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/lightgbm.h"

struct objective {
    const char *name;
    enum link link;
    bool one_per_class; /* wants num_class outputs; all others want one */
};

static const struct objective objectives[] = {
    {"binary", LINK_SIGMOID_F64, false},
    {"multiclass", LINK_SOFTMAX_F64, true},
    {"multiclassova", LINK_SIGMOID_F64, true},
    {"cross_entropy", LINK_SIGMOID_F64, false},
    {"cross_entropy_lambda", LINK_LOG1P_EXP, false},
    {"poisson", LINK_EXP_F64, false},
    {"gamma", LINK_EXP_F64, false},
    {"tweedie", LINK_EXP_F64, false},
    {"regression", LINK_IDENTITY, false},
    {"regression_l1", LINK_IDENTITY, false},
    {"huber", LINK_IDENTITY, false},
    {"fair", LINK_IDENTITY, false},
    {"quantile", LINK_IDENTITY, false},
    {"mape", LINK_IDENTITY, false},
    {"lambdarank", LINK_IDENTITY, false},
    {"rank_xendcg", LINK_IDENTITY, false},
};

/* The value of "key:value", or absent. */
static struct span option(struct span word, const char *key)
{
    size_t len = strlen(key);
    if (word.len > len && memcmp(word.data, key, len) == 0 && word.data[len] == ':')
        return (struct span){.data = word.data + len + 1, .len = word.len - (uint32_t)len - 1};
    return (struct span){0};
}

static bool read_options(struct lightgbm *l, struct span words)
{
    struct forest *f = l->builder.forest;
    struct span word;
    while (lightgbm_word(&words, &word)) {
        struct span sigmoid = option(word, "sigmoid"), classes = option(word, "num_class");
        int64_t count = 0;
        if (sigmoid.data && !lightgbm_real(l, "sigmoid", sigmoid, &f->link_parameter))
            return false;
        if (classes.data && !lightgbm_whole(l, "num_class", classes, l->classes, l->classes, &count))
            return false;
        if (span_equal(word, "sqrt", 4) && f->link == LINK_IDENTITY)
            f->link = LINK_SIGNED_SQUARE;
    }
    if (!(f->link_parameter > 0 && isfinite(f->link_parameter)))
        return lightgbm_fail(l, STATUS_INVALID, "objective: sigmoid %g is not positive", f->link_parameter);
    return true;
}

bool lightgbm_read_objective(struct lightgbm *l)
{
    struct forest *f = l->builder.forest;
    struct span words = l->objective, name = {0};
    f->link = LINK_IDENTITY;
    f->link_parameter = 1;
    l->out->objective = words.data ? import_text(&l->memory, words) : strdup("custom");
    if (!l->out->objective)
        return lightgbm_out_of_memory(l);
    if (!words.data)
        return true;
    (void)lightgbm_word(&words, &name);
    const struct objective *found = NULL;
    for (size_t i = 0; i < sizeof objectives / sizeof objectives[0]; i++) {
        if (span_equal(name, objectives[i].name, strlen(objectives[i].name)))
            found = &objectives[i];
    }
    if (!found)
        return lightgbm_fail(l, STATUS_UNSUPPORTED, "the objective '%.*s' is not known",
                             name.len > 40 ? 40 : (int)name.len, name.data);
    f->link = found->link;
    int64_t wanted = found->one_per_class ? l->classes : 1;
    if (l->outputs != wanted)
        return lightgbm_fail(l, STATUS_INVALID, "objective %s: num_tree_per_iteration is %lld where %lld is expected",
                             found->name, (long long)l->outputs, (long long)wanted);
    return read_options(l, words);
}
