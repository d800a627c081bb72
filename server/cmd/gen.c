/*
 * assay gen: transactions with known frauds to a file, to stdout, or into Kafka at a paced rate.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/base/buf.h"
#include "model/base/clock.h"
#include "model/base/nearest.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/gen/gen.h"
#include "server/gen/kafka_writer.h"
#include "server/progress.h"

enum { FLUSH_MS = 60000, BLOCK_BYTES = 1 << 18 };

static volatile sig_atomic_t stop; /* signals so far: the first ends the lines, one more the wait for acknowledgements */

static void on_signal(int number)
{
    (void)number;
    stop = stop + 1;
}

struct settings_of_gen {
    int64_t transactions, seed, cards, terminals;
    double days, fraud, rate;
    const char *start, *scenarios, *out, *labels, *kafka, *topic;
    struct args_list properties;
};

/* A file that lines are gathered for. */
struct lines {
    const char *path;
    int fd; /* -1: none */
    struct buf block;
};

/* Where everything goes. */
struct outlet {
    struct gen *gen;
    struct kafka_writer *kafka; /* or NULL */
    struct lines records, labels;
};

static enum status lines_flush(struct lines *lines, struct error *err)
{
    size_t done = 0;
    if (lines->block.failed)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    while (done < lines->block.len) {
        ssize_t n = write(lines->fd, lines->block.data + done, lines->block.len - done);
        if (n < 0 && errno != EINTR)
            return error_set(err, STATUS_IO, "%s: %s", lines->path, strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&lines->block);
    return STATUS_OK;
}

static enum status lines_open(struct lines *lines, const char *path, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    lines->path = standard ? "stdout" : path;
    lines->fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return lines->fd >= 0 ? STATUS_OK : error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
}

static enum status lines_close(struct lines *lines, struct error *err)
{
    enum status status = STATUS_OK;
    if (lines->fd >= 0) {
        status = lines_flush(lines, err);
        if (close(lines->fd) != 0 && status == STATUS_OK)
            status = error_set(err, STATUS_IO, "%s: %s", lines->path, strerror(errno));
    }
    buf_free(&lines->block);
    lines->fd = -1;
    return status;
}

/* A date, a date and time in UTC, or seconds since 1970. */
static enum status parse_start(const char *text, int64_t *out, struct error *err)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && *end == '\0') {
            *out = timegm(&tm);
            return STATUS_OK;
        }
    }
    char *end = NULL;
    errno = 0;
    *out = strtoimax(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return error_set(err, STATUS_USAGE, "--start '%s': 2025-01-31, 2025-01-31T12:00:00Z or seconds since 1970 is needed", text);
    return STATUS_OK;
}

/* Shares the frauds equally among the scenarios of a list "spree,testing". */
static enum status parse_scenarios(const char *text, double fraud, double shares[GEN_SCENARIOS], struct error *err)
{
    const char *names[GEN_SCENARIOS - 1];
    bool chosen[GEN_SCENARIOS] = {false};
    int n = 0;
    for (int s = GEN_SPREE; s < GEN_SCENARIOS; s++)
        names[s - 1] = gen_scenario_name((enum gen_scenario)s);
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        char word[32];
        int s = GEN_SPREE;
        (void)snprintf(word, sizeof word, "%.*s", (int)len, at);
        while (s < GEN_SCENARIOS && strcmp(word, names[s - 1]) != 0)
            s++;
        if (s == GEN_SCENARIOS) {
            const char *near = nearest_word(word, names, GEN_SCENARIOS - 1);
            return error_set(err, STATUS_USAGE, "--scenarios: unknown scenario '%s'%s%s%s", word, near ? ", did you mean '" : "",
                             near ? near : "", near ? "'?" : "");
        }
        n += !chosen[s];
        chosen[s] = true;
        at += len;
        if (*at == '\0')
            break;
    }
    for (int s = GEN_SPREE; s < GEN_SCENARIOS; s++)
        shares[s] = chosen[s] ? fraud / n : 0;
    return STATUS_OK;
}

static enum status make_generator(const struct settings_of_gen *s, struct gen **out, struct error *err)
{
    /* A card pays about twice a day, unless a span of time was asked for. */
    double per_day = s->days > 0 ? (double)s->transactions / s->days : 2.0 * (double)s->cards;
    struct gen_options options = {
        .seed = (uint64_t)s->seed, .per_day = per_day, .cards = (uint32_t)s->cards, .terminals = (uint32_t)s->terminals};
    if (s->days > 0 && s->transactions == 0)
        return error_set(err, STATUS_USAGE, "--days needs a number of --transactions");
    enum status status = parse_start(s->start, &options.start_s, err);
    if (status == STATUS_OK)
        status = parse_scenarios(s->scenarios, s->fraud, options.fraud, err);
    if (status != STATUS_OK)
        return status;
    status = gen_create(&options, out, err);
    return status == STATUS_INVALID ? STATUS_USAGE : status;
}

static enum status put_line(struct lines *lines, const char *line, size_t len, struct error *err)
{
    buf_append(&lines->block, line, len);
    return lines->block.len < BLOCK_BYTES && !lines->block.failed ? STATUS_OK : lines_flush(lines, err);
}

static enum status put_one(struct outlet *outlet, struct error *err)
{
    char line[GEN_TEXT_MAX], customer[GEN_TEXT_MAX];
    struct gen_transaction tx;
    gen_next(outlet->gen, &tx);
    size_t len = gen_write_transaction(outlet->gen, &tx, line);
    enum status status;
    if (outlet->kafka)
        status = kafka_writer_send(outlet->kafka, customer, gen_write_customer(&tx, customer), line, len - 1, &stop, err);
    else
        status = put_line(&outlet->records, line, len, err);
    if (status == STATUS_OK && outlet->labels.fd >= 0)
        status = put_line(&outlet->labels, line, gen_write_label(outlet->gen, &tx, line), err);
    return status;
}

/* Waits until `done` transactions are due at this rate; what waits in blocks goes out first, since a reader may be waiting. */
static enum status keep_pace(struct outlet *outlet, double rate, uint64_t done, int64_t started_ns, struct error *err)
{
    int64_t due_ns = started_ns + (int64_t)((double)done / rate * 1e9);
    enum status status = STATUS_OK;
    while (!stop && status == STATUS_OK) {
        int64_t wait_ns = due_ns - clock_monotonic_ns();
        if (wait_ns <= 0)
            break;
        if (outlet->kafka)
            kafka_writer_poll(outlet->kafka);
        else
            status = lines_flush(&outlet->records, err);
        if (status == STATUS_OK && outlet->labels.fd >= 0)
            status = lines_flush(&outlet->labels, err);
        struct timespec nap = {.tv_nsec = wait_ns < 50000000 ? (wait_ns < 1000000 ? 1000000 : wait_ns) : 50000000};
        (void)nanosleep(&nap, NULL);
    }
    return status;
}

static enum status put_all(struct outlet *outlet, const struct settings_of_gen *s, uint64_t *done, struct error *err)
{
    struct progress progress;
    enum status status = STATUS_OK;
    uint64_t total = (uint64_t)s->transactions;
    int64_t started_ns = clock_monotonic_ns();
    progress_begin(&progress, total);
    while (!stop && status == STATUS_OK && (total == 0 || *done < total)) {
        if (s->rate > 0)
            status = keep_pace(outlet, s->rate, *done, started_ns, err);
        if (status == STATUS_OK && !stop)
            status = put_one(outlet, err);
        *done += status == STATUS_OK;
        progress_update(&progress, *done, *done);
    }
    progress_end(&progress, *done);
    return status == STATUS_CLOSED ? STATUS_OK : status;
}

static enum status open_outlet(struct outlet *outlet, const struct settings_of_gen *s, struct error *err)
{
    if ((s->kafka == NULL) != (s->topic == NULL))
        return error_set(err, STATUS_USAGE, "--kafka and --topic go together");
    if (s->kafka && s->out)
        return error_set(err, STATUS_USAGE, "--kafka and --out exclude each other");
    if (!s->kafka && s->properties.size > 0)
        return error_set(err, STATUS_USAGE, "-X needs --kafka");
    enum status status = make_generator(s, &outlet->gen, err);
    if (status == STATUS_OK && s->kafka)
        status = kafka_writer_create(s->kafka, s->topic, s->properties.items, s->properties.size, &outlet->kafka, err);
    else if (status == STATUS_OK)
        status = lines_open(&outlet->records, s->out ? s->out : "-", err);
    if (status == STATUS_OK && s->labels)
        status = lines_open(&outlet->labels, s->labels, err);
    return status;
}

/* Flushes everything and says what was acknowledged. */
static enum status close_outlet(struct outlet *outlet, int64_t started_ns, struct error *err)
{
    enum status status = lines_close(&outlet->records, err);
    enum status labels = lines_close(&outlet->labels, status == STATUS_OK ? err : NULL);
    status = status == STATUS_OK ? labels : status;
    if (!outlet->kafka)
        return status;
    struct kafka_writer_counts counts;
    enum status flushed = kafka_writer_flush(outlet->kafka, FLUSH_MS, &stop, status == STATUS_OK ? err : NULL);
    status = status == STATUS_OK ? flushed : status;
    kafka_writer_counts(outlet->kafka, &counts);
    double seconds = (double)(clock_monotonic_ns() - started_ns) / 1e9;
    (void)fprintf(stderr, "assay: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " failed%s%s, %.1f s, %.0f/s\n", counts.sent,
                  counts.acknowledged, counts.failed, counts.failed ? ": " : "", counts.reason, seconds,
                  (double)counts.acknowledged / seconds);
    if (status == STATUS_OK && counts.acknowledged < counts.sent)
        status = error_set(err, STATUS_IO, "kafka: not everything was acknowledged");
    return status;
}

static int run(const struct settings_of_gen *s)
{
    struct outlet outlet = {.records = {.fd = -1}, .labels = {.fd = -1}};
    struct error err = {{0}};
    uint64_t done = 0;
    const struct sigaction action = {.sa_handler = on_signal};
    enum status status = open_outlet(&outlet, s, &err);
    if (status == STATUS_OK) {
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        int64_t started_ns = clock_monotonic_ns();
        status = put_all(&outlet, s, &done, &err);
        enum status closed = close_outlet(&outlet, started_ns, status == STATUS_OK ? &err : NULL);
        status = status == STATUS_OK ? closed : status;
    }
    kafka_writer_free(outlet.kafka);
    gen_free(outlet.gen);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static const char summary[] =
    "Writes card transactions with known frauds as JSON lines, in order of time. The same options give the same bytes\n"
    "on every machine. Fields:\n"
    "\n"
    "  tx_id          SEED-NUMBER, distinct          currency      of the terminal's country: EUR GBP USD CHF\n"
    "  ts             seconds since 1970 UTC         mcc           merchant category code, text: 5411\n"
    "  customer_id    the card                       category      its name: grocery, electronics, cash, ...\n"
    "  terminal_id    where it is used               country       of the terminal: DE FR GB ES IT NL US CH\n"
    "  amount         in currency, cents as decimals home_country  of the card\n"
    "  channel        pos, web, atm                  entry         chip, tap, swipe; online token, keyed\n"
    "  new_device     online, device not seen before\n"
    "\n"
    "Frauds come in campaigns; each scenario has the same share of --fraud:\n"
    "\n"
    "  spree          a stolen card: several large purchases far from home, of goods that sell well, within hours\n"
    "  terminal       a compromised terminal: for three days cloned cards are used at it, often by magnetic stripe\n"
    "  testing        dozens of card numbers tried with tiny amounts at one online merchant within minutes\n"
    "  takeover       an account taken over: large online purchases from a new device between 1 and 5 at night\n"
    "\n"
    "--labels writes {\"transaction_id\",\"fraud\",\"scenario\",\"time\"} for every transaction. Into Kafka records are keyed\n"
    "by customer_id, and the last line on stderr tells how many were acknowledged.";

int cmd_gen(const struct parts *parts, int argc, char **argv)
{
    struct settings_of_gen s = {.transactions = 100000, .seed = 1, .cards = 5000, .terminals = 10000, .fraud = 0.008,
                                .start = "2025-01-01", .scenarios = "spree,terminal,testing,takeover"};
    const struct args_option options[] = {
        {"transactions", ARGS_INT, &s.transactions, "N", "how many; 0: until interrupted", 0, 1e15},
        {"seed", ARGS_INT, &s.seed, "S", "another seed, another world", 0, 1e15},
        {"cards", ARGS_INT, &s.cards, "N", "cards", 1, 1e9},
        {"terminals", ARGS_INT, &s.terminals, "N", "terminals", 16, 1e9},
        {"days", ARGS_REAL, &s.days, "D", "event time that the transactions span; 0: two transactions a card a day", 0, 36500},
        {"start", ARGS_TEXT, &s.start, "TIME", "event time of the beginning: date, RFC 3339 in UTC, or seconds since 1970", 0, 0},
        {"fraud", ARGS_REAL, &s.fraud, "P", "share of transactions that are frauds", 0, 0.5},
        {"scenarios", ARGS_TEXT, &s.scenarios, "LIST", "which frauds", 0, 0},
        {"out", ARGS_TEXT, &s.out, "FILE", "where lines go; without it to stdout", 0, 0},
        {"labels", ARGS_TEXT, &s.labels, "FILE", "where labels go; without it nowhere", 0, 0},
        {"rate", ARGS_REAL, &s.rate, "R", "transactions a second of the clock on the wall; 0: as fast as possible", 0, 1e9},
        {"kafka", ARGS_TEXT, &s.kafka, "BROKERS", "into Kafka, host:port,...", 0, 0},
        {"topic", ARGS_TEXT, &s.topic, "TOPIC", "into this topic", 0, 0},
        {"X", ARGS_LIST, &s.properties, "NAME=VALUE", "a property of librdkafka; may be repeated", 0, 0},
        {NULL, ARGS_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct args_spec spec = {
        .usage = "assay gen [--transactions N] [--seed S] [--out FILE | --kafka BROKERS --topic TOPIC] [OPTIONS]",
        .summary = summary,
        .examples = "  assay gen --transactions 1000000 --seed 7 --labels labels.jsonl > transactions.jsonl\n"
                    "  assay gen --transactions 0 --rate 5000 --kafka localhost:9092 --topic transactions\n"
                    "  assay gen --fraud 0.05 --scenarios testing | assay score --bundle config/bundles/card-fraud",
        .options = options,
    };
    (void)parts;
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    return run(&s);
}
