/*
 * The hot path allocates nothing of ours. This program is linked with --wrap for the allocating functions, which catches
 * every call from our own objects and none from libmicrohttpd or libc, and counts them once everything is warm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/decision_log.h"
#include "server/offline.h"
#include "tests/support/example.h"

static _Atomic unsigned long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    (void)atomic_fetch_add(&allocations, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    (void)atomic_fetch_add(&allocations, 1);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    (void)atomic_fetch_add(&allocations, 1);
    return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    (void)atomic_fetch_add(&allocations, 1);
    return __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    (void)atomic_fetch_add(&allocations, 1);
    return __real_strdup(text);
}

static enum status swallow(void *context, const char *lines, size_t len, struct error *err)
{
    (void)context, (void)lines, (void)len, (void)err;
    return STATUS_OK;
}

static void close_nothing(void *context)
{
    (void)context;
}

/* decode, features, score, decide, log, record: a group of 64, one of them refused. */
static void run_group(struct worker *worker, struct pool *pool, struct buf *out, unsigned first)
{
    enum { GROUP = 64 };
    static char documents[GROUP][EXAMPLE_DOCUMENT_MAX];
    const struct record_options options = {.features = true, .timing = true};
    struct txn *txns[GROUP], *accepted[GROUP];
    uint32_t n = 0;
    buf_clear(out);
    CHECK(pool_take(pool, SOURCE_FILE, txns, GROUP) == GROUP);
    for (uint32_t i = 0; i < GROUP; i++) {
        size_t len = example_document(documents[i], first + i), consumed;
        if (i == 10)
            memcpy(documents[i] + 2, "TX_ID", 5); /* the id is missing */
        if (pipeline_decode(worker, txns[i], documents[i], len, clock_monotonic_ns(), &consumed) == STATUS_OK)
            accepted[n++] = txns[i];
        else
            record_write_fault(out, txns[i]->bundle->schema, &txns[i]->fault);
    }
    assert_int_equal(n, GROUP - 1);
    pipeline_score(worker, accepted, n, NULL, NULL);
    for (uint32_t i = 0; i < n; i++)
        record_write(out, accepted[i], pool_rows(pool), &options);
    for (uint32_t i = 0; i < GROUP; i++)
        pipeline_finish(worker, txns[i], clock_monotonic_ns());
    pool_give(pool, txns, GROUP);
}

static void the_pipeline_allocates_nothing(void **state)
{
    (void)state;
    struct loaded loaded;
    struct offline offline;
    struct error err;
    example_open(&loaded);
    assert_int_equal(offline_open(&loaded, &offline, &err), STATUS_OK);
    const struct decision_writer writer = {.write = swallow, .close = close_nothing};
    struct decision_log *log = NULL;
    assert_int_equal(decision_log_create(&(struct decision_log_options){.writers = &writer, .count = 1, .bundle = loaded.bundle,
                                                                        .metrics = offline.metrics}, &log, &err), STATUS_OK);
    const struct pipeline_options options = {.bundle = loaded.bundle, .engine = &loaded.engine, .prepared = loaded.prepared,
                                             .pool = offline.pool, .metrics = offline.metrics, .decision_log = log};
    struct pipeline *pipeline = NULL;
    struct worker *worker = NULL;
    assert_int_equal(pipeline_create(&options, &pipeline, &err), STATUS_OK);
    assert_int_equal(worker_create(pipeline, SOURCE_FILE, 64, &worker, &err), STATUS_OK);
    pool_give(offline.pool, offline.txns, OFFLINE_CHUNK);
    struct buf out = {0};
    for (unsigned i = 0; i < 200; i++)
        run_group(worker, offline.pool, &out, i * 64); /* buffers, the log's too, grow to their size */
    unsigned long before = atomic_load(&allocations);
    assert_true(before > 0); /* the counting works */
    for (unsigned i = 0; i < 200; i++)
        run_group(worker, offline.pool, &out, i * 64);
    assert_int_equal(atomic_load(&allocations), before);
    CHECK(pool_take(offline.pool, SOURCE_FILE, offline.txns, OFFLINE_CHUNK) == OFFLINE_CHUNK);
    worker_free(worker);
    pipeline_free(pipeline);
    decision_log_free(log, clock_monotonic_ns() + 10000000000);
    buf_free(&out);
    offline_close(&offline);
    loaded_close(&loaded);
}

/* One request on a kept connection; the answer must be a 200. */
static void post(int fd, unsigned n)
{
    static char document[EXAMPLE_DOCUMENT_MAX], request[EXAMPLE_DOCUMENT_MAX + 256], answer[4096];
    size_t len = example_document(document, n), got = 0;
    int bytes = snprintf(request, sizeof request,
                         "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", len, document);
    assert_int_equal(send(fd, request, (size_t)bytes, 0), bytes);
    for (;;) {
        ssize_t more = recv(fd, answer + got, sizeof answer - 1 - got, 0);
        assert_true(more > 0);
        got += (size_t)more;
        answer[got] = '\0';
        if (got > 2 && strcmp(answer + got - 2, "}\n") == 0)
            break;
    }
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    assert_non_null(strstr(answer, "\"score\":"));
}

static void http_allocates_nothing_of_ours(void **state)
{
    (void)state;
    char dir[] = "/tmp/assay-test-XXXXXX", listen_on[64], bundle[4200];
    struct settings settings;
    struct error err = {""};
    struct running *running = NULL;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(listen_on, sizeof listen_on, "http.listen=unix:%s/http", dir);
    (void)snprintf(bundle, sizeof bundle, "bundle=%s", example_bundle());
    const char *const overrides[] = {listen_on, bundle, "http.threads=1", "engine=reference", "log.level=error"};
    assert_int_equal(settings_load(&settings, NULL, overrides, sizeof overrides / sizeof overrides[0], &err), STATUS_OK);
    if (server_start(example_parts(), &settings, &running, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s/http", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    unsigned n = 0;
    for (; n < 50; n++)
        post(fd, n);
    unsigned long before = atomic_load(&allocations);
    assert_true(before > 0);
    for (; n < 1000; n++)
        post(fd, n % 990); /* some of them repeats */
    assert_int_equal(atomic_load(&allocations), before);
    (void)close(fd);
    (void)server_stop(running);
    settings_free(&settings);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_pipeline_allocates_nothing), cmocka_unit_test(http_allocates_nothing_of_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
