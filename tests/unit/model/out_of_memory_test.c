/*
 * Loading a bundle with every single allocation failing in turn: it says so, leaks nothing and crashes never. Linked with
 * --wrap for the allocating functions, which catches the calls of our own objects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/base/yaml.h"
#include "model/bundle.h"
#include "model/state/state.h"
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

static const struct state_window state_windows[] = {
    {.key = 0, .function = STATE_STD, .span_us = 5000, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_DISTINCT, .span_us = 5000, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_MIN, .span_us = STATE_ALL, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_RISK, .span_us = 5000, .filter = STATE_NO_FILTER},
};
enum { STATE_WINDOWS = sizeof state_windows / sizeof state_windows[0] };
static const struct state_layout state_layout = {
    .keys = 1, .numbers = 1, .hashes = 1, .windows_count = STATE_WINDOWS, .windows = state_windows};
static const struct state_options state_options = {.dedupe_us = 1000, .stripes = 1};

static enum status create_state(struct error *err)
{
    struct state *state;
    enum status status = state_create(&state_layout, &state_options, &state, err);
    state_free(state);
    return status;
}

/* Applies 4,000 events and as many labels; returns how many events were dropped. */
static unsigned run_state(struct state *state, int64_t start_us)
{
    unsigned dropped = 0;
    for (int i = 0; i < 4000; i++) {
        char id[16] = "";
        struct span key = {.data = i % 3 ? "often" : id, .len = 5}, name = {.data = id, .len = (uint32_t)snprintf(id, sizeof id, "id%d", i)};
        double number = i, out[STATE_WINDOWS];
        uint64_t hash = (uint64_t)i % 100 + 1;
        struct state_event event = {.time_us = start_us + i, .id = name, .keys = &key, .numbers = &number, .hashes = &hash, .source = -1};
        uint32_t flags = state_apply(state, &event, out);
        assert_int_equal(flags & ~(uint32_t)STATE_DROPPED, 0);
        assert_true(out[1] >= 1 && out[2] <= i);
        dropped += flags != 0;
        (void)state_label(state, name, i % 2, start_us + i + i % 5000);
    }
    return dropped;
}

static void states(void **state)
{
    (void)state;
    with_each_failure(create_state);
    for (long n = 0;; n++) { /* a failure at any time costs one event at most, and none once there is memory again */
        struct state *s;
        struct error err;
        assert_int_equal(state_create(&state_layout, &state_options, &s, &err), STATUS_OK);
        until_failure = n;
        assert_true(run_state(s, 1000000) <= 1);
        bool reached = until_failure < 0;
        until_failure = -1;
        assert_int_equal(run_state(s, 9000000), 0);
        state_free(s);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(yaml), cmocka_unit_test(states), cmocka_unit_test(plans), cmocka_unit_test(bundles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
