/*
 * Bodies of POST /v1/score: as one document or array, and as NDJSON. Nothing may crash; what is scored, refused and answered
 * must add up; an answer is JSON of the form that was asked for, whatever came in.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/backend_reference.h"
#include "model/base/check.h"
#include "server/http/http.h"
#include "server/offline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loaded loaded;
static struct offline offline;
static struct server server;
static struct http http;
static struct http_thread thread;

static void open_once(void)
{
    static const struct backend *const backends[] = {&backend_reference, NULL};
    static const struct parts parts = {.backends = backends};
    const char *source = getenv("ASSAY_SOURCE");
    char dir[4096];
    struct error err;
    if (loaded.bundle)
        return;
    (void)snprintf(dir, sizeof dir, "%s/config/bundles/card-fraud", source ? source : ".");
    CHECK(loaded_open(&parts, dir, "reference", &loaded, &err) == STATUS_OK);
    CHECK(offline_open(&loaded, &offline, &err) == STATUS_OK);
    const struct pool_options slots = {.slots = {[SOURCE_HTTP] = 5}, .columns = (uint32_t)plan_columns(loaded.bundle->plan),
                                       .type = model_info(loaded.bundle->model)->input_type};
    server = (struct server){.bundle = loaded.bundle, .metrics = offline.metrics};
    CHECK(pool_create(loaded.bundle->schema, &slots, &server.pool, &err) == STATUS_OK);
    const struct pipeline_options options = {.bundle = loaded.bundle, .engine = &loaded.engine, .prepared = loaded.prepared,
                                             .pool = server.pool, .metrics = offline.metrics};
    CHECK(pipeline_create(&options, &server.pipeline, &err) == STATUS_OK);
    CHECK(worker_create(server.pipeline, SOURCE_HTTP, HTTP_GROUP, &thread.worker, &err) == STATUS_OK);
    CHECK(answers_create(16, 1000000000, 0, &http.answers, &err) == STATUS_OK);
    http.server = &server;
    thread.http = &http;
    thread.metrics = worker_metrics(thread.worker);
}

static void check_json(const char *text, size_t len, bool array, uint64_t items)
{
    json_error_t error;
    json_t *answer = json_loadb(text, len, 0, &error);
    CHECK(answer && (array ? json_is_array(answer) && json_array_size(answer) == items : json_is_object(answer)));
    json_decref(answer);
}

static void check_answer(const struct walk *walk, const struct buf *answer)
{
    uint64_t lines = 0;
    if (walk->form != WALK_LINES) {
        check_json(answer->data, answer->len, walk->form == WALK_ARRAY, walk->items);
        return;
    }
    for (const char *at = answer->data, *end = at ? at + answer->len : at; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        CHECK(newline);
        check_json(at, (size_t)(newline - at), false, 0);
        at = newline + 1;
    }
    CHECK(lines == walk->items);
}

static void answer_body(const struct buf *body, bool lines, bool trial)
{
    struct walk walk;
    struct decode_fault fault;
    struct buf answer = {0};
    if (walk_begin(&walk, body, lines, trial, INT64_C(1000000000000), &fault)) {
        while (!walk.ended)
            CHECK(walk_group(&walk, &thread, NULL, "id", &answer) == WALK_WROTE);
        check_answer(&walk, &answer);
    } else {
        CHECK(fault.reason != DECODE_NONE && fault.offset <= body->len);
    }
    CHECK(pool_in_flight(server.pool, SOURCE_HTTP) == 0);
    CHECK(metrics_value(offline.metrics, METRIC_IN_FLIGHT, SOURCE_HTTP) == 0);
    buf_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_once();
    /* A copy of its own size, so that reading past it is seen. */
    struct buf body = {.data = malloc(size ? size : 1), .len = size, .cap = size ? size : 1};
    CHECK(body.data);
    if (size)
        memcpy(body.data, data, size);
    answer_body(&body, false, false);
    answer_body(&body, true, false);
    answer_body(&body, false, true);
    buf_free(&body);
    return 0;
}
