#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/plot.h"

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void lines_break_where_there_is_no_number(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3, 4, 5}, y[] = {1, 10, NAN, 100, 0, 1000};
    const struct plot_series series[] = {{"a", x, y, 6}};
    const struct plot_panel panels[] = {{.title = "t", .x_label = "x", .y_label = "y", .series = series, .series_count = 1},
                                        {.title = "t", .x_label = "x", .y_label = "y", .log_y = true, .series = series, .series_count = 1}};
    struct buf out = {0};
    plot_svg(&out, "title", panels, 1);
    assert_int_equal(count(buf_text(&out), "<polyline"), 2);
    buf_clear(&out);
    plot_svg(&out, "title", panels + 1, 1); /* 0 has no logarithm either */
    assert_int_equal(count(buf_text(&out), "<polyline"), 3);
    assert_int_equal(count(buf_text(&out), "nan"), 0);
    assert_int_equal(count(buf_text(&out), ">1000<"), 1); /* the decade above the highest value has its tick */
    buf_free(&out);
}

static void text_is_escaped_and_nothing_to_draw_is_no_harm(void **state)
{
    (void)state;
    const double x[] = {1}, y[] = {NAN};
    const struct plot_series series[] = {{"p99 < 5 & more", x, y, 1}, {"none", NULL, NULL, 0}};
    const struct plot_panel panel = {.title = "<t>", .x_label = "x", .y_label = "y", .log_y = true, .series = series, .series_count = 2};
    struct buf out = {0};
    plot_svg(&out, "a & b", &panel, 1);
    const char *text = buf_text(&out);
    assert_non_null(strstr(text, "a &amp; b"));
    assert_non_null(strstr(text, "p99 &lt; 5 &amp; more"));
    assert_true(strncmp(text, "<svg ", 5) == 0 && strstr(text, "</svg>\n"));
    assert_int_equal(count(text, "<polyline"), 0);
    assert_int_equal(count(text, "nan") + count(text, "inf"), 0);
    buf_free(&out);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(plot_write("/nowhere/plot.svg", "t", NULL, 0, &err), STATUS_IO);
    assert_non_null(strstr(err.message, "/nowhere/plot.svg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_break_where_there_is_no_number),
        cmocka_unit_test(text_is_escaped_and_nothing_to_draw_is_no_harm),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
