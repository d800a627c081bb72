#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/base/yaml.h"

static struct yaml *parse(const char *text)
{
    struct yaml *root = NULL;
    struct error err = {{0}};
    if (yaml_parse("t.yaml", text, strlen(text), &root, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return root;
}

static void refused(const char *text, enum status code, const char *message)
{
    struct yaml *root = (struct yaml *)&root;
    struct error err = {{0}};
    assert_int_equal(yaml_parse("t.yaml", text, strlen(text), &root, &err), code);
    assert_string_equal(err.message, message);
    assert_null(root);
}

static void builds_a_tree_with_places(void **state)
{
    (void)state;
    struct yaml *root = parse("name: card-fraud   # a comment\n"
                              "policy: {review: 0.65, 'decline': \"0.9\"}\n"
                              "features:\n"
                              "  - night: hour(time) <= 6\n"
                              "  - empty:\n");
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->size, 3);
    assert_string_equal(yaml_get(root, "name")->text, "card-fraud");
    const struct yaml *decline = yaml_get(yaml_get(root, "policy"), "decline");
    assert_string_equal(decline->text, "0.9");
    assert_true(decline->quoted);
    assert_int_equal(decline->line, 2);
    assert_int_equal(decline->column, 35);
    const struct yaml *features = yaml_get(root, "features");
    assert_int_equal(features->kind, YAML_LIST);
    assert_int_equal(features->size, 2);
    const struct yaml *night = yaml_get(&features->items[0], "night");
    assert_string_equal(night->text, "hour(time) <= 6");
    assert_int_equal(night->line, 4);
    assert_int_equal(night->column, 12);
    assert_string_equal(yaml_get(&features->items[1], "empty")->text, "");
    assert_null(yaml_get(root, "absent"));
    assert_null(yaml_get(features, "night"));
    assert_null(yaml_get(NULL, "night"));
    yaml_tree_free(root);
}

static void an_empty_file_is_an_empty_map(void **state)
{
    (void)state;
    struct yaml *root = parse("# nothing but a comment\n");
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->size, 0);
    yaml_tree_free(root);
    root = parse("");
    assert_int_equal(root->size, 0);
    yaml_tree_free(root);
}

static void long_lists_and_texts_stay_whole(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < 3000; i++)
        buf_format(&text, "- {n: %d}\n", i);
    struct yaml *root = parse(buf_text(&text));
    assert_int_equal(root->size, 3000);
    assert_string_equal(yaml_get(&root->items[2999], "n")->text, "2999");
    yaml_tree_free(root);
    buf_free(&text);
}

static void refuses_what_a_config_needs_not(void **state)
{
    (void)state;
    refused("a: &x 1\nb: *x\n", STATUS_INVALID,
            "t.yaml:1:4: anchors ('&name') are not supported (a text that begins with '&' needs quotes)");
    refused("a: 1\nb: *x\n", STATUS_INVALID,
            "t.yaml:2:4: aliases ('*name') are not supported: write the value itself (a text that begins with '*' needs quotes)");
    refused("a: !!int 1\n", STATUS_INVALID,
            "t.yaml:1:4: tags ('!name') are not supported (a text that begins with '!' needs quotes)");
    refused("a: 1\n---\nb: 1\n", STATUS_INVALID, "t.yaml:2:1: a second document begins here; one is allowed");
    refused("a: 1\nb: {c: 2}\na: 3\n", STATUS_INVALID, "t.yaml:3:1: the key 'a' was already given in line 1");
    refused("a: {b: 1, b: 2}\n", STATUS_INVALID, "t.yaml:1:11: the key 'b' was already given in line 1");
    refused("? [a, b]\n: 1\n", STATUS_INVALID, "t.yaml:1:3: a key must be a plain text");
    refused("a: \"x\\0y\"\n", STATUS_INVALID, "t.yaml:1:4: the text holds a NUL character");
    refused("*a : 1\n", STATUS_INVALID, "t.yaml:1:1: a key must be a plain text");
    refused("&a b: 1\n", STATUS_INVALID,
            "t.yaml:1:1: anchors ('&name') are not supported (a text that begins with '&' needs quotes)");
}

static void syntax_errors_name_their_place(void **state)
{
    (void)state;
    refused("a: 1\n b: 2\n", STATUS_INVALID, "t.yaml:2:3: mapping values are not allowed in this context");
    refused("a:\n\tb: 2\n", STATUS_INVALID,
            "t.yaml:2:1: while scanning for the next token: found character that cannot start any token (a tab, '@', '`' or "
            "'%'? Indent with spaces, and put such text in quotes)");
    refused("a: [1, 2\n", STATUS_INVALID, "t.yaml:2:1: while parsing a flow sequence: did not find expected ',' or ']'");
    struct yaml *root = NULL;
    struct error err = {{0}};
    assert_int_equal(yaml_parse("t.yaml", "a: \xff\xfe\n", 6, &root, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "not valid UTF-8"));
}

static void depth_keys_and_size_are_bounded(void **state)
{
    (void)state;
    refused("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", STATUS_LIMIT, "t.yaml:1:17: nested more than 16 levels deep");
    struct yaml *root = parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
    yaml_tree_free(root);

    struct buf text = {0};
    for (int i = 0; i < 1025; i++)
        buf_format(&text, "k%d: 1\n", i);
    refused(buf_text(&text), STATUS_LIMIT, "t.yaml:1025:1: a map with more than 1024 keys");
    buf_clear(&text);
    for (int i = 0; i < (1 << 20) / 16 + 1; i++)
        buf_string(&text, "# sixteen bytes\n");
    refused(buf_text(&text), STATUS_LIMIT, "t.yaml: larger than the limit of 1048576 bytes");
    buf_clear(&text);
    for (int i = 0; i < 300000; i++)
        buf_char(&text, '[');
    struct error err = {{0}};
    assert_int_not_equal(yaml_parse("t.yaml", buf_text(&text), text.len, &root, &err), STATUS_OK);
    buf_free(&text);
}

static void loads_files(void **state)
{
    (void)state;
    struct yaml *root = NULL;
    struct error err = {{0}};
    assert_int_equal(yaml_load("/no/such/file.yaml", &root, &err), STATUS_NOT_FOUND);
    assert_null(root);
    assert_int_equal(yaml_load("/", &root, &err), STATUS_IO);
}

static void reads_numbers(void **state)
{
    (void)state;
    struct yaml *root = parse("[0.65, -3, 1e3, '5', 0x10, nan, 1e999, 1.2.3, '', [1], -, .5, +2, 1 2]");
    const double good[] = {0.65, -3, 1000};
    double value = 0;
    struct error err = {{0}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(yaml_double(&root->items[i], "t.yaml", "policy.review", &value, &err), STATUS_OK);
        assert_true(value == good[i]);
    }
    for (size_t i = 3; i < 11; i++)
        assert_int_equal(yaml_double(&root->items[i], "t.yaml", "policy.review", &value, &err), STATUS_INVALID);
    (void)!yaml_double(&root->items[3], "t.yaml", "policy.review", &value, &err);
    assert_string_equal(err.message, "t.yaml:1: policy.review: a number is needed, found '5' in quotes, which make it text");
    (void)!yaml_double(&root->items[9], "t.yaml", "policy.review", &value, &err);
    assert_string_equal(err.message, "t.yaml:1: policy.review: a number is needed, found a list");
    assert_int_equal(yaml_double(&root->items[13], "t.yaml", "x", &value, &err), STATUS_INVALID);
    yaml_tree_free(root);
}

static void reads_truth(void **state)
{
    (void)state;
    struct yaml *root = parse("[true, false, Yes, off, 1, 'true']");
    const int want[] = {1, 0, 1, 0};
    struct error err = {{0}};
    int value = -1;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(yaml_bool(&root->items[i], "t.yaml", "k", &value, &err), STATUS_OK);
        assert_int_equal(value, want[i]);
    }
    assert_int_equal(yaml_bool(&root->items[4], "t.yaml", "k", &value, &err), STATUS_INVALID);
    assert_string_equal(err.message, "t.yaml:1: k: true or false is needed, found '1'");
    assert_int_equal(yaml_bool(&root->items[5], "t.yaml", "k", &value, &err), STATUS_INVALID);
    yaml_tree_free(root);
}

static void unknown_keys_get_the_nearest(void **state)
{
    (void)state;
    static const char *const known[] = {"review", "decline"};
    struct error err = {{0}};
    struct yaml *root = parse("review: 1\ndeclien: 2\n");
    assert_int_equal(yaml_known_keys(root, "t.yaml", known, 2, &err), STATUS_INVALID);
    assert_string_equal(err.message, "t.yaml:2:1: unknown key 'declien'; did you mean 'decline'?");
    yaml_tree_free(root);
    root = parse("approve: 1\n");
    assert_int_equal(yaml_known_keys(root, "t.yaml", known, 2, &err), STATUS_INVALID);
    assert_string_equal(err.message, "t.yaml:1:1: unknown key 'approve'; known here: review, decline");
    yaml_tree_free(root);
    root = parse("decline: 1\n");
    assert_int_equal(yaml_known_keys(root, "t.yaml", known, 2, &err), STATUS_OK);
    yaml_tree_free(root);
    root = parse("[decline]\n");
    assert_int_equal(yaml_known_keys(root, "t.yaml", known, 2, &err), STATUS_INVALID);
    assert_string_equal(err.message, "t.yaml:1: a map (key: value) is needed here");
    yaml_tree_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_a_tree_with_places),
        cmocka_unit_test(an_empty_file_is_an_empty_map),
        cmocka_unit_test(long_lists_and_texts_stay_whole),
        cmocka_unit_test(refuses_what_a_config_needs_not),
        cmocka_unit_test(syntax_errors_name_their_place),
        cmocka_unit_test(depth_keys_and_size_are_bounded),
        cmocka_unit_test(loads_files),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(reads_truth),
        cmocka_unit_test(unknown_keys_get_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
