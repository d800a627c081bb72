#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/bundle.h"

static void loads_the_basic_bundle(void **state)
{
    (void)state;
    struct buf dir = {0};
    buf_format(&dir, "%s/tests/fixtures/bundles/basic", getenv("ASSAY_SOURCE"));
    struct bundle *bundle;
    struct error err = {{0}};
    if (bundle_load(buf_text(&dir), &bundle, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    assert_string_equal(bundle->name, "basic");
    assert_int_equal(bundle->features, 8);
    bundle_free(bundle);
    buf_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_the_basic_bundle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
