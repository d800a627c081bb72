#include "server/pipeline.h"

#include <math.h>
#include <stdlib.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/decision_log.h"

struct pipeline {
    struct pipeline_options with;
    const struct model_info *info;
};

struct worker {
    struct pipeline *pipeline;
    struct metrics_shard *metrics;
    enum source_kind source;
    uint32_t batch_max;
    uint32_t *slots;  /* [batch_max] */
    double *margins;  /* [batch_max][margins] */
    double *scores;   /* [batch_max][scores] */
    enum status scored; /* of the batch just done */
};

enum { STAGE_DECODE, STAGE_FEATURES, STAGE_SCORE, STAGE_DECIDE, STAGE_DELIVER };

enum status pipeline_create(const struct pipeline_options *options, struct pipeline **out, struct error *err)
{
    const struct rows *rows = pool_rows(options->pool);
    const struct model_info *info = model_info(options->bundle->model);
    CHECK(rows->columns == plan_columns(options->bundle->plan) && rows->type == info->input_type);
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the pipeline");
    p->with = *options;
    p->info = info;
    *out = p;
    return STATUS_OK;
}

void pipeline_free(struct pipeline *pipeline)
{
    free(pipeline);
}

enum status worker_create(struct pipeline *pipeline, enum source_kind source, uint32_t batch_max, struct worker **out, struct error *err)
{
    CHECK(batch_max > 0);
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a worker");
    *w = (struct worker){.pipeline = pipeline, .source = source, .batch_max = batch_max};
    w->metrics = metrics_shard_create(pipeline->with.metrics);
    w->slots = calloc(batch_max, sizeof *w->slots);
    w->margins = calloc((size_t)batch_max * pipeline->info->margins, sizeof *w->margins);
    w->scores = calloc((size_t)batch_max * pipeline->info->scores, sizeof *w->scores);
    if (!w->metrics || !w->slots || !w->margins || !w->scores) {
        worker_free(w);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a worker");
    }
    *out = w;
    return STATUS_OK;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
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
    const struct bundle *bundle = worker->pipeline->with.bundle;
    int64_t start = clock_monotonic_ns();
    txn->received_ns = received_ns;
    txn->bundle = bundle;
    txn->reasons = 0;
    txn->times = (struct stage_times){0};
    enum status status = decode_transaction(bundle->schema, json, len, &txn->input, consumed, &txn->fault);
    metrics_move(worker->metrics, METRIC_IN_FLIGHT, (uint32_t)worker->source, 1);
    txn->document = (struct span){json, (uint32_t)(*consumed ? *consumed : len)};
    int64_t decoded = clock_monotonic_ns();
    txn->times.decode = decoded - start;
    if (status != STATUS_OK) {
        txn->outcome = OUTCOME_REJECTED;
        return status;
    }
    plan_run(bundle->plan, &txn->input, worker->pipeline->info->input_type, pool_row(worker->pipeline->with.pool, txn->number));
    txn->times.features = clock_monotonic_ns() - decoded;
    return STATUS_OK;
}

static void batch_done(struct batch *batch, enum status status)
{
    struct worker *worker = batch->owner;
    worker->scored = status;
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

static void take_decision(struct worker *worker, struct txn *txn, uint32_t position)
{
    const struct bundle *bundle = txn->bundle;
    const struct model_info *info = worker->pipeline->info;
    /* A model with fewer margins than scores, or the reverse, has one that stands for the row. */
    uint32_t margin = bundle->output < info->margins ? bundle->output : 0;
    txn->verdict.margin = worker->margins[(size_t)position * info->margins + margin];
    txn->verdict.score = calibrate(&bundle->calibration, txn->verdict.margin, worker->scores[(size_t)position * info->scores + bundle->output]);
    txn->verdict.decision = decide(&bundle->policy, txn->verdict.score);
    txn->reasons = reasons_of(worker, txn);
    txn->outcome = OUTCOME_SCORED;
}

void pipeline_score(struct worker *worker, struct txn *const *txns, uint32_t n, pipeline_deliver *deliver, void *owner)
{
    const struct pipeline_options *with = &worker->pipeline->with;
    CHECK(n > 0 && n <= worker->batch_max);
    int64_t start = clock_monotonic_ns();
    for (uint32_t i = 0; i < n; i++)
        worker->slots[i] = txns[i]->number;
    struct batch batch = {.rows = pool_rows(with->pool), .slots = worker->slots, .n = n, .margins = worker->margins, .scores = worker->scores,
                          .done = batch_done, .owner = worker};
    worker->scored = STATUS_BUSY;
    enum status status = engine_submit(with->engine, with->prepared, &batch);
    if (status == STATUS_OK)
        status = worker->scored;
    int64_t scored = clock_monotonic_ns();
    for (uint32_t i = 0; i < n; i++) {
        if (status == STATUS_OK)
            take_decision(worker, txns[i], i);
        else
            txns[i]->outcome = OUTCOME_FAILED;
    }
    int64_t decided = clock_monotonic_ns();
    for (uint32_t i = 0; i < n; i++) {
        txns[i]->times.score = (scored - start) / n;
        txns[i]->times.decide = (decided - scored) / n;
        txns[i]->decided_ns = decided;
    }
    metrics_observe_size(worker->metrics, METRIC_BATCH, n);
    metrics_observe_ns(worker->metrics, METRIC_STAGE, STAGE_SCORE, (uint64_t)((scored - start) / n), n);
    metrics_observe_ns(worker->metrics, METRIC_STAGE, STAGE_DECIDE, (uint64_t)((decided - scored) / n), n);
    decision_log_write(with->decision_log, txns, n, batch.rows);
    deliver(owner, txns, n);
}

void pipeline_finish(struct worker *worker, const struct txn *txn, int64_t now_ns)
{
    struct metrics_shard *m = worker->metrics;
    uint32_t source = (uint32_t)worker->source;
    metrics_add(m, METRIC_TRANSACTIONS, source * OUTCOME_COUNT + txn->outcome, 1);
    metrics_move(m, METRIC_IN_FLIGHT, source, -1);
    metrics_observe_ns(m, METRIC_STAGE, STAGE_DECODE, (uint64_t)txn->times.decode, 1);
    metrics_observe_ns(m, METRIC_TOTAL, source, (uint64_t)(now_ns - txn->received_ns), 1);
    if (txn->outcome == OUTCOME_REJECTED) {
        metrics_add(m, METRIC_DECODE_FAULTS, (uint32_t)txn->fault.reason, 1);
        return;
    }
    metrics_observe_ns(m, METRIC_STAGE, STAGE_FEATURES, (uint64_t)txn->times.features, 1);
    if (txn->outcome == OUTCOME_SCORED)
        metrics_observe_ns(m, METRIC_STAGE, STAGE_DELIVER, (uint64_t)(now_ns - txn->decided_ns), 1);
    if (txn->outcome == OUTCOME_SCORED || txn->outcome == OUTCOME_REPEATED)
        metrics_add(m, METRIC_DECISIONS, (uint32_t)txn->verdict.decision, 1);
}
