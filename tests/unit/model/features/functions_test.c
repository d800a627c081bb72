/* The table of functions against the page for people: each is explained there, with its own signature's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"

static const char *const functions[][3] = {
#define FUNCTION(id, name, kind, op, least, most, signature, help) {name, signature, help},
#include "model/features/functions.def"
#undef FUNCTION
#define WINDOW(id, name, inputs, signature, help) {name, signature, help},
#include "model/features/windows.def"
#undef WINDOW
};

static void every_function_is_documented(void **state)
{
    (void)state;
    const char *source = getenv("ASSAY_SOURCE");
    struct buf path = {0}, page = {0};
    struct error err = {{0}};
    buf_format(&path, "%s/docs/features.md", source ? source : ".");
    if (buf_read_file(&page, buf_text(&path), 1 << 20, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        struct buf row = {0};
        buf_format(&row, "`%s(", functions[i][0]);
        if (!strstr(buf_text(&page), buf_text(&row)))
            fail_msg("docs/features.md does not explain %s", functions[i][1]);
        assert_memory_equal(functions[i][1], functions[i][0], strlen(functions[i][0]));
        assert_true(functions[i][2][0] != '\0');
        buf_free(&row);
    }
    buf_free(&page);
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_function_is_documented)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
