/*
 * A group is worked on stage by stage: all decoded, then all feature rows (prepare), then one call of the engine, then all
 * decisions (conclude). A slot carries everything from one stage to the next, so that another thread may do what lies between.
 * The clock is read between the stages, so a group of 64 costs seven readings and not 64 times five; each transaction gets
 * its share.
 */
#include "server/pipeline.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/base/wake.h"
#include "server/admit.h"
#include "server/decision_log.h"
#include "server/engine/dispatcher.h"

struct pipeline {
    struct pipeline_options with;
    const struct model_info *info;
    uint32_t engine_max; /* rows in one call of the engine */
};

/* With the batcher; back, and the waiter is being woken; the dispatcher looks at it no more. */
enum waiting_state { WAITING_ON, WAITING_BACK, WAITING_OVER };

/* A ticket whose submitter waits for it. */
struct waiting {
    struct ticket ticket; /* first */
    struct wake wake;
    _Atomic int state; /* enum waiting_state */
};

struct worker {
    struct pipeline *pipeline;
    struct metrics_shard *metrics;
    struct decision_producer *decisions; /* NULL: no decision log */
    struct admit *admit;
    struct txn **in;     /* [batch_max] those of the group that were let in */
    enum source_kind source;
    uint32_t batch_max;
    uint32_t *slots;     /* [batch_max] */
    double *margins;     /* [batch_max][margins], of the engine call under way */
    double *scores;      /* [batch_max][scores] */
    bool called;         /* an engine call is under way … */
    enum status scored;  /* … and how it ended */
    struct waiting waiting;
    double alone_ns;     /* what the engine takes for a row alone, called from here: a running mean; 0: not known yet */
    int64_t lately_ns[2]; /* what it took for the last two */
    int64_t decoded_ns;  /* end of the last decode of the group under way; 0: none is */
};

enum { STAGE_DECODE, STAGE_FEATURES, STAGE_SCORE, STAGE_DECIDE, STAGE_DELIVER };

enum status pipeline_create(const struct pipeline_options *options, struct pipeline **out, struct error *err)
{
    const struct rows *rows = pool_rows(options->pool);
    const struct model_info *info = model_info(options->bundle->model);
    CHECK(rows->columns == plan_columns(options->bundle->plan) && rows->type == info->input_type);
    size_t windows;
    (void)plan_windows(options->bundle->plan, &windows);
    CHECK(windows == 0 || options->history);
    struct backend_limits limits;
    engine_limits(options->engine, options->prepared, &limits);
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the pipeline");
    *p = (struct pipeline){.with = *options, .info = info, .engine_max = limits.batch_max};
    *out = p;
    return STATUS_OK;
}

void pipeline_free(struct pipeline *pipeline)
{
    free(pipeline);
}

static enum status allocate(struct worker *w, struct error *err)
{
    const struct pipeline *p = w->pipeline;
    w->metrics = metrics_shard_create(p->with.metrics);
    w->in = calloc(w->batch_max, sizeof(void *));
    w->slots = calloc(w->batch_max, sizeof *w->slots);
    w->margins = calloc((size_t)w->batch_max * p->info->margins, sizeof *w->margins);
    w->scores = calloc((size_t)w->batch_max * p->info->scores, sizeof *w->scores);
    if (!w->metrics || !w->in || !w->slots || !w->margins || !w->scores)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a worker");
    enum status status = admit_create(p->with.history, w->batch_max, p->with.live, &w->admit, err);
    if (status != STATUS_OK)
        return status;
    return p->with.decision_log ? decision_producer_create(p->with.decision_log, w->metrics, &w->decisions, err) : STATUS_OK;
}

enum status worker_create(struct pipeline *pipeline, enum source_kind source, uint32_t batch_max, struct worker **out, struct error *err)
{
    CHECK(batch_max > 0);
    struct worker *w = aligned_alloc(_Alignof(struct worker), sizeof *w);
    if (!w)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a worker");
    *w = (struct worker){.pipeline = pipeline, .source = source, .batch_max = batch_max};
    enum status status = allocate(w, err);
    if (status != STATUS_OK) {
        worker_free(w);
        return status;
    }
    *out = w;
    return STATUS_OK;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    decision_producer_free(worker->decisions);
    admit_free(worker->admit);
    free(worker->in);
    free(worker->slots);
    free(worker->margins);
    free(worker->scores);
    free(worker);
}

struct metrics_shard *worker_metrics(struct worker *worker)
{
    return worker->metrics;
}

enum status pipeline_decode(struct worker *worker, struct txn *txn, const char *json, size_t len, int64_t received_ns, size_t *consumed)
{
    int64_t start = worker->decoded_ns ? worker->decoded_ns : clock_monotonic_ns();
    txn->received_ns = received_ns;
    txn->bundle = worker->pipeline->with.bundle;
    txn->reasons = 0;
    txn->trial = false;
    txn->state = TXN_COMPLETE;
    txn->state_source = -1;
    txn->times = (struct stage_times){0};
    txn->scored_ns = 0;
    txn->deadline_ns = received_ns + worker->pipeline->with.slo_ns;
    metrics_move(worker->metrics, METRIC_IN_FLIGHT, (uint32_t)worker->source, 1);
    enum status status = decode_transaction(txn->bundle->schema, json, len, &txn->input, consumed, &txn->fault);
    txn->document = (struct span){json, (uint32_t)(*consumed ? *consumed : len)};
    worker->decoded_ns = clock_monotonic_ns();
    txn->times.decode = worker->decoded_ns - start;
    if (status != STATUS_OK) {
        txn->outcome = OUTCOME_REJECTED;
        worker->decoded_ns = 0; /* nothing may follow for a while; the next one starts the clock anew */
    }
    return status;
}

enum status pipeline_decode_whole(struct worker *worker, struct txn *txn, const char *json, size_t len, int64_t received_ns)
{
    size_t consumed = 0;
    enum status status = pipeline_decode(worker, txn, json, len, received_ns, &consumed);
    if (status != STATUS_OK)
        return status;
    size_t rest = consumed + decode_skip_space(json + consumed, len - consumed);
    if (rest == len)
        return STATUS_OK;
    txn->outcome = OUTCOME_REJECTED;
    txn->fault = (struct decode_fault){.reason = DECODE_TRAILING, .field = -1, .offset = (uint32_t)rest};
    return STATUS_INVALID;
}

static void batch_done(struct batch *batch, enum status status)
{
    struct worker *worker = batch->owner;
    worker->scored = status;
    worker->called = false;
}

static void compute_features(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    const struct pipeline_options *with = &worker->pipeline->with;
    for (uint32_t i = 0; i < n; i++) {
        plan_run(with->bundle->plan, &txns[i]->input, worker->pipeline->info->input_type, pool_row(with->pool, txns[i]->number));
        worker->slots[i] = txns[i]->number;
    }
}

/* One call of the engine, waited for: an engine that answers later is polled, for as long as nobody else uses it. */
static enum status call_engine(struct worker *worker, struct batch *batch)
{
    const struct engine *engine = worker->pipeline->with.engine;
    worker->called = true;
    enum status status = engine_submit(engine, worker->pipeline->with.prepared, batch);
    while (status == STATUS_OK && worker->called)
        (void)engine_poll(engine);
    metrics_observe_size(worker->metrics, METRIC_BATCH, batch->n);
    return status == STATUS_OK ? worker->scored : status;
}

static void compute_scores(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    const struct pipeline *p = worker->pipeline;
    enum status status = STATUS_OK;
    for (uint32_t at = 0; at < n; at += p->engine_max) {
        uint32_t part = n - at < p->engine_max ? n - at : p->engine_max;
        struct batch batch = {.rows = pool_rows(p->with.pool), .slots = worker->slots + at, .n = part, .margins = worker->margins,
                              .scores = worker->scores, .done = batch_done, .owner = worker};
        if (status == STATUS_OK)
            status = call_engine(worker, &batch);
        for (uint32_t i = 0; i < part; i++) {
            txns[at + i]->outcome = status == STATUS_OK ? OUTCOME_SCORED : OUTCOME_FAILED;
            if (status == STATUS_OK)
                txn_take_scores(txns[at + i], p->info, worker->margins + (size_t)i * p->info->margins, worker->scores + (size_t)i * p->info->scores);
        }
    }
}

/* Bit i of the result: reason i applies. Reasons are the row's last columns; one that can't be told (NaN) does not apply. */
static uint64_t reasons_of(const struct worker *worker, const struct txn *txn)
{
    const struct bundle *bundle = txn->bundle;
    const void *row = pool_row(worker->pipeline->with.pool, txn->number);
    bool narrow = worker->pipeline->info->input_type == NUMBER_F32;
    uint64_t bits = 0;
    for (size_t i = 0; i < bundle->reason_count; i++) {
        size_t column = bundle->features + i;
        double applies = narrow ? (double)((const float *)row)[column] : ((const double *)row)[column];
        bits |= (uint64_t)(applies != 0 && !isnan(applies)) << i;
    }
    return bits;
}

static void take_decision(struct worker *worker, struct txn *txn)
{
    const struct bundle *bundle = txn->bundle;
    txn->verdict.score = calibrate(&bundle->calibration, txn->verdict.margin, txn->verdict.score);
    txn->verdict.decision = decide(&bundle->policy, txn->verdict.score);
    txn->reasons = reasons_of(worker, txn);
    if (worker->decisions && !txn->trial)
        decision_log_append(worker->decisions, txn, pool_rows(worker->pipeline->with.pool));
}

/* Before the engine: takes the group into the past and computes its rows. Returns how many of it were let in; they stand in
 * worker->in. */
static uint32_t prepare(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    CHECK(n > 0 && n <= worker->batch_max);
    /* The group's decoding is over. What the source did since (a look for a repeat) belongs to no stage. */
    int64_t start = clock_monotonic_ns();
    worker->decoded_ns = 0;
    uint32_t in = admit_all(worker->admit, txns, n, worker->in);
    compute_features(worker, worker->in, in);
    int64_t each = (clock_monotonic_ns() - start) / n;
    for (uint32_t i = 0; i < n; i++)
        txns[i]->times.features = each;
    metrics_observe_ns(worker->metrics, METRIC_STAGE, STAGE_FEATURES, (uint64_t)each, n);
    return in;
}

/* After the engine: what follows from its scores. */
static void conclude(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    int64_t start = clock_monotonic_ns();
    bool late_is_refused = worker->source == SOURCE_HTTP && worker->pipeline->with.late_is_refused;
    for (uint32_t i = 0; i < n; i++) {
        if (txns[i]->outcome != OUTCOME_SCORED)
            continue;
        if (late_is_refused && start > txns[i]->deadline_ns) { /* before the decision, so that no log holds what nobody was told */
            txns[i]->outcome = OUTCOME_REFUSED;
            txns[i]->refusal = REFUSAL_LATE;
        } else {
            take_decision(worker, txns[i]);
        }
    }
    int64_t decided = clock_monotonic_ns(), each = (decided - start) / n;
    for (uint32_t i = 0; i < n; i++) {
        txns[i]->times.decide = each;
        txns[i]->decided_ns = decided;
    }
    metrics_observe_ns(worker->metrics, METRIC_STAGE, STAGE_DECIDE, (uint64_t)each, n);
}

/* A row alone took so long here: is it dearer by now than one that goes through the batcher? */
static void weigh(struct worker *worker, int64_t took_ns)
{
    struct dispatcher *dispatcher = worker->pipeline->with.dispatcher;
    if (!dispatcher)
        return;
    /* The middle of three, and slowly: one slow row, while the machine did something else, is no slow model. */
    int64_t *lately = worker->lately_ns, low = lately[0] < lately[1] ? lately[0] : lately[1], high = lately[0] + lately[1] - low;
    int64_t middle = took_ns < low ? low : took_ns > high ? high : took_ns;
    lately[0] = lately[1];
    lately[1] = took_ns;
    worker->alone_ns += ((double)middle - worker->alone_ns) / 64;
    dispatcher_weigh(dispatcher, worker->alone_ns);
}

/* In this thread. */
static void score_here(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    uint32_t in = prepare(worker, txns, n);
    int64_t start = clock_monotonic_ns();
    compute_scores(worker, worker->in, in);
    int64_t took = clock_monotonic_ns() - start;
    for (uint32_t i = 0; i < n; i++)
        txns[i]->times.score = took / n;
    metrics_observe_ns(worker->metrics, METRIC_STAGE, STAGE_SCORE, (uint64_t)(took / n), n);
    if (in == 1)
        weigh(worker, took);
    conclude(worker, txns, n);
}

enum refusal pipeline_admit(const struct worker *worker, const struct txn *txn, uint32_t before)
{
    struct dispatcher *dispatcher = worker->pipeline->with.dispatcher;
    int64_t now = worker->decoded_ns ? worker->decoded_ns : clock_monotonic_ns(); /* just now, mostly */
    if (dispatcher && dispatcher_batches(dispatcher))
        return dispatcher_admit(dispatcher, txn->deadline_ns, before, now);
    return now > txn->deadline_ns ? REFUSAL_BUSY : REFUSAL_NONE;
}

bool pipeline_batches(const struct worker *worker)
{
    return worker->pipeline->with.dispatcher && dispatcher_batches(worker->pipeline->with.dispatcher);
}

void pipeline_submit(struct worker *worker, struct ticket *ticket, struct txn *const *txns, uint32_t n)
{
    enum row_kind kind = worker->source == SOURCE_HTTP ? ROW_CALLER : ROW_STREAM;
    uint32_t in = prepare(worker, txns, n);
    worker->alone_ns = 0;
    if (in > 0)
        dispatcher_submit(worker->pipeline->with.dispatcher, ticket, kind, worker->in, in, clock_monotonic_ns());
    else
        ticket->done(ticket);
}

void pipeline_take(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (txns[i]->outcome == OUTCOME_SCORED)
            metrics_observe_ns(worker->metrics, METRIC_STAGE, STAGE_SCORE, (uint64_t)txns[i]->times.score, 1);
    }
    conclude(worker, txns, n);
}

static void stop_waiting(struct ticket *ticket)
{
    struct waiting *w = (struct waiting *)(void *)ticket;
    atomic_store_explicit(&w->state, WAITING_BACK, memory_order_release); /* the waiter sees the slots as they came back */
    wake_now(&w->wake);
    atomic_store_explicit(&w->state, WAITING_OVER, memory_order_release); /* the waiter may free it */
}

static void score_elsewhere(struct worker *worker, struct txn *const *txns, uint32_t n)
{
    struct waiting *w = &worker->waiting;
    atomic_store_explicit(&w->state, WAITING_ON, memory_order_relaxed); /* handed over with the ticket */
    w->ticket.done = stop_waiting;
    pipeline_submit(worker, &w->ticket, txns, n);
    while (atomic_load_explicit(&w->state, memory_order_acquire) == WAITING_ON) {
        wake_prepare(&w->wake);
        if (atomic_load_explicit(&w->state, memory_order_acquire) != WAITING_ON)
            wake_cancel(&w->wake);
        else
            wake_sleep(&w->wake, INT64_MAX);
    }
    while (atomic_load_explicit(&w->state, memory_order_acquire) != WAITING_OVER) /* nanoseconds, mostly */
        (void)sched_yield();
    pipeline_take(worker, txns, n);
}

void pipeline_score(struct worker *worker, struct txn *const *txns, uint32_t n, pipeline_deliver *deliver, void *owner)
{
    if (pipeline_batches(worker))
        score_elsewhere(worker, txns, n);
    else
        score_here(worker, txns, n);
    if (deliver)
        deliver(owner, txns, n);
}

void pipeline_pause(struct worker *worker)
{
    worker->decoded_ns = 0; /* neither the next decoding nor an admission later may go by this clock */
}

void pipeline_fall_back(struct worker *worker, struct txn *txn, enum decision decision)
{
    txn->verdict = (struct verdict){.margin = (double)NAN, .score = (double)NAN, .decision = decision};
    txn->reasons = 0;
    if (worker->decisions && !txn->trial)
        decision_log_append(worker->decisions, txn, pool_rows(worker->pipeline->with.pool));
    metrics_add(worker->metrics, METRIC_FALLBACKS, (uint32_t)decision, 1);
}

void pipeline_finish(struct worker *worker, const struct txn *txn, int64_t now_ns)
{
    struct metrics_shard *m = worker->metrics;
    uint32_t source = (uint32_t)worker->source;
    worker->decoded_ns = 0; /* the next group's clock starts with it */
    metrics_add(m, METRIC_TRANSACTIONS, source * OUTCOME_COUNT + txn->outcome, 1);
    metrics_move(m, METRIC_IN_FLIGHT, source, -1);
    metrics_observe_ns(m, METRIC_STAGE, STAGE_DECODE, (uint64_t)txn->times.decode, 1);
    metrics_observe_ns(m, METRIC_TOTAL, source, (uint64_t)(now_ns - txn->received_ns), 1);
    if (txn->outcome == OUTCOME_REFUSED)
        metrics_add(m, METRIC_REFUSED, txn->refusal, 1);
    if (txn->outcome == OUTCOME_REJECTED)
        metrics_add(m, METRIC_DECODE_FAULTS, (uint32_t)txn->fault.reason, 1);
    if (txn->outcome == OUTCOME_SCORED)
        metrics_observe_ns(m, METRIC_STAGE, STAGE_DELIVER, (uint64_t)(now_ns - txn->decided_ns), 1);
    if (txn->outcome == OUTCOME_SCORED || txn->outcome == OUTCOME_REPEATED)
        metrics_add(m, METRIC_DECISIONS, (uint32_t)txn->verdict.decision, 1);
}
