#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/forest.h"
#include "model/import/import.h"
#include "tests/support/imported.h"

#define HEADER(objective, per_round)                                                                                   \
    "tree\nversion=v4\nnum_class=" per_round "\nnum_tree_per_iteration=" per_round "\nmax_feature_idx=1\n" objective   \
    "feature_names=amount x=1\n\n"
#define END "end of trees\n"

/* x0 <= 0.5 ? -1 : 2, with the decision type given. */
#define STUMP(number, decision)                                                                                        \
    "Tree=" number "\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0.5\ndecision_type=" decision                \
    "\nleft_child=-1\nright_child=-2\nleaf_value=-1 2\nis_linear=0\nshrinkage=0.1\n\n"
#define CONSTANT(number, value)                                                                                        \
    "Tree=" number                                                                                                     \
    "\nnum_leaves=1\nnum_cat=0\nsplit_feature=\nthreshold=\ndecision_type=\nleft_child=\nright_child=\n"               \
    "leaf_value=" value "\n\n"

static struct imported load(const char *text)
{
    struct imported imported;
    struct error err = {""};
    enum status status = imported_load(&importer_lightgbm, text, strlen(text), &imported, &err);
    if (status != STATUS_OK)
        fail_msg("%s", err.message);
    return imported;
}

static double score(const struct imported *imported, double x0, double x1)
{
    const double row[] = {x0, x1};
    double scores[8];
    imported_score(imported, row, NULL, scores);
    return scores[0];
}

static void names_and_kind(void **state)
{
    (void)state;
    struct imported m = load(HEADER("objective=binary sigmoid:2\n", "1") STUMP("0", "2") END);
    assert_int_equal(m.features, 2);
    assert_string_equal(m.feature_names[0], "amount");
    assert_string_equal(m.feature_names[1], "x=1");
    assert_string_equal(m.objective, "binary sigmoid:2");
    assert_string_equal(m.writer, "LightGBM 4");
    assert_int_equal(m.input_type, NUMBER_F64);
    assert_true(m.has_margin);
    assert_true(score(&m, 1, 0) == 1.0 / (1.0 + exp(-4.0)));
    imported_free(&m);
}

static void equal_goes_left_and_doubles_count(void **state)
{
    (void)state;
    struct imported m = load(HEADER("", "1") STUMP("0", "0") END);
    assert_string_equal(m.objective, "custom");
    assert_true(score(&m, 0.5, 0) == -1);
    assert_true(score(&m, nextafter(0.5, 1), 0) == 2);
    imported_free(&m);
}

static void missing_none_reads_nan_as_zero(void **state)
{
    (void)state;
    struct imported m = load(HEADER("", "1") STUMP("0", "0") END);
    assert_true(score(&m, (double)NAN, 0) == -1);
    imported_free(&m);
}

static void missing_zero_takes_the_default_side(void **state)
{
    (void)state;
    struct imported m = load(HEADER("", "1") STUMP("0", "4") END); /* default right */
    assert_true(score(&m, 0, 0) == 2);
    assert_true(score(&m, -1e-36, 0) == 2);
    assert_true(score(&m, (double)NAN, 0) == 2);
    assert_true(score(&m, 0.25, 0) == -1);
    imported_free(&m);
}

static void missing_nan_takes_the_default_side(void **state)
{
    (void)state;
    struct imported right = load(HEADER("", "1") STUMP("0", "8") END);
    struct imported left = load(HEADER("", "1") STUMP("0", "10") END);
    assert_true(score(&right, (double)NAN, 0) == 2);
    assert_true(score(&left, (double)NAN, 0) == -1);
    assert_true(score(&right, 0, 0) == -1);
    imported_free(&right);
    imported_free(&left);
}

static void members_of_a_category_go_left(void **state)
{
    (void)state;
    /* {0, 33}, from the second set */
    struct imported m =
        load(HEADER("", "1") "Tree=0\nnum_leaves=2\nnum_cat=2\nsplit_feature=1\nthreshold=1\ndecision_type=11\n"
                             "left_child=-1\nright_child=-2\nleaf_value=5 7\ncat_boundaries=0 1 3\n"
                             "cat_threshold=4294967295 1 2\n\n" END);
    assert_true(score(&m, 0, 0) == 5);
    assert_true(score(&m, 0, 33.9) == 5);
    assert_true(score(&m, 0, -0.5) == 5); /* truncated first */
    assert_true(score(&m, 0, 32) == 7);
    assert_true(score(&m, 0, 64) == 7);
    assert_true(score(&m, 0, -1) == 7);
    assert_true(score(&m, 0, (double)NAN) == 7); /* whatever the default side says */
    assert_true(score(&m, 0, (double)INFINITY) == 7);
    imported_free(&m);
}

static void linear_leaves(void **state)
{
    (void)state;
    struct imported m = load(
        HEADER("objective=regression\n",
               "1") "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0\ndecision_type=0\nleft_child=-1\n"
                    "right_child=-2\nleaf_value=8 9\nis_linear=1\nleaf_const=1 2\nnum_features=2 0\n"
                    "leaf_features=0 1   \nleaf_coeff=10 100  \n\n" END);
    assert_true(score(&m, -1, 2) == 191);
    assert_true(score(&m, -1, (double)NAN) == 8);
    assert_true(score(&m, 1, (double)NAN) == 2); /* no terms: the constant */
    imported_free(&m);
}

static void random_forests_average(void **state)
{
    (void)state;
    struct imported m =
        load(HEADER("objective=binary sigmoid:1\naverage_output\n", "1") STUMP("0", "0") CONSTANT("1", "4") END);
    const double row[] = {1, 0};
    double margin, probability;
    imported_score(&m, row, &margin, &probability);
    assert_true(margin == 6);
    assert_true(probability == 1.0 / (1.0 + exp(-3.0)));
    imported_free(&m);
}

static void classes_take_turns(void **state)
{
    (void)state;
    struct imported m = load(HEADER("objective=multiclassova num_class:2 sigmoid:1\n", "2") CONSTANT("0", "1")
                                 STUMP("1", "0") CONSTANT("2", "0.5") CONSTANT("3", "-0.25") END);
    const double row[] = {1, 0};
    double margins[2], scores[2];
    imported_score(&m, row, margins, scores);
    assert_true(margins[0] == 1.5 && margins[1] == 1.75);
    assert_true(scores[1] == 1.0 / (1.0 + exp(-1.75))); /* not normalised */
    imported_free(&m);
}

static void objectives_have_their_links(void **state)
{
    (void)state;
    static const struct {
        const char *objective;
        enum link link;
    } cases[] = {
        {"poisson", LINK_EXP_F64},
        {"tweedie", LINK_EXP_F64},
        {"gamma", LINK_EXP_F64},
        {"cross_entropy", LINK_SIGMOID_F64},
        {"cross_entropy_lambda", LINK_LOG1P_EXP},
        {"regression sqrt", LINK_SIGNED_SQUARE},
        {"quantile alpha:0.9", LINK_IDENTITY},
        {"lambdarank", LINK_IDENTITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024] =
            "tree\r\nversion=v3\r\nnum_class=1\r\nnum_tree_per_iteration=1\r\nmax_feature_idx=0\r\nobjective=";
        strncat(text, cases[i].objective, 100);
        strncat(text, "\r\nfeature_names=a\r\n\r\n" CONSTANT("0", "1") END, 500);
        struct imported m = load(text);
        assert_int_equal(m.forest->link, cases[i].link);
        imported_free(&m);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *names;
    } cases[] = {
        {"tree\nversion=v2\n\n", "version=v2"},
        {"tree\nnum_class=1\n\n", "no version"},
        {HEADER("objective=mystery\n", "1") CONSTANT("0", "1") END, "'mystery'"},
        {HEADER("objective=binary sigmoid:-1\n", "1") CONSTANT("0", "1") END, "sigmoid"},
        {HEADER("objective=binary sigmoid:1\n", "2") CONSTANT("0", "1") END, "num_tree_per_iteration"},
        {HEADER("", "2") CONSTANT("0", "1") END, "rounds"},
        {HEADER("", "1") END, "rounds"},
        {HEADER("tree_sizes=10 20\n", "1") CONSTANT("0", "1") END, "tree_sizes"},
        {HEADER("", "1") CONSTANT("0", "1"), "end of trees"},
        {HEADER("", "1") CONSTANT("1", "1") END, "Tree=1"},
        {HEADER("", "1") CONSTANT("0", "nan") END, "leaf_value[0]"},
        {HEADER("", "1") CONSTANT("0", "1e999") END, "leaf_value"},
        {HEADER("", "1") STUMP("0", "12") END, "decision_type"},
        {HEADER("", "1") STUMP("0", "1") END, "threshold[0]"},
        {HEADER("", "1") STUMP("0", "0 0") END, "decision_type has 2 entries"},
        {HEADER("max_feature_idx=0\n", "1") STUMP("0", "0") END, "feature_names has more"},
        {HEADER("max_feature_idx=2\n", "1") STUMP("0", "0") END, "feature_names has fewer"},
        {HEADER("", "1") "Tree=0\nnum_leaves=3\nsplit_feature=0 0\nthreshold=0 0\ndecision_type=0 0\nleft_child=1 1\n"
                         "right_child=-1 -2\nleaf_value=1 2 3\n\n" END,
         "cycle"},
        {HEADER("",
                "1") "Tree=0\nnum_leaves=2\nsplit_feature=0\nthreshold=0\ndecision_type=0\nleft_child=-1\n"
                     "right_child=-2\nleaf_value=1 2\nis_linear=1\nleaf_const=1 2\nnum_features=9 0\nleaf_features=0\n"
                     "leaf_coeff=1\n\n" END,
         "num_features[0]"},
        {HEADER("",
                "1") "Tree=0\nnum_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold=0\ndecision_type=1\nleft_child=-1\n"
                     "right_child=-2\nleaf_value=1 2\ncat_boundaries=0 9\ncat_threshold=1\n\n" END,
         "cat_boundaries[0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct imported m;
        struct error err = {""};
        assert_int_not_equal(imported_load(&importer_lightgbm, cases[i].text, strlen(cases[i].text), &m, &err),
                             STATUS_OK);
        if (!strstr(err.message, cases[i].names))
            fail_msg("case %zu: '%s' does not name '%s'", i, err.message, cases[i].names);
    }
}

/* A file cut anywhere is refused, never read past its end. */
static void refuses_every_cut(void **state)
{
    (void)state;
    static const char whole[] = HEADER("objective=binary sigmoid:1\n", "1") STUMP("0", "2") "end of trees";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *part = malloc(len + 1); /* of its own, so that the sanitizers see a step too far */
        assert_non_null(part);
        memcpy(part, whole, len);
        struct imported m;
        struct error err;
        assert_int_not_equal(imported_load(&importer_lightgbm, part, len, &m, &err), STATUS_OK);
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_kind),
        cmocka_unit_test(equal_goes_left_and_doubles_count),
        cmocka_unit_test(missing_none_reads_nan_as_zero),
        cmocka_unit_test(missing_zero_takes_the_default_side),
        cmocka_unit_test(missing_nan_takes_the_default_side),
        cmocka_unit_test(members_of_a_category_go_left),
        cmocka_unit_test(linear_leaves),
        cmocka_unit_test(random_forests_average),
        cmocka_unit_test(classes_take_turns),
        cmocka_unit_test(objectives_have_their_links),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
