#include "server/engine/batcher.h"

#include <stdlib.h>

#include "model/base/check.h"

static const int64_t TIGHTEST_NS = 1000000000;
static const int64_t TIGHTEST_PART = 4; /* who gives less than this part of the usual time takes his chance: one caller must not
                                           make everybody's batches small */

static const uint32_t GRACE_PART = 8; /* of the size that suits a batch: what it may be larger */

static uint32_t at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

enum status batcher_init(struct batcher *b, const struct batcher_options *options, struct error *err)
{
    CHECK(options->engines > 0 && options->engines <= ROUTE_ENGINES_MAX && options->batch_max > 0);
    *b = (struct batcher){.with = *options, .tightest_ns = {options->slo_ns, options->slo_ns}};
    enum status status = STATUS_OK;
    for (int kind = 0; kind < ROW_KINDS && status == STATUS_OK; kind++)
        status = queue_init(&b->queues[kind], options->waiting_max[kind], err);
    b->formed = calloc(options->batch_max, sizeof *b->formed);
    b->late = calloc(options->waiting_max[ROW_CALLER] + 1, sizeof *b->late);
    if (status == STATUS_OK && (!b->formed || !b->late))
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the batcher");
    if (status != STATUS_OK) {
        batcher_free(b);
        return status;
    }
    struct cost cost;
    cost_init(&cost, options->batch_max, 1e6);
    for (uint32_t i = 0; i < options->engines; i++)
        batcher_engine(b, i, &cost, options->batch_max, 1);
    return STATUS_OK;
}

void batcher_free(struct batcher *b)
{
    for (int kind = 0; kind < ROW_KINDS; kind++)
        queue_free(&b->queues[kind]);
    free(b->formed);
    free(b->late);
    *b = (struct batcher){.formed = NULL};
}

/* --- how large batches may be ------------------------------------------------------------------------------------------ */

/* A row that just missed a batch waits for the first of the streams to be free again and then for its own batch, and both
 * must fit into the time that callers give: with n streams one is free after a n-th of a batch. */
static double batch_budget(const struct batcher *b)
{
    uint32_t streams = 0;
    int64_t tightest = b->tightest_ns[0] < b->tightest_ns[1] ? b->tightest_ns[0] : b->tightest_ns[1];
    for (uint32_t i = 0; i < b->with.engines; i++)
        streams += b->engines[i].failures == 0 ? b->engines[i].in_flight_max : 0;
    streams = streams ? streams : 1;
    return (double)(tightest - b->reply_ns) * streams / (streams + 1);
}

void batcher_refresh(struct batcher *b, int64_t now_ns)
{
    if (now_ns - b->tightest_since_ns > TIGHTEST_NS) {
        b->tightest_ns[1] = b->tightest_ns[0];
        b->tightest_ns[0] = b->with.slo_ns;
        b->tightest_since_ns = now_ns;
    }
    double budget = batch_budget(b);
    for (uint32_t i = 0; i < b->with.engines; i++)
        route_refresh(&b->engines[i], budget, b->with.batch_max, now_ns);
}

void batcher_engine(struct batcher *b, uint32_t i, const struct cost *cost, uint32_t batch_max, uint32_t in_flight_max)
{
    CHECK(i < b->with.engines && batch_max > 0 && in_flight_max > 0);
    b->engines[i] = (struct route_engine){.cost = *cost, .batch_max = batch_max, .in_flight_max = at_most(in_flight_max, ROUTE_IN_FLIGHT_MAX)};
    route_refresh(&b->engines[i], batch_budget(b), b->with.batch_max, 0);
}

void batcher_add(struct batcher *b, struct row row)
{
    int64_t given_ns = row.deadline_ns - row.arrived_ns;
    if (b->with.policy == BATCHER_WINDOW)
        row.deadline_ns = row.arrived_ns; /* first come, first served */
    else if (row.kind == ROW_CALLER && row.attempts == 0 && given_ns < b->tightest_ns[0])
        b->tightest_ns[0] = given_ns > b->with.slo_ns / TIGHTEST_PART ? given_ns : b->with.slo_ns / TIGHTEST_PART;
    queue_push(&b->queues[row.kind], row);
}

/* --- forming ----------------------------------------------------------------------------------------------------------- */

static void take(struct batcher *b, enum row_kind kind, uint32_t n, struct batcher_batch *out)
{
    for (uint32_t i = 0; i < n; i++)
        b->formed[out->n++] = queue_pop(&b->queues[kind]);
}

static void send(struct batcher *b, int engine, int64_t now_ns, struct batcher_batch *out)
{
    out->engine = engine;
    out->rows = b->formed;
    out->place = route_begin(&b->engines[engine], out->n, now_ns);
}

/* The time that an engine may take for the callers' first row. */
static int64_t time_left(const struct batcher *b, int64_t now_ns)
{
    const struct row *head = queue_head(&b->queues[ROW_CALLER]);
    return head ? head->deadline_ns - now_ns - b->reply_ns : INT64_MAX;
}

/* What the quickest engine needs for one row; 0: all are failing, and until its deadline one may heal. */
static double least_ns(const struct batcher *b)
{
    double least = 0;
    for (uint32_t i = 0; i < b->with.engines; i++) {
        double ns = cost_tail_ns(&b->engines[i].cost, 1);
        if (b->engines[i].failures == 0 && (least == 0 || ns < least))
            least = ns;
    }
    return least;
}

/* Takes off the queue whom even a batch of one would come too late for, wherever it went. */
static void drop_late(struct batcher *b, int64_t now_ns, struct batcher_batch *out)
{
    double least = least_ns(b);
    while (b->queues[ROW_CALLER].count > 0 && (double)time_left(b, now_ns) < least)
        b->late[out->late_n++] = queue_pop(&b->queues[ROW_CALLER]);
    out->late = b->late;
}

/* Rows of the next batch on e, of those that wait. A little more than suits is taken where it still holds: what suits moves by
 * a row or two with every batch, and a single row left behind would have so little time left that its batch had to be tiny. */
static uint32_t most_now(const struct batcher *b, const struct route_engine *e, uint32_t callers, uint32_t waiting, int64_t left_ns)
{
    uint32_t suits = route_most(e), most = at_most(at_most(suits + suits / GRACE_PART, waiting), at_most(e->batch_max, b->with.batch_max));
    if (callers > 0)
        most = cost_fit(&e->cost, (double)left_ns, most);
    return most ? most : 1; /* it would be late here, but another engine's l(1) is said to make it: this one is free, so try */
}

static void next_by_deadline(struct batcher *b, int64_t now_ns, struct batcher_batch *out)
{
    drop_late(b, now_ns, out);
    uint32_t callers = b->queues[ROW_CALLER].count, stream = b->queues[ROW_STREAM].count;
    int64_t left_ns = time_left(b, now_ns);
    if (callers + stream == 0)
        return;
    int engine = route_pick(b->engines, b->with.engines, callers + stream, left_ns, now_ns);
    if (engine < 0)
        return;
    uint32_t most = most_now(b, &b->engines[engine], callers, callers + stream, left_ns);
    b->stream_credit = stream ? b->stream_credit + b->with.stream_share * most : 0;
    uint32_t owed = at_most(at_most((uint32_t)b->stream_credit, stream), most);
    uint32_t from_callers = at_most(callers, most - owed);
    uint32_t from_stream = at_most(stream, most - from_callers);
    b->stream_credit = b->stream_credit > from_stream ? b->stream_credit - from_stream : 0;
    bool forced = most < at_most(route_most(&b->engines[engine]), callers + stream);
    b->passed_over = forced ? callers - from_callers : b->passed_over - at_most(b->passed_over, from_callers);
    take(b, ROW_CALLER, from_callers, out);
    take(b, ROW_STREAM, from_stream, out);
    send(b, engine, now_ns, out);
}

/* The queue whose first row came first; -1: both are empty. */
static int older(const struct batcher *b)
{
    const struct row *caller = queue_head(&b->queues[ROW_CALLER]), *stream = queue_head(&b->queues[ROW_STREAM]);
    if (!caller)
        return stream ? ROW_STREAM : -1;
    return !stream || caller->arrived_ns <= stream->arrived_ns ? ROW_CALLER : ROW_STREAM;
}

static void next_by_window(struct batcher *b, int64_t now_ns, struct batcher_batch *out)
{
    int first = older(b);
    if (first < 0)
        return;
    bool due = now_ns - queue_head(&b->queues[first])->arrived_ns >= b->with.window_ns;
    struct route_engine *e = &b->engines[b->turn];
    if (e->in_flight >= e->in_flight_max || (!due && batcher_waiting(b) < b->with.window_rows))
        return;
    uint32_t most = at_most(at_most(b->with.window_rows, b->with.batch_max), e->batch_max);
    for (; out->n < most && first >= 0; first = older(b))
        take(b, (enum row_kind)first, 1, out);
    send(b, (int)b->turn, now_ns, out);
    b->turn = (b->turn + 1) % b->with.engines;
}

void batcher_next(struct batcher *b, int64_t now_ns, struct batcher_batch *out)
{
    *out = (struct batcher_batch){.engine = -1};
    if (batcher_waiting(b) == 0)
        return;
    batcher_refresh(b, now_ns);
    if (b->with.policy == BATCHER_WINDOW)
        next_by_window(b, now_ns, out);
    else
        next_by_deadline(b, now_ns, out);
}

void batcher_done(struct batcher *b, int engine, uint32_t place, bool ok, int64_t now_ns)
{
    CHECK(engine >= 0 && (uint32_t)engine < b->with.engines);
    route_end(&b->engines[engine], place, ok, now_ns);
}

/* --- what others want to know ------------------------------------------------------------------------------------------ */

int64_t batcher_look_ns(const struct batcher *b, int64_t now_ns)
{
    int first = older(b);
    int64_t look = INT64_MAX;
    if (first < 0)
        return look;
    if (b->with.policy == BATCHER_WINDOW) {
        const struct route_engine *e = &b->engines[b->turn];
        int64_t due_ns = queue_head(&b->queues[first])->arrived_ns + b->with.window_ns;
        return e->in_flight < e->in_flight_max ? due_ns : look;
    }
    for (uint32_t i = 0; i < b->with.engines; i++) {
        const struct route_engine *e = &b->engines[i];
        if (e->failures > 0 && e->in_flight == 0 && e->retry_ns > now_ns && e->retry_ns < look)
            look = e->retry_ns;
        for (uint32_t j = 0; j < e->in_flight_max; j++) { /* once it is stuck, others get what was meant for it */
            if (e->batches[j].n > 0 && e->batches[j].overdue_ns >= now_ns && e->batches[j].overdue_ns < look)
                look = e->batches[j].overdue_ns + 1;
        }
    }
    const struct row *head = queue_head(&b->queues[ROW_CALLER]);
    int64_t hopeless_ns = head ? head->deadline_ns - b->reply_ns - (int64_t)least_ns(b) : look;
    look = hopeless_ns < look ? hopeless_ns : look; /* with no engine to take it, it is told so by then */
    return look > now_ns ? look : now_ns + 1;
}

/* Rows that a small batch passed over make the next one small, too, and who is let in behind them must wait for as many such
 * batches as they need. Were these taken for full ones, the rows let in would have too little time in their turn, and batches would
 * stay small for as long as there are more rows than fit. */
static void foresee_next(const struct batcher *b, const struct route_engine *engine, struct admission *out)
{
    const struct row *head = queue_head(&b->queues[ROW_CALLER]);
    out->next = out->full;
    out->next_ns = out->full * out->row_ns;
    if (!head || !engine)
        return;
    uint32_t fit = cost_fit(&engine->cost, (double)(head->deadline_ns - b->reply_ns - out->free_ns), out->full);
    fit = fit ? fit : 1;
    uint32_t batches = b->passed_over > fit ? (b->passed_over + fit - 1) / fit : 1;
    out->next = batches * fit;
    out->next_ns = (int64_t)(batches * (double)out->next_ns * cost_tail_ns(&engine->cost, fit) / (double)out->full_ns);
}

void batcher_admission(const struct batcher *b, int64_t now_ns, struct admission *out)
{
    double rate = 0; /* rows a nanosecond */
    double useful_ns = (double)(b->with.slo_ns - b->reply_ns);
    int64_t soonest_ns = INT64_MAX;
    const struct route_engine *soonest = NULL;
    *out = (struct admission){.free_ns = now_ns, .one_ns = INT64_MAX, .full = 1, .reply_ns = b->reply_ns};
    for (uint32_t i = 0; i < b->with.engines; i++) {
        const struct route_engine *e = &b->engines[i];
        int64_t free_ns = route_surely_free_ns(e, now_ns);
        double one_ns = cost_tail_ns(&e->cost, 1);
        if (free_ns == INT64_MAX || (one_ns > useful_ns && b->with.engines > 1))
            continue; /* stuck, or of no use to a caller */
        uint32_t most = route_most(e);
        int64_t full_ns = (int64_t)cost_tail_ns(&e->cost, most);
        if (route_health(e, now_ns) == ROUTE_GOOD)
            rate += most * e->in_flight_max / cost_tail_ns(&e->cost, most); /* a late batch makes all behind it late */
        if (free_ns + full_ns < soonest_ns) {
            soonest_ns = free_ns + full_ns;
            soonest = e;
            out->free_ns = free_ns;
            out->full_ns = full_ns;
            out->full = most;
        }
        out->one_ns = (int64_t)one_ns < out->one_ns ? (int64_t)one_ns : out->one_ns;
        out->usable = true;
    }
    if (b->queues[ROW_STREAM].count > 0)
        rate *= 1 - b->with.stream_share;
    out->row_ns = rate > 0 ? (int64_t)(1 / rate) : out->full_ns / out->full;
    out->one_ns = out->usable ? out->one_ns : 0;
    foresee_next(b, soonest, out);
}

void batcher_shrink(struct batcher *b, int engine, uint32_t place, uint32_t n)
{
    struct route_engine *e = &b->engines[engine];
    CHECK(e->batches[place].n >= n);
    e->batches[place].n = n;
    e->in_flight -= n == 0;
}
