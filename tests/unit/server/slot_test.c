/* Slots: quotas, back-pressure, and the lock-free stack under several threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/slot.h"

enum { HTTP_SLOTS = 64, KAFKA_SLOTS = 3, THREADS = 4, ROUNDS = 20000 };

static struct schema *schema;
static struct pool *pool;

static int setup(void **state)
{
    (void)state;
    static const struct field fields[] = {
        {.name = "id", .path = "id", .type = FIELD_ID},
        {.name = "time", .path = "ts", .type = FIELD_TIME},
    };
    struct error err;
    const struct pool_options options = {.slots = {[SOURCE_HTTP] = HTTP_SLOTS, [SOURCE_KAFKA] = KAFKA_SLOTS}, .columns = 17, .type = NUMBER_F32};
    return schema_create(fields, 2, &schema, &err) != STATUS_OK || pool_create(schema, &options, &pool, &err) != STATUS_OK;
}

static int teardown(void **state)
{
    (void)state;
    pool_free(pool);
    schema_free(schema);
    return 0;
}

static void one_source_cannot_starve_another(void **state)
{
    (void)state;
    struct txn *http[HTTP_SLOTS + 1], *kafka[KAFKA_SLOTS + 1];
    assert_int_equal(pool_take(pool, SOURCE_KAFKA, kafka, KAFKA_SLOTS + 1), KAFKA_SLOTS);
    assert_int_equal(pool_take(pool, SOURCE_KAFKA, kafka, 1), 0);
    assert_int_equal(pool_take(pool, SOURCE_FILE, kafka, 1), 0);
    assert_int_equal(pool_take(pool, SOURCE_HTTP, http, HTTP_SLOTS + 1), HTTP_SLOTS);
    assert_int_equal(pool_in_flight(pool, SOURCE_HTTP), HTTP_SLOTS);
    pool_give(pool, http, HTTP_SLOTS);
    pool_give(pool, kafka, KAFKA_SLOTS);
    assert_int_equal(pool_in_flight(pool, SOURCE_KAFKA), 0);
}

static void rows_are_aligned_and_apart(void **state)
{
    (void)state;
    const struct rows *rows = pool_rows(pool);
    assert_int_equal(rows->stride, 128); /* 17 floats, rounded up to whole lines */
    for (uint32_t i = 0; i < HTTP_SLOTS + KAFKA_SLOTS; i++) {
        assert_int_equal((uintptr_t)pool_row(pool, i) % 64, 0);
        assert_ptr_equal(pool_row(pool, i), (const char *)rows->base + i * rows->stride);
    }
}

static _Atomic int owners[HTTP_SLOTS + KAFKA_SLOTS];
static _Atomic int broken;

/* Takes and gives in changing amounts; a slot must never have two owners. */
static void *churn(void *seed)
{
    uint32_t random = (uint32_t)(uintptr_t)seed;
    struct txn *mine[8];
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        uint32_t n = pool_take(pool, SOURCE_HTTP, mine, 1 + (random >> 16) % 8);
        for (uint32_t i = 0; i < n; i++) {
            if (atomic_fetch_add(&owners[mine[i]->number], 1) != 0)
                atomic_store(&broken, 1);
            mine[i]->origin_item = random; /* a plain write: the sanitizer sees it if another thread owns the slot too */
        }
        for (uint32_t i = 0; i < n; i++)
            (void)atomic_fetch_sub(&owners[mine[i]->number], 1);
        pool_give(pool, mine, n);
    }
    return NULL;
}

static void a_slot_has_one_owner(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&broken), 0);
    struct txn *all[HTTP_SLOTS + 1];
    assert_int_equal(pool_take(pool, SOURCE_HTTP, all, HTTP_SLOTS + 1), HTTP_SLOTS); /* none lost */
    pool_give(pool, all, HTTP_SLOTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_source_cannot_starve_another),
        cmocka_unit_test(rows_are_aligned_and_apart),
        cmocka_unit_test(a_slot_has_one_owner),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
