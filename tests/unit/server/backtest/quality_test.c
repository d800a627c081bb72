/*
 * Measures against cases worked out by hand (the first ones are those of scikit-learn's documentation), and against plain
 * restatements of their definitions on random scores with many ties.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/backtest/quality.h"

static struct quality measured(const struct outcome_row *rows, size_t n, size_t top)
{
    struct outcomes outcomes = {0};
    struct quality q;
    struct error err = {{0}};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(outcomes_add(&outcomes, &rows[i], &err), STATUS_OK);
    assert_int_equal(quality_measure(&outcomes, top, &q, &err), STATUS_OK);
    outcomes_free(&outcomes);
    return q;
}

static bool near(double a, double b)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fmax(1, fabs(b));
}

/* y_true = [0, 0, 1, 1], y_score = [0.1, 0.4, 0.35, 0.8]: the example of roc_auc_score (0.75) and average_precision_score
 * (0.83…). */
static void examples_of_scikit_learn(void **state)
{
    (void)state;
    const struct outcome_row rows[] = {{.score = 0.1, .amount = 5}, {.score = 0.4, .amount = 7}, {.score = 0.35, .amount = 100, .fraud = true},
                                       {.score = 0.8, .amount = 300, .fraud = true}};
    struct quality q = measured(rows, 4, 100);
    assert_true(near(q.auc, 0.75));
    assert_true(near(q.average_precision, 0.5 * 1 + 0.5 * 2 / 3));
    assert_true(near(q.brier, (0.01 + 0.16 + 0.65 * 0.65 + 0.04) / 4));
    assert_true(q.probabilities && q.frauds == 2 && q.days == 1 && q.value == 412);
    struct quality_at at = quality_at(&q, 0.4);
    assert_int_equal(at.alerts, 2);
    assert_int_equal(at.hits, 1);
    assert_true(near(at.precision, 0.5) && near(at.recall, 0.5) && near(at.value_caught, 0.75));
    assert_true(isnan(quality_at(&q, 0.9).precision));
    assert_true(quality_threshold_for(&q, 2) == 0.4 && isinf(quality_threshold_for(&q, 0)));
    assert_int_equal(q.bins[3].rows, 1);
    assert_true(near(q.bins[4].mean_score, 0.4) && isnan(q.bins[9].mean_score));
    quality_free(&q);
}

static void one_class_has_no_auc(void **state)
{
    (void)state;
    const struct outcome_row rows[] = {{.score = 1}, {.score = 2}};
    struct quality q = measured(rows, 2, 100);
    assert_true(isnan(q.auc) && isnan(q.average_precision) && isnan(q.brier) && !q.probabilities);
    quality_free(&q);
    q = measured(rows, 0, 100);
    assert_true(isnan(q.auc) && q.days == 0 && q.day_count == 0);
    quality_free(&q);
}

/* Two cards can be looked at a day. Day 1: cards 1 (fraud, second transaction the best) and 2. Day 2: card 1 is known, so 3
 * and 4 come, of which 4 is a fraud; card 5's fraud is not reached. */
static void card_precision_by_hand(void **state)
{
    (void)state;
    struct outcome_row rows[] = {
        {.score = 0.2, .card = 1, .day = 1, .fraud = true}, {.score = 0.9, .card = 1, .day = 1}, {.score = 0.8, .card = 2, .day = 1},
        {.score = 0.7, .card = 3, .day = 1},                {.score = 1.0, .card = 1, .day = 3, .fraud = true},
        {.score = 0.6, .card = 3, .day = 3},                {.score = 0.5, .card = 4, .day = 3, .fraud = true},
        {.score = 0.4, .card = 5, .day = 3, .fraud = true}, {.score = 2.0, .card = NO_CARD, .day = 3, .fraud = true},
    };
    const size_t n = sizeof rows / sizeof *rows;
    rows[n - 1].second = 64800;
    struct quality q = measured(rows, n, 2);
    assert_int_equal(q.day_count, 2);
    assert_true(near(q.days, 2.75)); /* from midnight to 18:00 of the third day */
    assert_true(near(q.by_day[0].card_precision, 0.5) && q.by_day[0].compromised == 1);
    assert_true(near(q.by_day[1].card_precision, 0.5) && q.by_day[1].compromised == 2);
    assert_true(near(q.card_precision, 0.5));
    quality_free(&q);
}

/* The cards' precision by day: 1, 0, 1; the first and the last day cover half a day, then a second less. */
static void a_short_first_or_last_day_is_not_in_the_mean(void **state)
{
    (void)state;
    struct outcome_row rows[] = {{.card = 1, .day = 1, .second = 43200, .fraud = true}, {.card = 2, .day = 2}, {.card = 3, .day = 3, .second = 43200, .fraud = true}};
    struct quality q = measured(rows, 3, 1);
    assert_true(near(q.days, 2) && near(q.card_precision, 2. / 3));
    quality_free(&q);
    rows[2].second--;
    q = measured(rows, 3, 1);
    assert_true(q.by_day[0].in_mean && q.by_day[1].in_mean && !q.by_day[2].in_mean && near(q.card_precision, 0.5));
    quality_free(&q);
    rows[0].second++;
    q = measured(rows, 3, 1);
    assert_true(!q.by_day[0].in_mean && near(q.card_precision, 0));
    quality_free(&q);
    rows[1] = rows[0]; /* nothing but short days: better than none */
    q = measured(rows, 3, 1);
    assert_true(q.day_count == 2 && q.by_day[0].in_mean && q.by_day[1].in_mean && near(q.card_precision, 1));
    quality_free(&q);
    q = measured(rows, 1, 1);
    assert_true(near(q.days, 1) && near(q.card_precision, 1));
    quality_free(&q);
}

static uint64_t seed = 20180801;

static unsigned draw(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

enum { ROWS = 400, CARDS = 40, DAYS = 6 };

static double pairs_in_order(const struct outcome_row *rows)
{
    double right = 0, pairs = 0;
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < ROWS; k++) {
            if (!rows[i].fraud || rows[k].fraud)
                continue;
            pairs++;
            right += rows[i].score > rows[k].score ? 1 : rows[i].score == rows[k].score ? 0.5 : 0;
        }
    return right / pairs;
}

/* Sum over distinct thresholds from high to low: (recall - recall before) * precision. */
static double average_precision(const struct outcome_row *rows)
{
    double sum = 0, before = 0, frauds = 0;
    for (int i = 0; i < ROWS; i++)
        frauds += rows[i].fraud;
    for (double threshold = 20; threshold >= 0; threshold--) {
        double alerts = 0, hits = 0;
        for (int i = 0; i < ROWS; i++) {
            alerts += rows[i].score >= threshold;
            hits += rows[i].score >= threshold && rows[i].fraud;
        }
        sum += alerts > 0 ? (hits / frauds - before) * hits / alerts : 0;
        before = hits / frauds;
    }
    return sum;
}

/* As the Handbook's card_precision_top_k, with scores that differ from card to card. */
static double card_precision(const struct outcome_row *rows, size_t top)
{
    bool known[CARDS] = {false};
    double sum = 0;
    for (int day = 0; day < DAYS; day++) {
        double best[CARDS];
        bool fraud[CARDS] = {false}, found[CARDS] = {false};
        for (int c = 0; c < CARDS; c++)
            best[c] = -1;
        for (int i = 0; i < ROWS; i++) {
            if (rows[i].day != day || known[rows[i].card])
                continue;
            best[rows[i].card] = fmax(best[rows[i].card], rows[i].score);
            fraud[rows[i].card] |= rows[i].fraud;
        }
        for (size_t k = 0; k < top; k++) {
            int first = 0;
            for (int c = 1; c < CARDS; c++)
                first = best[c] > best[first] ? c : first;
            if (best[first] < 0)
                break;
            found[first] = fraud[first];
            sum += fraud[first];
            best[first] = -1;
        }
        for (int c = 0; c < CARDS; c++)
            known[c] |= found[c];
    }
    return sum / (double)top / DAYS;
}

static void definitions_hold_on_random_rows(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 100; round++) {
        struct outcome_row rows[ROWS];
        for (int i = 0; i < ROWS; i++) {
            bool fraud = draw(10) == 0;
            rows[i] = (struct outcome_row){.score = draw(15) + (fraud ? draw(6) : 0), .amount = draw(1000), .card = draw(CARDS),
                                           .day = i < DAYS ? i : (int32_t)draw(DAYS), .second = 43200, .fraud = fraud};
        }
        struct quality q = measured(rows, ROWS, 5);
        assert_true(near(q.auc, pairs_in_order(rows)));
        assert_true(near(q.average_precision, average_precision(rows)));
        quality_free(&q);
        for (int i = 0; i < ROWS; i++)
            rows[i].score += rows[i].card * 0.001 + i * 0.000001; /* no ties: which of them is looked at first is open */
        q = measured(rows, ROWS, 5);
        assert_true(near(q.card_precision, card_precision(rows, 5)));
        quality_free(&q);
    }
}

static void alerts_are_held_to_a_budget(void **state)
{
    (void)state;
    struct outcome_row rows[ROWS];
    for (int i = 0; i < ROWS; i++)
        rows[i] = (struct outcome_row){.score = draw(30), .fraud = draw(9) == 0};
    struct quality q = measured(rows, ROWS, 100);
    for (size_t budget = 0; budget <= ROWS; budget += 7) {
        double threshold = quality_threshold_for(&q, budget);
        struct quality_at at = quality_at(&q, threshold);
        assert_true(at.alerts <= budget);
        assert_true(quality_at(&q, isinf(threshold) ? 29 : threshold - 1).alerts > budget || at.alerts == ROWS);
    }
    quality_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_scikit_learn),       cmocka_unit_test(one_class_has_no_auc),        cmocka_unit_test(card_precision_by_hand),
        cmocka_unit_test(definitions_hold_on_random_rows), cmocka_unit_test(alerts_are_held_to_a_budget),
        cmocka_unit_test(a_short_first_or_last_day_is_not_in_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
