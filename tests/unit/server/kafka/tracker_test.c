#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/kafka/tracker.h"

static struct tracker *make(uint32_t entries)
{
    struct tracker *tracker = NULL;
    assert_int_equal(tracker_create(entries, &tracker, NULL), STATUS_OK);
    return tracker;
}

static uint32_t add(struct tracker *tracker, int32_t partition, int64_t offset)
{
    uint32_t entry = 0;
    assert_int_equal(tracker_add(tracker, partition, offset, &entry), STATUS_OK);
    return entry;
}

static int64_t position(struct tracker *tracker, int32_t partition)
{
    for (uint32_t i = 0; i < tracker_count(tracker); i++) {
        if (tracker_at(tracker, i)->partition == partition)
            return tracker_at(tracker, i)->position;
    }
    fail_msg("partition %d is not here", partition);
    return -1;
}

static void position_waits_for_the_oldest(void **state)
{
    (void)state;
    struct tracker *tracker = make(8);
    assert_int_equal(tracker_assign(tracker, 0, 17), STATUS_OK);
    uint32_t a = add(tracker, 0, 17), b = add(tracker, 0, 18), c = add(tracker, 0, 19);
    tracker_done(tracker, b);
    assert_int_equal(position(tracker, 0), 17);
    tracker_done(tracker, a);
    assert_int_equal(position(tracker, 0), 19);
    assert_int_equal(tracker_in_flight(tracker), 1);
    tracker_done(tracker, c);
    assert_int_equal(position(tracker, 0), 20);
    assert_int_equal(tracker_room(tracker), 8);
    tracker_free(tracker);
}

static void offsets_may_have_holes(void **state)
{
    (void)state;
    struct tracker *tracker = make(4);
    assert_int_equal(tracker_assign(tracker, 5, -1), STATUS_OK);
    assert_int_equal(position(tracker, 5), -1);
    uint32_t a = add(tracker, 5, 100);
    assert_int_equal(position(tracker, 5), 100); /* reading began here: nothing to commit */
    assert_int_equal(tracker_at(tracker, 0)->committed, 100);
    uint32_t b = add(tracker, 5, 1000);
    tracker_done(tracker, a);
    assert_int_equal(position(tracker, 5), 101);
    tracker_done(tracker, b);
    assert_int_equal(position(tracker, 5), 1001);
    tracker_free(tracker);
}

static void work_of_a_revoked_partition_counts_for_nothing(void **state)
{
    (void)state;
    struct tracker *tracker = make(4);
    assert_int_equal(tracker_assign(tracker, 0, 0), STATUS_OK);
    uint32_t old = add(tracker, 0, 0);
    assert_true(tracker_counts(tracker, old));
    tracker_revoke(tracker, 0);
    assert_false(tracker_has(tracker, 0));
    assert_false(tracker_counts(tracker, old));
    assert_int_equal(tracker_assign(tracker, 0, 0), STATUS_OK); /* it comes back */
    uint32_t again = add(tracker, 0, 0);
    tracker_done(tracker, old);
    assert_int_equal(position(tracker, 0), 0);
    tracker_done(tracker, again);
    assert_int_equal(position(tracker, 0), 1);
    assert_int_equal(tracker_in_flight(tracker), 0);
    tracker_free(tracker);
}

static void a_topic_made_anew_starts_anew(void **state)
{
    (void)state;
    struct tracker *tracker = make(4);
    assert_int_equal(tracker_assign(tracker, 0, 500), STATUS_OK);
    uint32_t old = add(tracker, 0, 500), first = add(tracker, 0, 0);
    assert_false(tracker_counts(tracker, old));
    tracker_done(tracker, first);
    assert_int_equal(position(tracker, 0), 1);
    tracker_done(tracker, old);
    assert_int_equal(position(tracker, 0), 1);
    tracker_free(tracker);
}

/* Random work on random partitions against the plainest model: an array of states for each partition. */
enum { PARTITIONS = 5, OFFSETS = 4000, CAPACITY = 37 };

struct model {
    bool here;
    int generation;
    int64_t first, next;  /* offsets of this stay */
    bool done[OFFSETS];
};

struct flight {
    int32_t partition;
    int generation;
    int64_t offset;
    uint32_t entry;
};

static int64_t model_position(const struct model *m)
{
    int64_t at = m->first;
    while (at < m->next && m->done[at])
        at++;
    return at;
}

static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

static void model_assign(struct tracker *tracker, struct model *m, int32_t partition)
{
    m->first = m->here ? model_position(m) : m->first;
    m->next = m->first;
    m->generation++;
    m->here = true;
    for (int64_t i = m->first; i < OFFSETS; i++)
        m->done[i] = false;
    assert_int_equal(tracker_assign(tracker, partition, m->first), STATUS_OK);
}

static void finish_one(struct tracker *tracker, struct model *models, struct flight *flights, uint32_t *n, uint32_t which)
{
    struct flight f = flights[which];
    flights[which] = flights[--*n];
    struct model *m = &models[f.partition];
    bool counts = m->here && m->generation == f.generation;
    assert_int_equal(tracker_counts(tracker, f.entry), counts);
    assert_int_equal(tracker_entry_offset(tracker, f.entry), f.offset);
    if (counts)
        m->done[f.offset] = true;
    tracker_done(tracker, f.entry);
}

static void step(struct tracker *tracker, struct model *models, struct flight *flights, uint32_t *n, uint64_t *seed)
{
    int32_t partition = (int32_t)random_below(seed, PARTITIONS);
    struct model *m = &models[partition];
    uint32_t what = random_below(seed, 100);
    if (what < 2) {
        model_assign(tracker, m, partition);
    } else if (what < 4 && m->here) {
        m->first = model_position(m);
        m->next = m->first;
        m->here = false;
        tracker_revoke(tracker, partition);
    } else if (what < 55 && m->here && tracker_room(tracker) > 0 && m->next < OFFSETS) {
        flights[(*n)++] = (struct flight){partition, m->generation, m->next, add(tracker, partition, m->next)};
        m->next++;
    } else if (*n > 0) {
        finish_one(tracker, models, flights, n, random_below(seed, *n));
    }
}

static void behaves_as_the_plain_model(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 20; round++) {
        uint64_t seed = round;
        struct tracker *tracker = make(CAPACITY);
        struct model *models = calloc(PARTITIONS, sizeof *models);
        assert_non_null(models);
        struct flight flights[CAPACITY];
        uint32_t n = 0;
        for (int i = 0; i < 5000; i++) {
            step(tracker, models, flights, &n, &seed);
            assert_int_equal(tracker_in_flight(tracker) + tracker_room(tracker), CAPACITY);
            for (int32_t p = 0; p < PARTITIONS; p++) {
                assert_int_equal(tracker_has(tracker, p), models[p].here);
                if (models[p].here)
                    assert_int_equal(position(tracker, p), model_position(&models[p]));
            }
        }
        while (n > 0)
            finish_one(tracker, models, flights, &n, n - 1);
        assert_int_equal(tracker_in_flight(tracker), 0);
        free(models);
        tracker_free(tracker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(position_waits_for_the_oldest),
        cmocka_unit_test(offsets_may_have_holes),
        cmocka_unit_test(work_of_a_revoked_partition_counts_for_nothing),
        cmocka_unit_test(a_topic_made_anew_starts_anew),
        cmocka_unit_test(behaves_as_the_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
