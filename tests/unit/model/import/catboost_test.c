#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/forest.h"
#include "model/import/import.h"
#include "tests/support/imported.h"

#define FEATURES                                                                                                       \
    "{\"features_info\":{\"float_features\":["                                                                         \
    "{\"feature_id\":\"amount\",\"flat_feature_index\":0,\"nan_value_treatment\":\"AsTrue\"},"                         \
    "{\"feature_id\":\"age\",\"flat_feature_index\":1,\"nan_value_treatment\":\"AsFalse\"}]},"
#define LOSS(name)                                                                                                     \
    "\"model_info\":{\"catboost_version_info\":\"Summary: CatBoost release 1.2.10. x\","                               \
    "\"params\":{\"loss_function\":{\"type\":\"" name "\"}}},"
/* bit 0: x0 > 0.1, bit 1: x1 > 2 */
#define TREES                                                                                                          \
    "\"oblivious_trees\":[{\"leaf_values\":[1,2,3,4],\"splits\":["                                                     \
    "{\"border\":0.10000000149011612,\"float_feature_index\":0,\"split_type\":\"FloatFeature\"},"                      \
    "{\"border\":2,\"float_feature_index\":1,\"split_type\":\"FloatFeature\"}]},"                                      \
    "{\"leaf_values\":[0.5],\"splits\":[]}]"

static struct imported load(const char *text)
{
    struct imported imported;
    struct error err = {""};
    if (imported_load(&importer_catboost, text, strlen(text), &imported, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return imported;
}

static double margin(const struct imported *imported, double x0, double x1)
{
    const double row[] = {x0, x1};
    double margins[4], scores[4];
    imported_score(imported, row, margins, scores);
    return margins[0];
}

static void symmetric_trees(void **state)
{
    (void)state;
    struct imported m = load(FEATURES LOSS("Logloss") TREES ",\"scale_and_bias\":[1,[0.25]]}");
    assert_string_equal(m.feature_names[0], "amount");
    assert_string_equal(m.writer, "CatBoost 1.2.10");
    assert_string_equal(m.objective, "Logloss");
    assert_int_equal(m.input_type, NUMBER_F32);
    assert_int_equal(m.output_type, NUMBER_F64);
    assert_true(margin(&m, 0, 0) == 1.75);
    assert_true(margin(&m, 1, 0) == 2.75);
    assert_true(margin(&m, 0, 3) == 3.75);
    assert_true(margin(&m, 1, 3) == 4.75);
    assert_true(margin(&m, 0.1, 2) == 1.75); /* equal is not above, in float32 */
    assert_true(margin(&m, (double)NAN, 0) == 2.75);
    assert_true(margin(&m, 0, (double)NAN) == 1.75);
    const double row[] = {0, 0};
    double probability;
    imported_score(&m, row, NULL, &probability);
    assert_true(probability == 1.0 / (1.0 + exp(-1.75)));
    imported_free(&m);
}

static void scales_by_powers_of_two(void **state)
{
    (void)state;
    struct imported m = load(FEATURES LOSS("RMSE") TREES ",\"scale_and_bias\":[-0.5,1]}");
    assert_true(margin(&m, 1, 3) == -1.25);
    assert_int_equal(m.forest->link, LINK_IDENTITY);
    imported_free(&m);
}

static void several_classes(void **state)
{
    (void)state;
    struct imported m = load(
        FEATURES LOSS("MultiClass") "\"oblivious_trees\":[{\"leaf_values\":[1,2,3,4,5,6],\"splits\":["
                                    "{\"border\":0,\"float_feature_index\":1}]}],\"scale_and_bias\":[1,[0,0,10]]}");
    const double row[] = {0, 1};
    double margins[3], scores[3];
    imported_score(&m, row, margins, scores);
    assert_true(margins[0] == 4 && margins[1] == 5 && margins[2] == 16);
    assert_true(scores[2] > 0.99);
    imported_free(&m);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *names;
    } cases[] = {
        {"{\"features_info\":{\"categorical_features\":[{}]}}", "categorical"},
        {"{\"trees\":[]}", "Depthwise"},
        {FEATURES LOSS("Mystery") TREES "}", "'Mystery'"},
        {FEATURES TREES "}", "loss_function"},
        {FEATURES LOSS("RMSE") "\"oblivious_trees\":[]}", "oblivious_trees"},
        {FEATURES LOSS("RMSE") TREES ",\"scale_and_bias\":[0.3,[0]]}", "scale 0.3"},
        {FEATURES LOSS("RMSE") TREES ",\"scale_and_bias\":[1,[0,1]]}", "scale_and_bias has 2"},
        {FEATURES LOSS("RMSE") "\"oblivious_trees\":[{\"leaf_values\":[1,2,3],\"splits\":[{\"border\":1,"
                               "\"float_feature_index\":0}]}]}",
         "3 leaf_values for 1 splits"},
        {FEATURES LOSS("RMSE") "\"oblivious_trees\":[{\"leaf_values\":[1,2],\"splits\":[{\"border\":1,"
                               "\"float_feature_index\":9}]}]}",
         "feature 9"},
        {FEATURES LOSS("RMSE") "\"oblivious_trees\":[{\"leaf_values\":[1,2],\"splits\":[{\"border\":1,"
                               "\"split_type\":\"OnlineCtr\"}]}]}",
         "OnlineCtr"},
        {FEATURES LOSS("RMSE") "\"oblivious_trees\":[{\"leaf_values\":[1,NaN],\"splits\":[{\"border\":1,"
                               "\"float_feature_index\":0}]}]}",
         "finite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct imported m;
        struct error err = {""};
        assert_int_not_equal(imported_load(&importer_catboost, cases[i].text, strlen(cases[i].text), &m, &err),
                             STATUS_OK);
        if (!strstr(err.message, cases[i].names))
            fail_msg("case %zu: '%s' does not name '%s'", i, err.message, cases[i].names);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symmetric_trees),
        cmocka_unit_test(scales_by_powers_of_two),
        cmocka_unit_test(several_classes),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
