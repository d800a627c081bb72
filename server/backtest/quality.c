#include "server/backtest/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Best score first. */
static int by_score(const void *left, const void *right)
{
    const struct outcome_row *a = left, *b = right;
    return a->score > b->score ? -1 : a->score < b->score;
}

/* Days in order; within one best score first. */
static int by_day(const void *left, const void *right)
{
    const struct outcome_row *a = left, *b = right;
    if (a->day != b->day)
        return a->day < b->day ? -1 : 1;
    return by_score(left, right);
}

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* A stable sort: what is equal stays as it came. Merge sort over halves of scratch[n]. */
static void sort_rows(struct outcome_row *rows, size_t n, struct outcome_row *scratch, int (*compare)(const void *, const void *))
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t left = from, middle = from + width < n ? from + width : n, end = from + 2 * width < n ? from + 2 * width : n;
            size_t right = middle;
            for (size_t to = from; to < end; to++) {
                bool take_left = left < middle && (right == end || compare(&rows[left], &rows[right]) <= 0);
                scratch[to] = take_left ? rows[left++] : rows[right++];
            }
        }
        memcpy(rows, scratch, n * sizeof *rows);
    }
}

/* The end of the run of equal scores that begins at `from`. */
static size_t run_end(const struct quality *q, size_t from)
{
    size_t to = from + 1;
    while (to < q->count && q->ranked[to].score == q->ranked[from].score)
        to++;
    return to;
}

/*
 * AUC: the share of pairs (fraud, honest) that the score has in the right order, equal scores counting half: Mann-Whitney's
 * U. Average precision: sum over thresholds of (recall gained) * precision.
 */
static void measure_ranking(struct quality *q)
{
    double frauds = (double)q->frauds, honest = (double)(q->count - q->frauds), pairs = 0, precision = 0;
    size_t hits = 0;
    for (size_t from = 0, to; from < q->count; from = to) {
        size_t before = hits;
        to = run_end(q, from);
        for (size_t i = from; i < to; i++)
            hits += q->ranked[i].fraud;
        double found = (double)(hits - before), others = (double)(to - from) - found;
        pairs += others * ((double)before + found / 2); /* frauds that stand above these honest ones */
        precision += found * (double)hits / (double)to;
    }
    q->auc = frauds > 0 && honest > 0 ? pairs / (frauds * honest) : (double)NAN;
    q->average_precision = frauds > 0 ? precision / frauds : (double)NAN;
}

static void measure_calibration(struct quality *q)
{
    double error = 0;
    q->probabilities = q->count > 0 && q->ranked[0].score <= 1 && q->ranked[q->count - 1].score >= 0;
    q->brier = (double)NAN;
    if (!q->probabilities)
        return;
    for (size_t i = 0; i < q->count; i++) {
        const struct outcome_row *row = &q->ranked[i];
        size_t bin = (size_t)(row->score * QUALITY_BINS);
        struct quality_bin *b = &q->bins[bin < QUALITY_BINS ? bin : QUALITY_BINS - 1];
        b->rows++;
        b->frauds += row->fraud;
        b->mean_score += row->score;
        error += (row->score - row->fraud) * (row->score - row->fraud);
    }
    for (size_t i = 0; i < QUALITY_BINS; i++)
        q->bins[i].mean_score /= (double)q->bins[i].rows; /* 0 / 0: NaN */
    q->brier = error / (double)q->count;
}

/*
 * The time spanned, and which days count in the mean: a first day that begins after noon or a last one that ends before it is
 * too short to have a day's frauds among its cards. by_day is there, rows[count] in any order.
 */
static void measure_time(struct quality *q, const struct outcome_row *rows)
{
    enum { DAY = 86400 };
    struct quality_day *head = &q->by_day[0], *tail = &q->by_day[q->day_count - 1];
    uint32_t begin = DAY, end = 0;
    for (size_t i = 0; i < q->count; i++) {
        if (rows[i].day == head->day && rows[i].second < begin)
            begin = rows[i].second;
        if (rows[i].day == tail->day && rows[i].second > end)
            end = rows[i].second;
    }
    q->days = fmax(1, (double)tail->day - head->day + ((double)end - begin) / DAY);
    bool short_head = DAY - begin < DAY / 2, short_tail = end < DAY / 2;
    if (q->day_count <= (size_t)short_head + short_tail)
        return;
    head->in_mean = !short_head;
    tail->in_mean = !short_tail;
}

static double mean_card_precision(const struct quality *q)
{
    double sum = 0, days = 0;
    for (size_t i = 0; i < q->day_count; i++) {
        sum += q->by_day[i].in_mean ? q->by_day[i].card_precision : 0;
        days += q->by_day[i].in_mean;
    }
    return sum / days;
}

/* A day's cards, and those found before it; all lists of numbers. */
struct cards {
    uint32_t *found; /* [found_count] sorted: compromised cards that were looked at on an earlier day */
    size_t found_count;
    uint8_t *seen;   /* by card: bit 0: has had its place in the day's ranking; bit 1: is compromised */
};

static bool was_found(const struct cards *cards, uint32_t card)
{
    return bsearch(&card, cards->found, cards->found_count, sizeof card, by_number) != NULL;
}

/*
 * One day, rows[n] with the best score first. Each card stands in the ranking by its best score and is compromised where any
 * of its transactions on the day is a fraud; the first `top` are looked at. Cards found on an earlier day are left out.
 */
static void measure_day(struct quality_day *day, const struct outcome_row *rows, size_t n, size_t top, struct cards *cards)
{
    size_t looked_at = 0, hits = 0, before = cards->found_count;
    for (size_t i = 0; i < n; i++) {
        day->frauds += rows[i].fraud;
        if (!rows[i].fraud || rows[i].card == NO_CARD || cards->seen[rows[i].card] & 2 || was_found(cards, rows[i].card))
            continue;
        cards->seen[rows[i].card] |= 2;
        day->compromised++;
    }
    for (size_t i = 0; i < n && looked_at < top; i++) {
        uint32_t card = rows[i].card;
        if (card == NO_CARD || cards->seen[card] & 1 || bsearch(&card, cards->found, before, sizeof card, by_number))
            continue;
        looked_at++;
        cards->seen[card] |= 1;
        if (!(cards->seen[card] & 2))
            continue;
        hits++;
        cards->found[cards->found_count++] = card; /* sorted in below, once the day is over */
    }
    day->rows = n;
    day->card_precision = (double)hits / (double)top;
    for (size_t i = 0; i < n; i++)
        if (rows[i].card != NO_CARD)
            cards->seen[rows[i].card] = 0;
    qsort(cards->found, cards->found_count, sizeof *cards->found, by_number);
}

static void measure_days(struct quality *q, const struct outcome_row *rows, size_t top, struct cards *cards)
{
    for (size_t from = 0, to; from < q->count; from = to) {
        to = from;
        while (to < q->count && rows[to].day == rows[from].day)
            to++;
        struct quality_day *day = &q->by_day[q->day_count++];
        *day = (struct quality_day){.day = rows[from].day, .in_mean = true};
        measure_day(day, rows + from, to - from, top, cards);
    }
    if (q->count > 0)
        measure_time(q, rows);
    q->card_precision = mean_card_precision(q);
}

static enum status measure_cards(struct quality *q, struct outcome_row *rows, struct outcome_row *scratch, size_t top, struct error *err)
{
    uint32_t cards = 0;
    size_t days = q->count > 0;
    sort_rows(rows, q->count, scratch, by_day);
    for (size_t i = 0; i < q->count; i++) {
        cards = rows[i].card != NO_CARD && rows[i].card >= cards ? rows[i].card + 1 : cards;
        days += i > 0 && rows[i].day != rows[i - 1].day;
    }
    struct cards found = {.found = malloc(((size_t)cards + 1) * sizeof *found.found), .seen = calloc((size_t)cards + 1, 1)};
    q->by_day = malloc((days + 1) * sizeof *q->by_day);
    bool room = found.found && found.seen && q->by_day;
    if (room)
        measure_days(q, rows, top, &found);
    free(found.found);
    free(found.seen);
    return room ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for the measures");
}

enum status quality_measure(const struct outcomes *outcomes, size_t top, struct quality *out, struct error *err)
{
    size_t n = outcomes->count;
    *out = (struct quality){.count = n};
    struct outcome_row *days = malloc((n + 1) * sizeof *days), *scratch = malloc((n + 1) * sizeof *scratch);
    out->ranked = malloc((n + 1) * sizeof *out->ranked);
    enum status status = STATUS_OK;
    if (!days || !scratch || !out->ranked) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the measures");
    } else {
        for (size_t i = 0; i < n; i++) {
            const struct outcome_row *row = &outcomes->rows[i];
            out->ranked[i] = days[i] = *row;
            out->frauds += row->fraud;
            out->value += row->amount;
            out->fraud_value += row->fraud ? row->amount : 0;
        }
        sort_rows(out->ranked, n, scratch, by_score);
        measure_ranking(out);
        measure_calibration(out);
        status = measure_cards(out, days, scratch, top, err);
    }
    free(days);
    free(scratch);
    return status;
}

void quality_free(struct quality *quality)
{
    free(quality->ranked);
    free(quality->by_day);
    *quality = (struct quality){0};
}

struct quality_at quality_at(const struct quality *quality, double threshold)
{
    struct quality_at at = {.threshold = threshold};
    double value = 0;
    for (; at.alerts < quality->count && quality->ranked[at.alerts].score >= threshold; at.alerts++) {
        const struct outcome_row *row = &quality->ranked[at.alerts];
        at.hits += row->fraud;
        value += row->fraud ? row->amount : 0;
    }
    at.precision = (double)at.hits / (double)at.alerts;
    at.recall = (double)at.hits / (double)quality->frauds;
    at.alerts_a_day = (double)at.alerts / quality->days;
    at.value_caught = value / quality->fraud_value;
    return at;
}

double quality_threshold_for(const struct quality *quality, size_t alerts)
{
    size_t at = 0;
    double threshold = (double)INFINITY;
    while (at < quality->count) {
        size_t next = run_end(quality, at);
        if (next > alerts)
            break;
        threshold = quality->ranked[at].score;
        at = next;
    }
    return threshold;
}
