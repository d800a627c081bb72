/*
 * The decoder against jansson on the transaction of docs/transactions.md: 13 fields in about 250 bytes, every field read
 * by both. Rounds alternate, so that a drift of the machine meets both alike.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/input/decode.h"
#include "server/cmd/args.h"

static const struct field fields[] = {
    {.name = "id", .path = "tx_id", .type = FIELD_ID},
    {.name = "time", .path = "ts", .type = FIELD_TIME, .unit = TIME_SECONDS},
    {.name = "card", .path = "customer_id", .type = FIELD_KEY},
    {.name = "terminal", .path = "terminal_id", .type = FIELD_KEY},
    {.name = "amount", .path = "amount", .type = FIELD_NUMBER},
    {.name = "currency", .path = "currency", .type = FIELD_CATEGORY},
    {.name = "mcc", .path = "mcc", .type = FIELD_NUMBER},
    {.name = "country", .path = "country", .type = FIELD_CATEGORY},
    {.name = "channel", .path = "channel", .type = FIELD_CATEGORY},
    {.name = "lat", .path = "lat", .type = FIELD_NUMBER},
    {.name = "lon", .path = "lon", .type = FIELD_NUMBER},
    {.name = "distance", .path = "distance", .type = FIELD_NUMBER},
    {.name = "device", .path = "device", .type = FIELD_CATEGORY},
};

enum { FIELDS = sizeof fields / sizeof fields[0], DOCUMENTS = 512, ROUNDS = 41 };

static char documents[DOCUMENTS][320];
static size_t lengths[DOCUMENTS];

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void make_documents(uint64_t seed)
{
    for (int i = 0; i < DOCUMENTS; i++) {
        uint64_t h = next_random(&seed), g = next_random(&seed);
        int n = snprintf(documents[i], sizeof documents[i],
                         "{\"tx_id\":\"T%012llu\",\"ts\":%u,\"customer_id\":%u,\"terminal_id\":%u,\"amount\":%u.%02u,\"currency\":\"EUR\","
                         "\"mcc\":%u,\"country\":\"DE\",\"channel\":\"pos\",\"lat\":%u.%04u,\"lon\":%u.%04u,\"distance\":%u.%u,"
                         "\"terminal_type\":\"chip\",\"device\":\"android-14-%07x\"}",
                         (unsigned long long)(h % 1000000000000), 1532476800 + (unsigned)(g % 86400), 100000 + (unsigned)(h >> 20) % 400000,
                         1000 + (unsigned)(g >> 20) % 9000, 10 + (unsigned)(h >> 8) % 890, (unsigned)(g >> 8) % 100,
                         5000 + (unsigned)(h >> 11) % 999, 40 + (unsigned)(g >> 5) % 15, (unsigned)(h >> 9) % 10000,
                         10 + (unsigned)(g >> 7) % 20, (unsigned)(h >> 13) % 10000, 100 + (unsigned)(g >> 15) % 800,
                         (unsigned)(h >> 4) % 10, (unsigned)(g >> 16) & 0xfffffff);
        CHECK(n > 0 && (size_t)n < sizeof documents[i]);
        lengths[i] = (size_t)n;
    }
}

static double ours_ns(const struct schema *schema, struct transaction *tx)
{
    int64_t start = clock_monotonic_ns();
    for (int i = 0; i < DOCUMENTS; i++) {
        size_t consumed;
        struct decode_fault fault;
        CHECK(decode_transaction(schema, documents[i], lengths[i], tx, &consumed, &fault) == STATUS_OK);
    }
    return (double)(clock_monotonic_ns() - start) / DOCUMENTS;
}

/* What a service with jansson does: parse, fetch each field, free. */
static double jansson_ns(double *sink)
{
    int64_t start = clock_monotonic_ns();
    for (int i = 0; i < DOCUMENTS; i++) {
        json_error_t error;
        json_t *root = json_loadb(documents[i], lengths[i], JSON_REJECT_DUPLICATES, &error);
        CHECK(root);
        for (size_t k = 0; k < FIELDS; k++) {
            const json_t *v = json_object_get(root, fields[k].path);
            *sink += json_is_string(v) ? (double)json_string_length(v) : json_number_value(v);
        }
        json_decref(root);
    }
    return (double)(clock_monotonic_ns() - start) / DOCUMENTS;
}

int bench_decode(const struct parts *parts, int argc, char **argv)
{
    (void)parts;
    bool json = false;
    int64_t seed = 1;
    const struct args_option options[] = {
        {.name = "seed", .kind = ARGS_INT, .out = &seed, .value = "N", .help = "seed of the documents"},
        {.name = "json", .kind = ARGS_FLAG, .out = &json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench decode [--seed N] [--json]",
        .summary = "Time to decode a transaction of 13 fields strictly, against jansson, one thread, same documents.",
        .examples = "  assay bench decode",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct schema *schema;
    struct transaction tx;
    struct error err;
    if (schema_create(fields, FIELDS, &schema, &err) != STATUS_OK || transaction_init(&tx, schema, 0, &err) != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        return EXIT_FAILED;
    }
    make_documents((uint64_t)seed);
    double ours[ROUNDS], theirs[ROUNDS], ratios[ROUNDS], sink = 0, bytes = 0;
    for (int r = 0; r < ROUNDS; r++) {
        ours[r] = ours_ns(schema, &tx);
        theirs[r] = jansson_ns(&sink);
        ratios[r] = theirs[r] / ours[r];
    }
    for (int i = 0; i < DOCUMENTS; i++)
        bytes += (double)lengths[i] / DOCUMENTS;
    CHECK(sink != 0);
    double ns = report_median(ours, ROUNDS);
    struct report *report = report_begin("decode", (uint64_t)seed, json);
    report_add(report, "document_bytes", bytes, "bytes", 0, "13 fields read, one skipped");
    report_goal(report, "decode_us", ns / 1000, "us", 3, true, 0.4);
    report_add(report, "decode_mb_per_s", bytes / ns * 1000, "MB/s", 0, "");
    report_add(report, "jansson_us", report_median(theirs, ROUNDS) / 1000, "us", 3, "parse, fetch each field, free");
    report_goal(report, "jansson_over_ours", report_median(ratios, ROUNDS), "x", 1, false, 10);
    report_end(report);
    transaction_free(&tx);
    schema_free(schema);
    return EXIT_DONE;
}
