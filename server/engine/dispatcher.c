/*
 * The thread's turn: take what came in and what came back, make batches while there are any to make, tell everybody how
 * things stand, sleep until something happens. See dispatcher_private.h for what is shared with whom.
 */
#include "server/engine/dispatcher_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "model/base/check.h"
#include "model/base/clock.h"

static const int64_t NAP_NS = 20000;         /* between looks at an engine that cannot say when it will be done */
static const int64_t GONE_AFTER_NS = 500000; /* who has waited less is still there */

static void give_back(struct txn *txn)
{
    struct ticket *ticket = txn->ticket;
    if (--ticket->left == 0)
        ticket->done(ticket);
}

void dispatcher_refuse(struct dispatcher *d, const struct row *row, enum refusal refusal)
{
    struct txn *txn = pool_txn(d->with.pool, row->slot);
    txn->outcome = OUTCOME_REFUSED;
    txn->refusal = (uint8_t)refusal;
    give_back(txn);
}

/* --- in ---------------------------------------------------------------------------------------------------------------- */

static void take_in(struct dispatcher *d)
{
    if (!atomic_load_explicit(&d->inbox, memory_order_relaxed))
        return;
    /* acquire: what the sources wrote to the slots */
    struct txn *txn = atomic_exchange_explicit(&d->inbox, NULL, memory_order_acquire);
    while (txn) {
        struct txn *next = txn->next; /* it may be gone when it is given back */
        const struct row row = {.deadline_ns = txn->deadline_ns, .arrived_ns = txn->submitted_ns, .slot = txn->number,
                                .kind = txn->source == SOURCE_HTTP ? ROW_CALLER : ROW_STREAM};
        batcher_add(&d->batcher, row);
        txn = next;
    }
}

static void take_reminders(struct dispatcher *d, int64_t now_ns)
{
    struct ticket *ticket = atomic_load_explicit(&d->reminders, memory_order_relaxed)
                                ? atomic_exchange_explicit(&d->reminders, NULL, memory_order_acquire) : NULL;
    while (ticket) {
        struct ticket *next = ticket->next;
        ticket->next = d->remembered;
        d->remembered = ticket;
        ticket = next;
    }
    for (struct ticket **at = &d->remembered; *at;) {
        ticket = *at;
        if (ticket->remind_ns > now_ns) {
            at = &ticket->next;
            continue;
        }
        *at = ticket->next;
        ticket->done(ticket);
    }
}

/* --- back -------------------------------------------------------------------------------------------------------------- */

static void take_scores(struct dispatcher *d, const struct work *work)
{
    const struct model_info *info = d->with.info;
    for (uint32_t i = 0; i < work->batch.n; i++) {
        if (work->rows[i].given_up) {
            dispatcher_let_go(d, &work->rows[i]);
            continue;
        }
        struct txn *txn = pool_txn(d->with.pool, work->rows[i].slot);
        txn_take_scores(txn, info, work->batch.margins + (size_t)i * info->margins, work->batch.scores + (size_t)i * info->scores);
        txn->outcome = OUTCOME_SCORED;
        txn->scored_ns = work->done_ns;
        txn->times.score = work->done_ns - work->sent_ns;
        txn->times.wait = work->sent_ns - txn->submitted_ns;
        give_back(txn);
    }
}

/* The engine failed: another may do it, or this one when it has healed. The stream's rows wait for that as long as it takes. */
static void try_again(struct dispatcher *d, const struct work *work)
{
    for (uint32_t i = 0; i < work->batch.n; i++) {
        struct row row = work->rows[i];
        row.attempts = row.attempts < UINT8_MAX ? (uint8_t)(row.attempts + 1) : row.attempts;
        if (row.given_up) {
            dispatcher_let_go(d, &row);
        } else if (row.kind == ROW_CALLER && row.attempts >= DISPATCHER_ATTEMPTS) {
            dispatcher_refuse(d, &row, REFUSAL_ENGINE);
        } else {
            (void)atomic_fetch_add_explicit(&d->callers, row.kind == ROW_CALLER, memory_order_relaxed);
            batcher_add(&d->batcher, row);
        }
    }
}

static void take_finished(struct dispatcher *d)
{
    for (struct work *work = finished_take(&d->finished); work;) {
        struct work *next = work->next; /* its place may be used again at once */
        bool ok = work->status == STATUS_OK;
        uint32_t engine = work->lane->with.number;
        batcher_done(&d->batcher, (int)engine, work->place, ok, work->done_ns);
        metrics_move(d->metrics, METRIC_ENGINE_IN_FLIGHT, 0, -1);
        metrics_observe_ns(d->metrics, METRIC_ENGINE_BATCH, 0, (uint64_t)(work->done_ns - work->sent_ns), 1);
        if (!ok)
            metrics_add(d->metrics, METRIC_ENGINE_FAILURES, 0, 1);
        if (ok == d->failing[engine])
            dispatcher_tell(d, engine, ok);
        d->changed = true;
        if (ok)
            take_scores(d, work);
        else
            try_again(d, work);
        work = next;
    }
}

static void poll_engines(struct dispatcher *d)
{
    for (uint32_t i = 0; i < d->lane_count; i++) {
        if (!d->lanes[i].with.threaded && d->batcher.engines[i].in_flight > 0)
            (void)engine_poll(d->lanes[i].with.engine);
    }
}

/* --- out --------------------------------------------------------------------------------------------------------------- */

/* Is somebody still there to read the answer? Asked of those who have waited. */
static bool is_wanted(const struct dispatcher *d, const struct row *row, int64_t now_ns)
{
    const struct txn *txn = pool_txn(d->with.pool, row->slot);
    if (row->kind != ROW_CALLER || now_ns - row->arrived_ns < GONE_AFTER_NS || !txn->ticket->gone)
        return true;
    return !txn->ticket->gone(txn->ticket);
}

static void send(struct dispatcher *d, const struct batcher_batch *made, int64_t now_ns)
{
    struct lane *lane = &d->lanes[made->engine];
    struct work *work = &lane->works[made->place];
    uint32_t n = 0, callers = 0;
    for (uint32_t i = 0; i < made->n; i++) {
        callers += made->rows[i].kind == ROW_CALLER;
        metrics_observe_ns(d->metrics, METRIC_BATCH_WAIT, made->rows[i].kind, (uint64_t)(now_ns - made->rows[i].arrived_ns), 1);
        if (!is_wanted(d, &made->rows[i], now_ns)) {
            dispatcher_refuse(d, &made->rows[i], REFUSAL_GONE);
            continue;
        }
        work->rows[n] = made->rows[i];
        work->slots[n++] = made->rows[i].slot;
    }
    (void)atomic_fetch_sub_explicit(&d->callers, callers, memory_order_relaxed);
    batcher_shrink(&d->batcher, made->engine, made->place, n);
    if (n == 0)
        return;
    metrics_observe_size(d->metrics, METRIC_BATCH, n);
    metrics_move(d->metrics, METRIC_ENGINE_IN_FLIGHT, 0, 1);
    work->look_ns = now_ns; /* dispatcher_give_up works it out */
    lane_send(lane, made->place, n, now_ns);
}

static void make_batches(struct dispatcher *d)
{
    struct batcher_batch made;
    do {
        int64_t now_ns = clock_monotonic_ns();
        batcher_next(&d->batcher, now_ns, &made);
        (void)atomic_fetch_sub_explicit(&d->callers, made.late_n, memory_order_relaxed);
        for (uint32_t i = 0; i < made.late_n; i++)
            dispatcher_refuse(d, &made.late[i], d->usable ? REFUSAL_LATE : REFUSAL_ENGINE);
        if (made.engine >= 0)
            send(d, &made, now_ns);
    } while (made.engine >= 0);
}

/* --- sleep ------------------------------------------------------------------------------------------------------------- */

static int64_t next_look(const struct dispatcher *d, int64_t now_ns)
{
    int64_t look_ns = batcher_look_ns(&d->batcher, now_ns);
    int64_t end_ns = atomic_load_explicit(&d->end_ns, memory_order_relaxed);
    look_ns = d->give_up_ns < look_ns ? d->give_up_ns : look_ns;
    look_ns = !d->over && end_ns < look_ns ? end_ns : look_ns;
    for (const struct ticket *t = d->remembered; t; t = t->next)
        look_ns = t->remind_ns < look_ns ? t->remind_ns : look_ns;
    for (uint32_t i = 0; i < d->lane_count; i++) {
        if (d->lanes[i].with.threaded || d->batcher.engines[i].in_flight == 0)
            continue;
        int64_t due_ns = engine_due_ns(d->lanes[i].with.engine);
        due_ns = due_ns ? due_ns : now_ns + NAP_NS;
        look_ns = due_ns < look_ns ? due_ns : look_ns;
    }
    return look_ns;
}

static bool has_work(struct dispatcher *d)
{
    return atomic_load_explicit(&d->inbox, memory_order_relaxed) || atomic_load_explicit(&d->finished.newest, memory_order_relaxed) ||
           atomic_load_explicit(&d->reminders, memory_order_relaxed) || atomic_load_explicit(&d->stopping, memory_order_relaxed);
}

static void sleep_until_work(struct dispatcher *d)
{
    /* First of all: whoever changes what is looked at from here on (work, the end, an engine's answers) wakes it. */
    wake_prepare(&d->wake);
    int64_t now_ns = clock_monotonic_ns();
    int64_t look_ns = next_look(d, now_ns);
    if (look_ns <= now_ns || has_work(d))
        wake_cancel(&d->wake);
    else
        wake_sleep(&d->wake, look_ns);
}

static void show_waiting(struct dispatcher *d)
{
    for (int kind = 0; kind < ROW_KINDS; kind++) {
        int64_t now = d->batcher.queues[kind].count;
        if (now != d->shown_waiting[kind])
            metrics_move(d->metrics, METRIC_BATCH_WAITING, (uint32_t)kind, now - d->shown_waiting[kind]);
        d->shown_waiting[kind] = now;
    }
}

void *dispatcher_run(void *argument)
{
    struct dispatcher *d = argument;
    (void)pthread_setname_np(pthread_self(), "batcher");
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* else the kernel wakes it 50 us late */
    while (!atomic_load_explicit(&d->stopping, memory_order_acquire)) {
        d->batcher.reply_ns = atomic_load_explicit(&d->reply_ns, memory_order_relaxed);
        take_in(d);
        poll_engines(d);
        take_finished(d);
        take_reminders(d, clock_monotonic_ns());
        d->over = clock_monotonic_ns() >= atomic_load_explicit(&d->end_ns, memory_order_relaxed);
        if (d->over)
            dispatcher_empty(d);
        make_batches(d);
        d->give_up_ns = dispatcher_give_up(d, clock_monotonic_ns());
        show_waiting(d);
        dispatcher_publish(d, clock_monotonic_ns());
        sleep_until_work(d);
    }
    return NULL;
}
