#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/clock.h"
#include "server/metrics.h"

static int setup(void **state)
{
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_create(&metrics, NULL), STATUS_OK);
    *state = metrics;
    return 0;
}

static int teardown(void **state)
{
    metrics_free(*state);
    return 0;
}

/* The exposition as text; the caller frees with free(). */
static char *expose(struct metrics *metrics)
{
    struct buf out = {0};
    metrics_expose(metrics, &out);
    char *text = strdup(buf_text(&out));
    assert_non_null(text);
    buf_free(&out);
    return text;
}

static void assert_line(const char *text, const char *line)
{
    char want[512];
    (void)snprintf(want, sizeof want, "\n%s\n", line);
    if (!strstr(text, want))
        fail_msg("not exposed: %s", line);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void counters_add_up_over_shards(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *a = metrics_shard_create(metrics), *b = metrics_shard_create(metrics);
    metrics_add(a, METRIC_TRANSACTIONS, 0 * 5 + 0, 3); /* http, scored */
    metrics_add(b, METRIC_TRANSACTIONS, 0 * 5 + 0, 4);
    metrics_add(b, METRIC_TRANSACTIONS, 1 * 5 + 4, 9); /* kafka, failed */
    assert_int_equal(metrics_value(metrics, METRIC_TRANSACTIONS, 0), 7);
    char *text = expose(metrics);
    assert_line(text, "assay_transactions_total{source=\"http\",outcome=\"scored\"} 7");
    assert_line(text, "assay_transactions_total{source=\"kafka\",outcome=\"failed\"} 9");
    assert_line(text, "assay_transactions_total{source=\"file\",outcome=\"scored\"} 0");
    assert_int_equal(occurrences(text, "# TYPE assay_transactions_total counter\n"), 1);
    assert_int_equal(occurrences(text, "# HELP assay_transactions_total "), 1);
    free(text);
}

static void a_gauge_may_rise_in_one_thread_and_fall_in_another(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *a = metrics_shard_create(metrics), *b = metrics_shard_create(metrics);
    metrics_move(a, METRIC_IN_FLIGHT, 1, 5);
    metrics_move(b, METRIC_IN_FLIGHT, 1, -2);
    metrics_move(b, METRIC_IN_FLIGHT, 0, -1);
    char *text = expose(metrics);
    assert_line(text, "assay_in_flight{source=\"kafka\"} 3");
    assert_line(text, "assay_in_flight{source=\"http\"} -1");
    free(text);
}

static void buckets_are_inclusive_cumulative_and_in_seconds(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *shard = metrics_shard_create(metrics);
    metrics_observe_ns(shard, METRIC_STAGE, 2, 500, 1);           /* on the first bound */
    metrics_observe_ns(shard, METRIC_STAGE, 2, 501, 1);           /* just above it */
    metrics_observe_ns(shard, METRIC_STAGE, 2, 1000, 3);          /* three at once */
    metrics_observe_ns(shard, METRIC_STAGE, 2, 5000000000u, 1);   /* above the last */
    metrics_observe_ns(shard, METRIC_STAGE, 2, 0, 1);
    char *text = expose(metrics);
    assert_line(text, "assay_stage_seconds_bucket{stage=\"score\",le=\"5e-07\"} 2");
    assert_line(text, "assay_stage_seconds_bucket{stage=\"score\",le=\"7e-07\"} 3");
    assert_line(text, "assay_stage_seconds_bucket{stage=\"score\",le=\"1e-06\"} 6");
    assert_line(text, "assay_stage_seconds_bucket{stage=\"score\",le=\"1\"} 6");
    assert_line(text, "assay_stage_seconds_bucket{stage=\"score\",le=\"+Inf\"} 7");
    assert_line(text, "assay_stage_seconds_sum{stage=\"score\"} 5.000004001");
    assert_line(text, "assay_stage_seconds_count{stage=\"score\"} 7");
    assert_line(text, "assay_stage_seconds_count{stage=\"decode\"} 0");
    free(text);
    assert_int_equal(metrics_value(metrics, METRIC_STAGE, 2), 7);
}

/* Every bound, one below and one above it, lands where a plain search says. */
static void bucket_search_agrees_with_the_bounds(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *shard = metrics_shard_create(metrics);
    char *text = expose(metrics);
    double bounds[METRICS_BUCKETS_MAX];
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "_transaction_seconds_bucket{source=\"file\",le=\"")); at++) {
        const char *le = strstr(at, "le=\"") + 4;
        if (*le != '+')
            bounds[n++] = strtod(le, NULL);
    }
    free(text);
    assert_true(n > 30);
    assert_true(bounds[0] == 1e-5 && bounds[n - 1] == 10.0);
    for (size_t i = 0; i < n; i++) {
        struct metrics_counts before, now;
        uint64_t ns = (uint64_t)(bounds[i] * 1e9 + 0.5);
        metrics_counts(metrics, METRIC_TOTAL, 2, &before);
        metrics_observe_ns(shard, METRIC_TOTAL, 2, ns - 1, 1);
        metrics_observe_ns(shard, METRIC_TOTAL, 2, ns, 1);
        metrics_observe_ns(shard, METRIC_TOTAL, 2, ns + 1, 1);
        metrics_counts(metrics, METRIC_TOTAL, 2, &now);
        metrics_counts_subtract(&now, &before);
        assert_int_equal(now.count, 3);
        assert_int_equal(now.buckets[i], 2);
        assert_int_equal(now.buckets[i + 1], 1);
    }
}

static void sizes_fall_in_powers_of_two(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *shard = metrics_shard_create(metrics);
    metrics_observe_size(shard, METRIC_BATCH, 1);
    metrics_observe_size(shard, METRIC_BATCH, 3);
    metrics_observe_size(shard, METRIC_BATCH, 64);
    char *text = expose(metrics);
    assert_line(text, "assay_batch_size_bucket{le=\"1\"} 1");
    assert_line(text, "assay_batch_size_bucket{le=\"2\"} 1");
    assert_line(text, "assay_batch_size_bucket{le=\"4\"} 2");
    assert_line(text, "assay_batch_size_bucket{le=\"64\"} 3");
    assert_line(text, "assay_batch_size_sum 68");
    assert_line(text, "assay_batch_size_count 3");
    free(text);
}

static void quantiles_lie_within_their_bucket(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *shard = metrics_shard_create(metrics);
    double none = metrics_quantile(metrics, METRIC_TOTAL, 0, 0.5);
    assert_true(none != none);
    metrics_observe_ns(shard, METRIC_TOTAL, 0, 25000, 900);      /* in (20, 30] us */
    metrics_observe_ns(shard, METRIC_TOTAL, 0, 4000000, 100);    /* in (3, 5] ms */
    double p50 = metrics_quantile(metrics, METRIC_TOTAL, 0, 0.5), p99 = metrics_quantile(metrics, METRIC_TOTAL, 0, 0.99);
    assert_true(p50 > 20e-6 && p50 <= 30e-6);
    assert_true(p99 > 3e-3 && p99 <= 5e-3);
    assert_true(metrics_quantile(metrics, METRIC_TOTAL, 0, 1.0) <= 5e-3);
    metrics_observe_ns(shard, METRIC_TOTAL, 1, 60000000000u, 1); /* a minute: above every bound */
    assert_true(metrics_quantile(metrics, METRIC_TOTAL, 1, 0.5) == 10.0);
}

/* The labels of the metric are in the order of enum decode_reason, which indexes them. */
static void decode_faults_have_the_decoder_s_labels(void **state)
{
    static const char *const labels[] = {
#define REASON(name, label, text) label,
#include "model/input/reasons.def"
#undef REASON
    };
    struct metrics *metrics = *state;
    struct metrics_shard *shard = metrics_shard_create(metrics);
    size_t n = sizeof labels / sizeof labels[0];
    for (uint32_t i = 0; i < n; i++)
        metrics_add(shard, METRIC_DECODE_FAULTS, i, 1000 + i);
    char *text = expose(metrics);
    assert_int_equal(occurrences(text, "\nassay_decode_faults_total{"), n - 1); /* "none" holds a place but is no fault */
    for (size_t i = 1; i < n; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "assay_decode_faults_total{reason=\"%s\"} %zu", labels[i], 1000 + i);
        assert_line(text, line);
    }
    free(text);
}

static void collect_lag(void *context, struct buf *out)
{
    const struct metrics_label labels[] = {{"topic", context}, {"partition", "3"}};
    metrics_write_family(out, "assay_test_lag", "gauge", "A \\ and a\nnewline and a \"quote\".");
    metrics_write_sample(out, "assay_test_lag", labels, 2, 1234567);
}

static void collectors_append_families_until_removed(void **state)
{
    struct metrics *metrics = *state;
    char topic[] = "a\"b\\c\nd";
    assert_int_equal(metrics_collector_add(metrics, collect_lag, topic), STATUS_OK);
    char *text = expose(metrics);
    assert_line(text, "# HELP assay_test_lag A \\\\ and a\\nnewline and a \"quote\".");
    assert_line(text, "# TYPE assay_test_lag gauge");
    assert_non_null(strstr(text, "\nassay_test_lag{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 1234567\n"));
    free(text);
    metrics_collector_remove(metrics, collect_lag, topic);
    text = expose(metrics);
    assert_null(strstr(text, "assay_test_lag"));
    free(text);
}

static void names_model_build_and_process(void **state)
{
    struct metrics *metrics = *state;
    char *text = expose(metrics);
    assert_null(strstr(text, "assay_model_info"));
    free(text);
    assert_int_equal(metrics_model_set(metrics, "card-fraud", "2", "00ff", NULL), STATUS_OK);
    assert_int_equal(metrics_model_set(metrics, "card-fraud", "3", "0123", NULL), STATUS_OK);
    text = expose(metrics);
    assert_line(text, "assay_model_info{name=\"card-fraud\",version=\"3\",digest=\"0123\"} 1");
    assert_non_null(strstr(text, "\nassay_build_info{version=\"" ASSAY_VERSION "\","));
    static const char *const process[] = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                                          "process_start_time_seconds", "process_threads", "process_max_fds"};
    for (size_t i = 0; i < sizeof process / sizeof process[0]; i++) {
        char start[64];
        (void)snprintf(start, sizeof start, "\n%s ", process[i]);
        const char *at = strstr(text, start);
        assert_non_null(at);
        assert_true(strtod(at + strlen(start), NULL) >= 0);
    }
    const char *started = strstr(text, "\nprocess_start_time_seconds ") + 28;
    double now = (double)clock_wall_us() / 1e6;
    assert_true(strtod(started, NULL) < now + 2 && strtod(started, NULL) > now - 3600);
    free(text);
}

static void promtool_accepts_it(void **state)
{
    struct metrics *metrics = *state;
    struct metrics_shard *shard = metrics_shard_create(metrics);
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        (void)printf("skipped: promtool is not installed\n");
        skip();
    }
    metrics_observe_ns(shard, METRIC_STAGE, 0, 1234, 1);
    assert_int_equal(metrics_model_set(metrics, "quote\" and \\ and\nnewline", "3", "0123", NULL), STATUS_OK);
    char path[] = "/tmp/assay_metrics_XXXXXX", command[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    char *text = expose(metrics);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    free(text);
    (void)snprintf(command, sizeof command, "promtool check metrics < %s", path);
    int verdict = system(command);
    (void)unlink(path);
    assert_int_equal(verdict, 0);
}

enum { WRITERS = 4, WRITES = 20000 };

static void *write_much(void *context)
{
    struct metrics_shard *shard = metrics_shard_create(context);
    for (uint64_t i = 0; i < WRITES; i++) {
        metrics_move(shard, METRIC_IN_FLIGHT, 0, 1);
        metrics_add(shard, METRIC_DECISIONS, (uint32_t)(i % 3), 1);
        metrics_observe_ns(shard, METRIC_TOTAL, 0, i * 100, 1);
        metrics_move(shard, METRIC_IN_FLIGHT, 0, -1);
    }
    return NULL;
}

/* Also what ThreadSanitizer looks at: writers, a scraper and new shards at the same time. */
static void nothing_is_lost_while_scraped(void **state)
{
    struct metrics *metrics = *state;
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_much, metrics), 0);
    uint64_t seen = 0;
    for (int i = 0; i < 20; i++) {
        free(expose(metrics));
        uint64_t now = metrics_value(metrics, METRIC_TOTAL, 0);
        assert_true(now >= seen);
        seen = now;
    }
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    uint64_t decisions = 0;
    for (uint32_t i = 0; i < 3; i++)
        decisions += metrics_value(metrics, METRIC_DECISIONS, i);
    assert_int_equal(decisions, WRITERS * WRITES);
    assert_int_equal(metrics_value(metrics, METRIC_TOTAL, 0), WRITERS * WRITES);
    assert_int_equal(metrics_value(metrics, METRIC_IN_FLIGHT, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_add_up_over_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gauge_may_rise_in_one_thread_and_fall_in_another, setup, teardown),
        cmocka_unit_test_setup_teardown(buckets_are_inclusive_cumulative_and_in_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(bucket_search_agrees_with_the_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_fall_in_powers_of_two, setup, teardown),
        cmocka_unit_test_setup_teardown(quantiles_lie_within_their_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(decode_faults_have_the_decoder_s_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(collectors_append_families_until_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(names_model_build_and_process, setup, teardown),
        cmocka_unit_test_setup_teardown(promtool_accepts_it, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_lost_while_scraped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
