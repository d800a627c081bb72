/* server/kafka/align.c: partitions kept together in event time, and who is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/kafka/align.h"

static const int64_t second_ns = 1000000000;

static struct align *align_of(int64_t span_us, uint32_t readers)
{
    struct align *align;
    struct error err;
    assert_int_equal(align_create(span_us, readers, &align, &err), STATUS_OK);
    return align;
}

static void the_slowest_partition_sets_the_limit(void **state)
{
    (void)state;
    struct align *align = align_of(60, 1);
    align_assigned(align, 0);
    assert_int_equal(align_join(align, 0), STATUS_OK);
    assert_int_equal(align_join(align, 1), STATUS_OK);
    align_set(align, 0, 1000);
    assert_int_equal(align_limit(align, 1), ALIGN_UNKNOWN); /* the other has said nothing yet */
    align_set(align, 1, 500);
    assert_int_equal(align_limit(align, 1), 560);
    align_set(align, 1, ALIGN_NOTHING);
    assert_int_equal(align_limit(align, 1), 1060);
    align_leave(align, 0);
    assert_int_equal(align_limit(align, 1), ALIGN_NOTHING);
    align_free(align);
}

static void a_reader_without_partitions_is_waited_for_but_not_for_ever(void **state)
{
    (void)state;
    struct align *align = align_of(60, 2);
    align_assigned(align, second_ns);
    assert_int_equal(align_join(align, 0), STATUS_OK);
    align_set(align, 0, 1000);
    assert_int_equal(align_limit(align, 2 * second_ns), ALIGN_UNKNOWN);
    assert_int_equal(align_limit(align, 12 * second_ns), 1060);
    align_assigned(align, 13 * second_ns);
    assert_int_equal(align_limit(align, 13 * second_ns), 1060);
    align_revoked(align, 14 * second_ns);
    assert_int_equal(align_limit(align, 15 * second_ns), ALIGN_UNKNOWN);
    align_free(align);
}

static void a_partition_stays_while_one_of_its_readers_does(void **state)
{
    (void)state;
    struct align *align = align_of(60, 1);
    align_assigned(align, 0);
    assert_int_equal(align_join(align, 0), STATUS_OK);
    assert_int_equal(align_join(align, 0), STATUS_OK); /* taken over before the other has let go */
    align_set(align, 0, 1000);
    align_leave(align, 0);
    assert_int_equal(align_limit(align, 1), 1060);
    align_leave(align, 0);
    assert_int_equal(align_limit(align, 1), ALIGN_NOTHING);
    align_free(align);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slowest_partition_sets_the_limit),
        cmocka_unit_test(a_partition_stays_while_one_of_its_readers_does),
        cmocka_unit_test(a_reader_without_partitions_is_waited_for_but_not_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
