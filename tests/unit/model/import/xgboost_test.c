/*
 * The XGBoost importer on documents written here: what each key does, and what is refused with which words. Whole models
 * against the library's answers are in tests/e2e/golden_test.py and tests/unit/kernels/golden_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/buf.h"
#include "model/forest.h"
#include "tests/support/imported.h"

/* Pieces of a document; NULL takes the default. */
struct pieces {
    const char *version, *booster, *trees, *tree_info, *model_more, *base_score, *classes, *features, *objective, *learner_more;
};

#define LEAF_TREE(left, right) \
    "{\"tree_param\":{\"num_nodes\":\"3\",\"num_feature\":\"2\",\"size_leaf_vector\":\"1\"},\"left_children\":[1,-1,-1]," \
    "\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],\"split_conditions\":[1.5," left "," right "]," \
    "\"default_left\":[1,0,0],\"split_type\":[0,0,0]}"
#define TREE LEAF_TREE("-0.25", "0.5")

static const char *or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static const char *document(struct buf *b, struct pieces p)
{
    buf_clear(b);
    buf_format(b, "{\"learner\":{\"gradient_booster\":{%s,\"model\":{\"trees\":[%s],\"tree_info\":[%s]%s}},", or(p.booster, "\"name\":\"gbtree\""),
               or(p.trees, TREE), or(p.tree_info, "0"), or(p.model_more, ""));
    buf_format(b, "\"learner_model_param\":{\"base_score\":\"%s\",\"num_class\":\"%s\",\"num_feature\":\"%s\"},", or(p.base_score, "5E-1"),
               or(p.classes, "0"), or(p.features, "2"));
    buf_format(b, "\"objective\":{\"name\":\"%s\"}%s},\"version\":%s}", or(p.objective, "reg:squarederror"), or(p.learner_more, ""),
               or(p.version, "[3,2,0]"));
    return buf_text(b);
}

static enum status load(struct pieces p, struct imported *out, struct error *err)
{
    struct buf b = {0};
    const char *text = document(&b, p);
    enum status status = imported_load(&importer_xgboost_json, text, b.len, out, err);
    buf_free(&b);
    return status;
}

static void must_load(struct pieces p, struct imported *out)
{
    struct error err;
    if (load(p, out, &err) != STATUS_OK)
        fail_msg("%s", err.message);
}

static void must_refuse(struct pieces p, enum status status, const char *words)
{
    struct imported out;
    struct error err;
    enum status found = load(p, &out, &err);
    assert_int_equal(found, status);
    if (!strstr(err.message, words))
        fail_msg("'%s' is not in: %s", words, err.message);
}

static double margin(struct pieces p, double x0, double x1)
{
    struct imported in;
    double row[2] = {x0, x1}, margins[8], scores[8];
    must_load(p, &in);
    imported_score(&in, row, margins, scores);
    imported_free(&in);
    return margins[0];
}

static void walks_as_xgboost(void **state)
{
    (void)state;
    const struct pieces p = {.base_score = "1E0"};
    assert_true(margin(p, 1.0, 0) == 0.75);
    assert_true(margin(p, 1.5, 0) == 1.5); /* equal goes right */
    assert_true(margin(p, (double)NAN, 0) == 0.75);
}

static void reads_what_old_writers_wrote(void **state)
{
    (void)state;
    const char *tree = "{\"tree_param\":{\"num_nodes\":\"3\"},\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],"
                       "\"split_indices\":[0,0,0],\"split_conditions\":[1.5,-0.25,0.5],\"default_left\":[false,false,false]}";
    assert_true(margin((struct pieces){.trees = tree, .version = "[1,0,0]", .base_score = "1"}, (double)NAN, 0) == 1.5);
    /* Base added last until 1.2: 1 + (2^-24 + 2^-24) keeps what (1 + 2^-24) + 2^-24 loses. */
    const char *tiny = LEAF_TREE("5.9604645E-8", "0") "," LEAF_TREE("5.9604645E-8", "0");
    struct pieces p = {.trees = tiny, .tree_info = "0,0", .base_score = "1", .version = "[1,2,1]"};
    assert_true(margin(p, 0, 0) == 1.0 + 0x1p-23);
    p.version = "[1,3,0]";
    assert_true(margin(p, 0, 0) == 1.0);
}

static void base_score_is_in_the_space_of_the_prediction(void **state)
{
    (void)state;
    struct pieces p = {.trees = LEAF_TREE("0", "0"), .base_score = "[2E-1]", .objective = "binary:logistic"};
    assert_true(margin(p, 0, 0) == (double)-logf(1.0f / 0.2f - 1.0f));
    p.objective = "count:poisson";
    assert_true(margin(p, 0, 0) == (double)logf(0.2f));
    p.objective = "binary:logitraw";
    assert_true(margin(p, 0, 0) == (double)0.2f);
    p.version = "[1,2,0]";
    assert_true(margin(p, 0, 0) == (double)-logf(1.0f / 0.2f - 1.0f));
    p = (struct pieces){.trees = LEAF_TREE("0", "0"), .base_score = "0", .objective = "binary:logistic"};
    assert_true(margin(p, 0, 0) == (double)-logf(1.0f / 1e-6f - 1.0f)); /* clamped */
    p.objective = "count:poisson";
    must_refuse(p, STATUS_INVALID, "base_score 0 is not possible");
    p.base_score = "[1,2]";
    must_refuse(p, STATUS_INVALID, "should be 1 or 1 numbers");
    p.base_score = "half";
    must_refuse(p, STATUS_INVALID, "base_score: 'half'");
}

static void ignores_what_it_does_not_know(void **state)
{
    (void)state;
    const struct pieces p = {.learner_more = ",\"new\":{\"a\":[1,NaN,-Infinity,{\"b\":null}],\"c\":\"\\u00e9\\ud83d\\ude00\"}", .base_score = "1"};
    assert_true(margin(p, 0, 0) == 0.75);
}

static void weighs_trees_of_dart(void **state)
{
    (void)state;
    const char *trees = TREE "," TREE;
    /* Before 3.3 the booster is called dart, its weights stand beside a gbtree; from then on they stand in the gbtree. */
    struct pieces p = {.trees = trees, .tree_info = "0,0", .base_score = "0", .model_more = ",\"weight_drop\":[2,0.5]", .version = "[3,3,0]"};
    assert_true(margin(p, 9, 0) == 0.5 * 2 + 0.5 * 0.5);
    p.model_more = NULL;
    p.booster = "\"weight_drop\":[2,0.5],\"name\":\"dart\"";
    assert_true(margin(p, 9, 0) == 0.5 * 2 + 0.5 * 0.5);
    p.booster = "\"weight_drop\":[2],\"name\":\"dart\"";
    must_refuse(p, STATUS_INVALID, "weight_drop has 1 entries");
    p.booster = "\"weight_drop\":[2,Infinity],\"name\":\"dart\"";
    must_refuse(p, STATUS_INVALID, "weight_drop[1] is not a finite number");
    p.booster = "\"name\":\"dart\"";
    must_refuse(p, STATUS_INVALID, "weight_drop has 0 entries");
}

static void sorts_quantiles_since_3_4(void **state)
{
    (void)state;
    struct pieces p = {.trees = LEAF_TREE("3", "0") "," LEAF_TREE("1", "0"), .tree_info = "0,1", .base_score = "0", .classes = "2",
                       .objective = "reg:quantileerror", .version = "[3,4,0]"};
    for (int sorted = 0; sorted < 2; sorted++) {
        struct imported in;
        double row[2] = {0, 0}, margins[2], scores[2];
        p.version = sorted ? "[3,4,0]" : "[3,3,0]";
        must_load(p, &in);
        imported_score(&in, row, margins, scores);
        assert_true(margins[0] == 3 && margins[1] == 1);
        assert_true(scores[0] == (sorted ? 1 : 3) && scores[1] == (sorted ? 3 : 1));
        imported_free(&in);
    }
    p.objective = "reg:expectileerror";
    must_refuse(p, STATUS_UNSUPPORTED, "several expectiles");
}

static void keeps_only_what_the_root_reaches(void **state)
{
    (void)state;
    /* Node 1 was pruned; its children and feature are rubbish. */
    const char *tree = "{\"tree_param\":{\"num_nodes\":\"4\"},\"left_children\":[2,900,-1,-1],\"right_children\":[3,900,-1,-1],"
                       "\"split_indices\":[0,77,0,0],\"split_conditions\":[1.5,NaN,-0.25,0.5],\"default_left\":[1,0,0,0]}";
    struct imported in;
    must_load((struct pieces){.trees = tree}, &in);
    assert_int_equal(in.forest->node_count, 3);
    assert_int_equal(in.forest->trees[0].depth, 1);
    assert_int_equal(in.forest->trees[0].leaves, 2);
    imported_free(&in);
}

static void takes_the_best_rounds_where_asked(void **state)
{
    (void)state;
    struct buf b = {0};
    const char *text = document(&b, (struct pieces){.trees = TREE "," TREE "," TREE, .tree_info = "0,0,0", .base_score = "0",
                                                    .learner_more = ",\"attributes\":{\"best_iteration\":\"1\"}"});
    const struct import_file file = {.path = "m", .data = text, .len = b.len};
    for (int best = 0; best < 2; best++) {
        const struct model_options options = {.trees = best ? MODEL_TREES_BEST : MODEL_TREES_ALL};
        struct imported in = {0};
        struct error err;
        assert_int_equal(importer_xgboost_json.load(&file, &options, &in, &err), STATUS_OK);
        assert_int_equal(in.best_iteration, 1);
        assert_int_equal(in.forest->tree_count, best ? 2 : 3);
        assert_int_equal(in.forest->node_count, best ? 6 : 9);
        assert_int_equal(forest_check(in.forest, &err), STATUS_OK);
        imported_free(&in);
    }
    buf_free(&b);
}

/* Multiply, round, add, round; missing features are skipped; the base value is added to the bias first. */
static void gblinear_is_a_network(void **state)
{
    (void)state;
    struct imported in;
    const float weights[] = {0.1f, 0.3f, -0.7f};
    const double rows[][2] = {{3.3, -1.7}, {(double)NAN, -1.7}, {(double)NAN, (double)NAN}};
    must_load((struct pieces){.booster = "\"name\":\"gblinear\"", .trees = "", .tree_info = "", .base_score = "2.5E-1",
                              .model_more = ",\"weights\":[1E-1,3E-1,-7E-1]"}, &in);
    assert_null(in.forest);
    for (size_t r = 0; r < 3; r++) {
        float want = weights[2] + 0.25f;
        for (size_t i = 0; i < 2; i++) {
            float product = (float)rows[r][i] * weights[i];
            if (rows[r][i] == rows[r][i])
                want += product;
        }
        double margin, score;
        imported_score(&in, rows[r], &margin, &score);
        assert_true(margin == (double)want && score == margin);
    }
    imported_free(&in);
}

static void refuses_with_words_that_help(void **state)
{
    (void)state;
    must_refuse((struct pieces){.booster = "\"name\":\"gblinear\""}, STATUS_INVALID, "0 weights for 2 features and 1 outputs");
    must_refuse((struct pieces){.booster = "\"name\":\"gbforest\""}, STATUS_UNSUPPORTED, "gbforest");
    must_refuse((struct pieces){.objective = "binary:logistik"}, STATUS_UNSUPPORTED, "did you mean binary:logistic?");
    must_refuse((struct pieces){.trees = ""}, STATUS_INVALID, "before it was trained");
    must_refuse((struct pieces){.tree_info = "0,0"}, STATUS_INVALID, "tree_info has 2 entries, but there are 1 trees");
    must_refuse((struct pieces){.tree_info = "1"}, STATUS_INVALID, "tree_info[0] is 1");
    must_refuse((struct pieces){.classes = "100000"}, STATUS_LIMIT, "100000 classes");
    must_refuse((struct pieces){.features = "99999999"}, STATUS_LIMIT, "99999999 features");
    must_refuse((struct pieces){.features = "0"}, STATUS_INVALID, "feature 0 does not exist");
    must_refuse((struct pieces){.trees = LEAF_TREE("NaN", "0")}, STATUS_INVALID, "node 1: the leaf's value");
    must_refuse((struct pieces){.trees = LEAF_TREE("1e39", "0")}, STATUS_INVALID, "trees[0].split_conditions[1]");
    must_refuse((struct pieces){.trees = LEAF_TREE("12x", "0")}, STATUS_INVALID, "a number is expected");
    must_refuse((struct pieces){.learner_more = ",\"feature_names\":[\"a\"]"}, STATUS_INVALID, "feature_names has 1 entries");
    must_refuse((struct pieces){.learner_more = ",\"feature_names\":[\"a\",\"\xff\"]"}, STATUS_INVALID, "not UTF-8");
    must_refuse((struct pieces){.version = "[3,2,0]]"}, STATUS_INVALID, "byte");
    must_refuse((struct pieces){.version = "[3,2,0]}x"}, STATUS_INVALID, "byte");
}

static void refuses_bottomless_documents(void **state)
{
    (void)state;
    struct buf b = {0};
    struct imported out;
    struct error err;
    buf_string(&b, "{\"learner\":{\"x\":");
    for (int i = 0; i < 100000; i++)
        buf_char(&b, '[');
    assert_int_equal(imported_load(&importer_xgboost_json, b.data, b.len, &out, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "nested more than 64 deep"));
    buf_free(&b);
}

/* A tree that is one long chain: as deep as is allowed, and one deeper. */
static void limits_depth(void **state)
{
    (void)state;
    for (int deep = FOREST_DEPTH_MAX; deep <= FOREST_DEPTH_MAX + 1; deep++) {
        struct buf b = {0}, left = {0}, right = {0}, zeros = {0};
        for (int i = 0; i <= 2 * deep; i++) {
            bool inner = i % 2 == 0 && i < 2 * deep;
            buf_format(&left, "%s%d", i ? "," : "", inner ? i + 1 : -1);
            buf_format(&right, "%s%d", i ? "," : "", inner ? i + 2 : -1);
            buf_format(&zeros, "%s0", i ? "," : "");
        }
        buf_format(&b, "{\"tree_param\":{\"num_nodes\":\"%d\"},\"left_children\":[%s],\"right_children\":[%s],", 2 * deep + 1, buf_text(&left),
                   buf_text(&right));
        buf_format(&b, "\"split_indices\":[%s],\"split_conditions\":[%s],\"default_left\":[%s]}", buf_text(&zeros), buf_text(&zeros), buf_text(&zeros));
        if (deep == FOREST_DEPTH_MAX) {
            struct imported in;
            must_load((struct pieces){.trees = buf_text(&b)}, &in);
            assert_int_equal(in.forest->trees[0].depth, FOREST_DEPTH_MAX);
            imported_free(&in);
        } else {
            must_refuse((struct pieces){.trees = buf_text(&b)}, STATUS_UNSUPPORTED, "deeper than 512");
        }
        buf_free(&b);
        buf_free(&left);
        buf_free(&right);
        buf_free(&zeros);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_as_xgboost),
        cmocka_unit_test(reads_what_old_writers_wrote),
        cmocka_unit_test(base_score_is_in_the_space_of_the_prediction),
        cmocka_unit_test(ignores_what_it_does_not_know),
        cmocka_unit_test(weighs_trees_of_dart),
        cmocka_unit_test(sorts_quantiles_since_3_4),
        cmocka_unit_test(keeps_only_what_the_root_reaches),
        cmocka_unit_test(takes_the_best_rounds_where_asked),
        cmocka_unit_test(gblinear_is_a_network), cmocka_unit_test(refuses_with_words_that_help),
        cmocka_unit_test(refuses_bottomless_documents),
        cmocka_unit_test(limits_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
