#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "server/cmd/args.h"

static bool quiet;
static const char *in;
static int64_t rows;
static double share;
static struct args_list set;

static const struct args_option options[] = {
    {"quiet", ARGS_FLAG, &quiet, NULL, "say nothing", 0, 0},
    {"in", ARGS_TEXT, &in, "FILE", "where rows come from", 0, 0},
    {"rows", ARGS_INT, &rows, "N", "how many", 1, 1000},
    {"share", ARGS_REAL, &share, "P", "how often", 0, 1},
    {"set", ARGS_LIST, &set, "K=V", "a setting", 0, 0},
    {"X", ARGS_LIST, &set, "K=V", "a property", 0, 0},
    {NULL, ARGS_FLAG, NULL, NULL, NULL, 0, 0},
};
static const struct args_spec spec = {
    .usage = "assay test [OPTIONS] [WORD]", .summary = "Tests.", .options = options, .operands_max = 1};

static const char *operand;
static size_t operands;
static char message[4096];

/* Parses words with stdout and stderr caught in `message`. */
static enum args_result parse(int argc, const char **words)
{
    const char *argv[16] = {"test"};
    char path[] = "/tmp/assay_args_XXXXXX";
    for (int i = 0; i < argc; i++)
        argv[i + 1] = words[i];
    quiet = false, in = NULL, rows = 7, share = 0.5, set.size = 0, operand = NULL, operands = 0;
    int fd = mkstemp(path), old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
    (void)fflush(stdout);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    enum args_result result = args_parse(&spec, argc + 1, (char **)(uintptr_t)argv, &operand, &operands);
    (void)fflush(stdout);
    (void)dup2(old_out, STDOUT_FILENO);
    (void)dup2(old_err, STDERR_FILENO);
    (void)close(old_out);
    (void)close(old_err);
    ssize_t n = pread(fd, message, sizeof message - 1, 0);
    message[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    (void)unlink(path);
    return result;
}

#define PARSE(...)                                                                                                     \
    parse((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)), (const char *[]){__VA_ARGS__})

static void reads_every_kind(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--quiet", "--in", "a.csv", "--rows=12", "--share", "0.125", "--set", "a=b", "--set=c=d=e", "-X", "f=g", "word"),
                     ARGS_RUN);
    assert_true(quiet);
    assert_string_equal(in, "a.csv");
    assert_int_equal(rows, 12);
    assert_true(share == 0.125);
    assert_int_equal(set.size, 3);
    assert_string_equal(set.items[1], "c=d=e");
    assert_string_equal(set.items[2], "f=g");
    assert_int_equal(operands, 1);
    assert_string_equal(operand, "word");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--", "--quiet"), ARGS_RUN);
    assert_false(quiet);
    assert_string_equal(operand, "--quiet");
    assert_int_equal(PARSE("-"), ARGS_RUN);
    assert_string_equal(operand, "-");
}

static void help_tells_names_and_defaults(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--quiet", "--help"), ARGS_EXIT_DONE);
    assert_non_null(strstr(message, "usage: assay test"));
    assert_non_null(strstr(message, "--rows N                   how many [7]\n"));
    assert_non_null(strstr(message, "-X K=V "));
    assert_null(strstr(message, "--X"));
    assert_non_null(strstr(message, "exit codes: 0 done"));
}

static void refuses_slips_with_the_nearest_name(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--row", "3"), ARGS_EXIT_USAGE);
    assert_non_null(strstr(message, "unknown option '--row', did you mean --rows?"));
    assert_int_equal(PARSE("--frobnicate=3"), ARGS_EXIT_USAGE);
    assert_non_null(strstr(message, "unknown option '--frobnicate'\n"));
    assert_int_equal(PARSE("-q"), ARGS_EXIT_USAGE);
    assert_non_null(strstr(message, "unknown option '-q'; long options take two dashes"));
}

static void refuses_bad_values(void **state)
{
    (void)state;
    static const char *const bad[] = {"--rows=0", "--rows=1001", "--rows=3x", "--rows=", "--rows=99999999999999999999", "--share=1.5",
                                      "--share=nan", "--quiet=yes", "--in"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(PARSE(bad[i]), ARGS_EXIT_USAGE);
        assert_non_null(strstr(message, "usage: assay test"));
    }
    assert_int_equal(PARSE("--rows=0"), ARGS_EXIT_USAGE);
    assert_non_null(strstr(message, "--rows cannot be '0', a number from 1 to 1000 is needed"));
    assert_int_equal(PARSE("one", "two"), ARGS_EXIT_USAGE);
    assert_non_null(strstr(message, "unexpected argument 'two'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(help_tells_names_and_defaults),
        cmocka_unit_test(refuses_slips_with_the_nearest_name),
        cmocka_unit_test(refuses_bad_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
