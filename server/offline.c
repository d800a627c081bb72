#include "server/offline.h"

#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/history.h"
#include "server/state_options.h"

enum status offline_open(const struct loaded *loaded, struct offline *out, struct error *err)
{
    *out = (struct offline){.loaded = loaded};
    size_t windows;
    (void)plan_windows(loaded->bundle->plan, &windows);
    const struct state_options keep = state_options_default();
    const struct pool_options pool = {.windows = windows,
                                      .slots = {[SOURCE_FILE] = OFFLINE_CHUNK},
                                      .columns = (uint32_t)plan_columns(loaded->bundle->plan),
                                      .type = model_info(loaded->bundle->model)->input_type};
    enum status status = metrics_create(&out->metrics, err);
    if (status == STATUS_OK)
        status = history_create(loaded->bundle->schema, loaded->bundle->plan, &keep, &out->history, err);
    if (status == STATUS_OK)
        status = pool_create(loaded->bundle->schema, &pool, &out->pool, err);
    if (status == STATUS_OK) {
        CHECK(pool_take(out->pool, SOURCE_FILE, out->txns, OFFLINE_CHUNK) == OFFLINE_CHUNK);
        const struct pipeline_options options = {.bundle = loaded->bundle, .engine = &loaded->engine, .prepared = loaded->prepared,
                                                 .pool = out->pool, .metrics = out->metrics,
                                                 .history = out->history};
        status = pipeline_create(&options, &out->pipeline, err);
    }
    if (status == STATUS_OK)
        status = worker_create(out->pipeline, SOURCE_FILE, OFFLINE_CHUNK, &out->worker, err);
    if (status != STATUS_OK)
        offline_close(out);
    return status;
}

void offline_close(struct offline *offline)
{
    worker_free(offline->worker);
    pipeline_free(offline->pipeline);
    if (offline->txns[0])
        pool_give(offline->pool, offline->txns, OFFLINE_CHUNK);
    pool_free(offline->pool);
    history_free(offline->history);
    metrics_free(offline->metrics);
    *offline = (struct offline){.loaded = NULL};
}

void offline_decode(struct offline *offline, uint32_t i, const char *text, size_t len)
{
    CHECK(i < OFFLINE_CHUNK);
    struct txn *txn = offline->txns[i];
    txn->outcome = OUTCOME_FAILED;
    (void)pipeline_decode_whole(offline->worker, txn, text, len, clock_monotonic_ns()); /* a fault stands in the slot */
}

static void nothing(void *owner, struct txn *const *txns, uint32_t n)
{
    (void)owner, (void)txns, (void)n; /* answers are read from the slots */
}

void offline_score(struct offline *offline, uint32_t n)
{
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (offline->txns[i]->outcome != OUTCOME_REJECTED)
            offline->accepted[accepted++] = offline->txns[i];
    }
    if (accepted > 0)
        pipeline_score(offline->worker, offline->accepted, accepted, nothing, NULL);
}

void offline_finish(struct offline *offline, uint32_t n)
{
    int64_t now = clock_monotonic_ns();
    for (uint32_t i = 0; i < n; i++)
        pipeline_finish(offline->worker, offline->txns[i], now);
}
