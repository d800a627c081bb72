/*
 * Loading a bundle with every single allocation failing in turn: it says so, leaks nothing and crashes never. Linked with
 * --wrap for the allocating functions, which catches the calls of our own objects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/base/yaml.h"
#include "model/bundle.h"
#include "tests/support/feature_fixture.h"

static long until_failure = -1; /* allocations that succeed before one fails; -1: all */

static bool fails(void)
{
    if (until_failure < 0)
        return false;
    return until_failure-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

/* Runs `attempt` with allocation 0, 1, 2 … failing until none does. */
static void with_each_failure(enum status (*attempt)(struct error *err))
{
    for (long n = 0;; n++) {
        struct error err = {{0}};
        until_failure = n;
        enum status status = attempt(&err);
        bool reached = until_failure < 0;
        until_failure = -1;
        if (!reached) {
            assert_true(status == STATUS_OK && n > 5);
            return;
        }
        if (status == STATUS_OK)
            continue; /* room made ahead of time, or a smaller copy: nice to have */
        if ((status != STATUS_NO_MEMORY && status != STATUS_LIMIT) || !strstr(err.message, "memory"))
            fail_msg("allocation %ld failed: %s: %s", n, status_name(status), err.message);
    }
}

static enum status load_bundle(struct error *err)
{
    static char path[512];
    if (path[0] == '\0') {
        const char *source = getenv("ASSAY_SOURCE");
        struct buf b = {0};
        long kept = until_failure;
        until_failure = -1;
        buf_format(&b, "%s/tests/fixtures/bundles/basic", source ? source : ".");
        memcpy(path, buf_text(&b), b.len + 1);
        buf_free(&b);
        until_failure = kept;
    }
    struct bundle *bundle;
    enum status status = bundle_load(path, &bundle, err);
    if (status == STATUS_OK)
        bundle_free(bundle);
    else
        assert_null(bundle);
    return status;
}

static void bundles(void **state)
{
    (void)state;
    with_each_failure(load_bundle);
}

static struct fixture fixture;

static enum status compile_plan(struct error *err)
{
    static const struct feature_source sources[] = {
        {.name = "local", .expression = "hour(time, 'Europe/Berlin')", .line = 1, .column = 1},
        {.name = "kind", .expression = "onehot(channel, 'a', 'b')", .line = 2, .column = 1},
        {.name = "risk", .expression = "lookup(country, 'DE', 1, 'BR', 2, 0) + kind_a", .line = 3, .column = 1},
    };
    struct plan *plan;
    enum status status = plan_compile(fixture.schema, sources, 3, &plan, err);
    plan_free(plan);
    return status;
}

static void plans(void **state)
{
    (void)state;
    fixture_init(&fixture);
    with_each_failure(compile_plan);
    fixture_free(&fixture);
}

static enum status parse_yaml(struct error *err)
{
    static const char text[] = "a: [1, 2, {b: c}]\nd: 'e'\n";
    struct yaml *root;
    enum status status = yaml_parse("t.yaml", text, sizeof text - 1, &root, err);
    yaml_tree_free(root);
    return status;
}

static void yaml(void **state)
{
    (void)state;
    with_each_failure(parse_yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(yaml), cmocka_unit_test(plans), cmocka_unit_test(bundles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
