/* The decision log: every decision once and in order, whatever its writers do. */
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/clock.h"
#include "model/base/digest.h"
#include "server/decision_log.h"
#include "server/offline.h"
#include "tests/support/example.h"

static struct loaded loaded;
static struct offline offline;

static int setup(void **state)
{
    (void)state;
    struct error err;
    example_open(&loaded);
    return offline_open(&loaded, &offline, &err) != STATUS_OK;
}

static int teardown(void **state)
{
    (void)state;
    offline_close(&offline);
    loaded_close(&loaded);
    return 0;
}

/* A writer that takes what it is told to take. */
struct sink {
    struct buf taken;
    _Atomic int busy;   /* so many calls are answered with BUSY; -1: all */
    _Atomic int calls;
    atomic_bool closed;
};

static enum status sink_write(void *context, const char *lines, size_t len, struct error *err)
{
    struct sink *s = context;
    (void)atomic_fetch_add(&s->calls, 1);
    int busy = atomic_load(&s->busy);
    if (busy != 0) {
        if (busy > 0)
            atomic_store(&s->busy, busy - 1);
        return error_set(err, STATUS_BUSY, "full");
    }
    buf_append(&s->taken, lines, len);
    return STATUS_OK;
}

static void sink_close(void *context)
{
    atomic_store(&((struct sink *)context)->closed, true);
}

static struct decision_log *open_log(struct sink *sink, bool may_drop)
{
    const struct decision_writer writer = {.write = sink_write, .close = sink_close, .context = sink};
    struct decision_log *log = NULL;
    struct error err;
    assert_int_equal(decision_log_create(&(struct decision_log_options){.writers = &writer, .count = 1, .bundle = loaded.bundle,
                                                                        .metrics = offline.metrics, .may_drop = may_drop}, &log, &err), STATUS_OK);
    return log;
}

static int64_t soon(int seconds)
{
    return clock_monotonic_ns() + seconds * INT64_C(1000000000);
}

/* Appends documents first..first+n, all with the example's first verdict. */
static void append(struct decision_log *log, unsigned first, unsigned n)
{
    struct decision_producer *producer = NULL;
    struct error err;
    char document[EXAMPLE_DOCUMENT_MAX];
    assert_int_equal(decision_producer_create(log, metrics_shard_create(offline.metrics), &producer, &err), STATUS_OK);
    for (unsigned i = first; i < first + n; i++) {
        offline_decode(&offline, 0, document, example_document(document, i));
        offline_score(&offline, 1);
        decision_log_append(producer, offline.txns[0], pool_rows(offline.pool));
        offline_finish(&offline, 1);
    }
    decision_producer_free(producer);
}

static unsigned expect_lines(const struct sink *sink, unsigned first)
{
    unsigned lines = 0;
    for (const char *at = sink->taken.data, *end = at + sink->taken.len; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        char id[32];
        assert_non_null(newline);
        json_t *line = json_loadb(at, (size_t)(newline - at), 0, NULL);
        assert_non_null(line);
        (void)snprintf(id, sizeof id, "E-%u", first + lines);
        assert_string_equal(json_string_value(json_object_get(line, "transaction_id")), id);
        assert_int_equal(json_object_size(json_object_get(line, "features")), loaded.bundle->features);
        assert_int_equal(strlen(json_string_value(json_object_get(line, "input_sha256"))), 64);
        assert_string_equal(json_string_value(json_object_get(line, "model_sha256")), loaded.bundle->model_digest);
        assert_true(json_is_real(json_object_get(line, "margin")) && json_is_real(json_object_get(line, "score")));
        json_decref(line);
        at = newline + 1;
    }
    return lines;
}

static void every_decision_is_one_line_in_order(void **state)
{
    (void)state;
    struct sink sink = {.taken = {0}};
    struct decision_log *log = open_log(&sink, false);
    append(log, 0, 10000); /* more than a ring holds */
    decision_log_free(log, soon(60));
    assert_int_equal(expect_lines(&sink, 0), 10000);
    assert_true(atomic_load(&sink.closed));
    buf_free(&sink.taken);
}

static void a_line_says_what_was_decided_on(void **state)
{
    (void)state;
    struct sink sink = {.taken = {0}};
    struct decision_log *log = open_log(&sink, false);
    append(log, 100, 1);
    decision_log_free(log, soon(60));
    const char *text = buf_text(&sink.taken);
    char document[EXAMPLE_DOCUMENT_MAX], hex[DIGEST_HEX + 1] = "";
    uint8_t sha256[DIGEST_BYTES];
    struct digest *digest = NULL;
    struct error err;
    assert_int_equal(digest_create(&digest, &err), STATUS_OK);
    digest_sha256(digest, document, example_document(document, 100), sha256);
    digest_hex(sha256, hex);
    digest_free(digest);
    assert_non_null(strstr(text, hex)); /* of the very bytes that came in */
    assert_non_null(strstr(text, "\"source\":\"file\",\"transaction_id\":\"E-100\""));
    assert_non_null(strstr(text, "\"model\":\"card-fraud\",\"version\":\"1\""));
    assert_non_null(strstr(text, "\"features\":{\"amount\":40"));
    buf_free(&sink.taken);
}

static void a_busy_writer_is_asked_again(void **state)
{
    (void)state;
    struct sink sink = {.busy = 3};
    struct decision_log *log = open_log(&sink, false);
    append(log, 0, 50);
    decision_log_free(log, soon(60));
    assert_int_equal(expect_lines(&sink, 0), 50);
    buf_free(&sink.taken);
}

static uint64_t dropped(void)
{
    return metrics_value(offline.metrics, METRIC_DECISION_LOG, 1);
}

static void what_may_be_dropped_is_counted(void **state)
{
    (void)state;
    uint64_t before = dropped();
    struct sink sink = {.busy = -1};
    struct decision_log *log = open_log(&sink, true);
    append(log, 0, 20000); /* the writer never takes any, and nobody waits for it */
    decision_log_free(log, soon(60));
    assert_int_equal(dropped() - before, 20000);
    assert_int_equal(sink.taken.len, 0);
    buf_free(&sink.taken);
}

static void the_end_waits_until_its_deadline_only(void **state)
{
    (void)state;
    uint64_t before = dropped();
    struct sink sink = {.busy = -1};
    struct decision_log *log = open_log(&sink, false);
    append(log, 0, 10);
    decision_log_free(log, clock_monotonic_ns() + 100000000);
    assert_int_equal(dropped() - before, 10);
    assert_true(atomic_load(&sink.closed));
    buf_free(&sink.taken);
}

static void workers_wait_no_longer_than_the_end(void **state)
{
    (void)state;
    uint64_t before = dropped();
    struct sink sink = {.busy = -1};
    struct decision_log *log = open_log(&sink, false);
    int64_t deadline_ns = clock_monotonic_ns() + 100000000;
    decision_log_end(log, deadline_ns);
    append(log, 0, 20000); /* far more than there is room for, and the writer takes none */
    decision_log_free(log, deadline_ns);
    assert_int_equal(dropped() - before, 20000);
    buf_free(&sink.taken);
}

static void lines_dropped_halfway_spoil_no_others(void **state)
{
    (void)state;
    char dir[] = "/tmp/assay-test-XXXXXX", path[64];
    struct decision_writer writer;
    struct error err = {""};
    struct buf content = {0};
    struct rlimit whole;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/log", dir);
    assert_int_equal(decision_file_open(path, &writer, &err), STATUS_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    const struct rlimit tight = {.rlim_cur = 7, .rlim_max = whole.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_int_equal(writer.write(writer.context, "aaaa\nbbbb\n", 10, &err), STATUS_BUSY);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    writer.drop(writer.context);
    assert_int_equal(writer.write(writer.context, "cccc\n", 5, &err), STATUS_OK);
    writer.close(writer.context);
    assert_int_equal(buf_read_file(&content, path, 1000, &err), STATUS_OK);
    assert_string_equal(buf_text(&content), "aaaa\nbb\ncccc\n");
    buf_free(&content);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void a_renamed_file_is_followed(void **state)
{
    (void)state;
    char dir[] = "/tmp/assay-test-XXXXXX", path[64], old[64];
    struct decision_writer writer;
    struct error err;
    struct buf text = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/log", dir);
    (void)snprintf(old, sizeof old, "%s/log.1", dir);
    assert_int_equal(decision_file_open(path, &writer, &err), STATUS_OK);
    assert_int_equal(writer.write(writer.context, "one\n", 4, &err), STATUS_OK);
    assert_int_equal(rename(path, old), 0);
    (void)sleep(1);
    (void)usleep(100000);
    assert_int_equal(writer.write(writer.context, "two\n", 4, &err), STATUS_OK);
    writer.close(writer.context);
    assert_int_equal(buf_read_file(&text, path, 100, &err), STATUS_OK);
    assert_string_equal(buf_text(&text), "two\n");
    buf_clear(&text);
    assert_int_equal(buf_read_file(&text, old, 100, &err), STATUS_OK);
    assert_string_equal(buf_text(&text), "one\n");
    buf_free(&text);
    (void)unlink(path);
    (void)unlink(old);
    (void)rmdir(dir);
    assert_int_equal(decision_file_open("/nowhere/log", &writer, &err), STATUS_IO);
    assert_non_null(strstr(err.message, "/nowhere/log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_decision_is_one_line_in_order), cmocka_unit_test(a_line_says_what_was_decided_on),
        cmocka_unit_test(a_busy_writer_is_asked_again),        cmocka_unit_test(what_may_be_dropped_is_counted),
        cmocka_unit_test(the_end_waits_until_its_deadline_only), cmocka_unit_test(workers_wait_no_longer_than_the_end),
        cmocka_unit_test(lines_dropped_halfway_spoil_no_others),
        cmocka_unit_test(a_renamed_file_is_followed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
