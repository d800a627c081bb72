#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/gen/random.h"
#include "server/load/pending.h"

static size_t name(char out[32], unsigned i)
{
    return (size_t)snprintf(out, 32, "7-%010u", i);
}

static void what_was_added_is_found_once_in_any_order(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct pending *p = pending_create();
    struct random random;
    char id[32];
    int64_t at;
    unsigned *order = malloc(N * sizeof *order);
    random_seed(&random, 1);
    for (unsigned i = 0; i < N; i++) {
        order[i] = i;
        pending_add(p, id, name(id, i), i);
    }
    assert_int_equal(pending_size(p), N);
    for (unsigned i = N - 1; i > 0; i--) {
        unsigned j = random_below(&random, i + 1), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (unsigned i = 0; i < N; i++) {
        assert_true(pending_take(p, id, name(id, order[i]), &at));
        assert_int_equal(at, order[i]);
        assert_false(pending_take(p, id, name(id, order[i]), &at));
    }
    assert_int_equal(pending_size(p), 0);
    free(order);
    pending_free(p);
}

static void what_is_not_found_in_time_runs_out_in_order(void **state)
{
    (void)state;
    struct pending *p = pending_create();
    char id[32];
    int64_t at;
    for (unsigned i = 0; i < 10; i++)
        pending_add(p, id, name(id, i), 100 + i);
    assert_true(pending_take(p, id, name(id, 0), &at) && pending_take(p, id, name(id, 2), &at));
    assert_false(pending_expire(p, 101, &at));
    assert_true(pending_expire(p, 104, &at) && at == 101);
    assert_true(pending_expire(p, 104, &at) && at == 103);
    assert_false(pending_expire(p, 104, &at));
    assert_false(pending_take(p, id, name(id, 3), &at));
    assert_int_equal(pending_size(p), 6);
    pending_free(p);
}

static void an_id_sent_again_counts_from_the_second_time(void **state)
{
    (void)state;
    struct pending *p = pending_create();
    int64_t at;
    pending_add(p, "a", 1, 5);
    pending_add(p, "a", 1, 9);
    assert_int_equal(pending_size(p), 1);
    assert_false(pending_expire(p, 8, &at));
    assert_true(pending_take(p, "a", 1, &at) && at == 9);
    pending_free(p);
}

static void it_is_bounded_and_room_comes_back(void **state)
{
    (void)state;
    struct pending *p = pending_create();
    char id[32];
    int64_t at;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        assert_true(pending_room(p));
        pending_add(p, id, name(id, i), i);
    }
    assert_false(pending_room(p));
    assert_true(pending_take(p, id, name(id, 0), &at));
    assert_true(pending_room(p));
    pending_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found_once_in_any_order),
        cmocka_unit_test(what_is_not_found_in_time_runs_out_in_order),
        cmocka_unit_test(an_id_sent_again_counts_from_the_second_time),
        cmocka_unit_test(it_is_bounded_and_room_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
