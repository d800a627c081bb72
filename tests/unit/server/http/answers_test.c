/* Answers given lately: once for a retry, bounded by age and by number, one claim at a time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/http/answers.h"

enum { KEEP_NS = 1000 };

static struct answers *make(uint64_t entries, size_t row_bytes)
{
    struct error err;
    struct answers *answers = NULL;
    assert_int_equal(answers_create(entries, KEEP_NS, row_bytes, &answers, &err), STATUS_OK);
    return answers;
}

static struct hash128 key_of(const struct answers *answers, const char *id)
{
    return answers_key(answers, (struct span){id, (uint32_t)strlen(id)});
}

static struct answer answer_of(double score)
{
    return (struct answer){.verdict = {.margin = -score, .score = score, .decision = DECISION_REVIEW}, .reasons = 5};
}

static void give(struct answers *answers, const char *id, double score, int64_t now)
{
    struct answer answer = answer_of(score), known;
    assert_int_equal(answers_claim(answers, key_of(answers, id), now, &known, NULL), ANSWERS_NEW);
    answers_complete(answers, key_of(answers, id), &answer, NULL);
}

static enum answers_found ask(struct answers *answers, const char *id, int64_t now, double *score)
{
    struct answer known = {.verdict = {.score = -1}};
    enum answers_found found = answers_claim(answers, key_of(answers, id), now, &known, NULL);
    *score = known.verdict.score;
    return found;
}

static void a_retry_gets_the_same_answer(void **state)
{
    (void)state;
    struct answers *answers = make(100, 8);
    double row = 42, back = 0;
    struct answer answer = answer_of(0.25), known;
    struct hash128 key = key_of(answers, "T1");
    assert_int_equal(answers_claim(answers, key, 10, &known, &back), ANSWERS_NEW);
    assert_int_equal(answers_claim(answers, key, 11, &known, &back), ANSWERS_PENDING);
    answers_complete(answers, key, &answer, &row);
    assert_int_equal(answers_claim(answers, key, 12, &known, &back), ANSWERS_KNOWN);
    assert_true(known.verdict.score == 0.25 && known.verdict.margin == -0.25 && known.reasons == 5 && back == 42);
    assert_int_equal(known.verdict.decision, DECISION_REVIEW);
    assert_int_equal(answers_claim(answers, key_of(answers, "T2"), 13, &known, &back), ANSWERS_NEW);
    answers_free(answers);
}

static void an_abandoned_claim_may_be_made_again(void **state)
{
    (void)state;
    struct answers *answers = make(100, 0);
    double score;
    assert_int_equal(ask(answers, "T1", 1, &score), ANSWERS_NEW);
    answers_abandon(answers, key_of(answers, "T1"));
    assert_int_equal(ask(answers, "T1", 2, &score), ANSWERS_NEW);
    answers_abandon(answers, key_of(answers, "never claimed"));
    answers_free(answers);
}

static void answers_leave_by_age(void **state)
{
    (void)state;
    struct answers *answers = make(100, 0);
    double score;
    give(answers, "T1", 0.5, 100);
    assert_int_equal(ask(answers, "T1", 100 + KEEP_NS - 1, &score), ANSWERS_KNOWN);
    assert_int_equal(ask(answers, "T1", 100 + KEEP_NS, &score), ANSWERS_NEW);
    answers_free(answers);
}

static void the_oldest_leave_when_it_is_full(void **state)
{
    (void)state;
    struct answers *answers = make(1, 0); /* one stripe, one entry */
    double score;
    give(answers, "T1", 0.1, 1);
    give(answers, "T2", 0.2, 2);
    assert_int_equal(ask(answers, "T2", 3, &score), ANSWERS_KNOWN);
    assert_true(score == 0.2);
    assert_int_equal(ask(answers, "T1", 4, &score), ANSWERS_NEW); /* which pushes T2 out */
    answers_complete(answers, key_of(answers, "T2"), &(struct answer){0}, NULL); /* a claim that is gone: nothing happens */
    assert_int_equal(ask(answers, "T2", 5, &score), ANSWERS_NEW);
    answers_free(answers);
}

/* One entry a stripe, so that each new id pushes another out of the index. */
static void the_index_survives_many_departures(void **state)
{
    (void)state;
    enum { ENTRIES = 64, ROUNDS = 20000 };
    struct answers *answers = make(ENTRIES, 0);
    char id[16], other[16];
    for (int i = 0; i < ROUNDS; i++) {
        double score;
        (void)snprintf(id, sizeof id, "%d", i);
        give(answers, id, i, i / 100);
        assert_int_equal(ask(answers, id, i / 100, &score), ANSWERS_KNOWN);
        assert_true(score == i);
        if (i % 7 == 0) {
            (void)snprintf(other, sizeof other, "x%d", i);
            assert_int_equal(ask(answers, other, i / 100, &score), ANSWERS_NEW);
            answers_abandon(answers, key_of(answers, other));
        }
    }
    answers_free(answers);
}

enum { THREADS = 4, IDS = 500 };
static struct answers *shared;
static _Atomic int scored[IDS];

/* Whoever claims an id scores it; the others wait and must then find it. */
static void *claim_all(void *argument)
{
    (void)argument;
    for (int i = 0; i < IDS; i++) {
        char id[16];
        struct answer known, mine = answer_of(i);
        (void)snprintf(id, sizeof id, "%d", i);
        struct hash128 key = key_of(shared, id);
        enum answers_found found = answers_claim(shared, key, 1, &known, NULL);
        if (found == ANSWERS_NEW) {
            (void)atomic_fetch_add(&scored[i], 1);
            answers_complete(shared, key, &mine, NULL);
            continue;
        }
        while (found == ANSWERS_PENDING)
            found = answers_claim(shared, key, 1, &known, NULL);
        if (found != ANSWERS_KNOWN || known.verdict.score != i)
            (void)atomic_fetch_add(&scored[i], 1000);
    }
    return NULL;
}

static void of_many_at_once_one_is_scored(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared = make(100000, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, claim_all, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < IDS; i++)
        assert_int_equal(atomic_load(&scored[i]), 1);
    answers_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_gets_the_same_answer),     cmocka_unit_test(an_abandoned_claim_may_be_made_again),
        cmocka_unit_test(answers_leave_by_age),             cmocka_unit_test(the_oldest_leave_when_it_is_full),
        cmocka_unit_test(the_index_survives_many_departures), cmocka_unit_test(of_many_at_once_one_is_scored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
