/*
 * assay dlq: what lies in the dead-letter topic, one of them whole, and the way back into the input topic once the cause is
 * mended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/buf.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/dead_letters.h"

enum { REASONS_MAX = 64, REASON_MAX = 32, PLACES_MAX = 64 };

enum verb { VERB_LIST, VERB_SHOW, VERB_REPLAY };

struct place {
    int32_t partition;
    int64_t offset;
};

struct dlq {
    const char *reason, *to;
    int64_t limit;
    bool all, json, value, dry_run;
    struct place places[PLACES_MAX];
    size_t place_count;
    struct {
        char name[REASON_MAX];
        uint64_t count;
    } reasons[REASONS_MAX];
    size_t reason_count;
    uint64_t seen, skipped;
    struct buf text;
};

/* --- writing ------------------------------------------------------------------------------------------------------------- */

static const char *time_text(int64_t time_ms, char out[40])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    if (time_ms < 0 || !gmtime_r(&seconds, &tm)) {
        (void)snprintf(out, 40, "-");
        return out;
    }
    size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, 40 - n, ".%03dZ", (int)(time_ms % 1000));
    return out;
}

static void count_reason(struct dlq *d, const char *reason)
{
    size_t i = 0;
    while (i < d->reason_count && strcmp(d->reasons[i].name, reason) != 0)
        i++;
    if (i == REASONS_MAX)
        return; /* whatever that topic is */
    if (i == d->reason_count) {
        (void)snprintf(d->reasons[i].name, REASON_MAX, "%s", reason);
        d->reason_count++;
    }
    d->reasons[i].count++;
}

/* Bytes for a terminal: what could steer it is shown as \xNN. */
static void put_plain(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c == 0x7f)
            (void)printf("\\x%02x", c);
        else
            (void)putchar(c);
    }
}

static void print_json(struct dlq *d, const struct letter *l)
{
    char time[40];
    buf_clear(&d->text);
    buf_format(&d->text, "{\"place\":\"%d/%lld\",\"time\":\"%s\",\"reason\":", l->partition, (long long)l->offset, time_text(l->time_ms, time));
    buf_json_string(&d->text, l->reason, strlen(l->reason));
    buf_string(&d->text, ",\"source\":");
    buf_json_string(&d->text, l->source, strlen(l->source));
    buf_string(&d->text, ",\"error\":");
    buf_json_string(&d->text, l->error, strlen(l->error));
    buf_format(&d->text, ",\"bytes\":%zu,\"cut\":%s,\"masked\":%s}\n", l->value_len, l->cut ? "true" : "false", l->masked ? "true" : "false");
    (void)fwrite(d->text.data, 1, d->text.len, stdout);
}

static void print_line(const struct letter *l)
{
    char time[40], place[40];
    (void)snprintf(place, sizeof place, "%d/%lld", l->partition, (long long)l->offset);
    (void)printf("%-10s %s  %-13s %s  %s", place, time_text(l->time_ms, time), l->reason[0] ? l->reason : "-", l->source[0] ? l->source : "-",
                 l->cut ? "(cut) " : l->masked ? "(masked) " : "");
    put_plain(l->error, strlen(l->error));
    (void)putchar('\n');
}

static void print_whole(const struct letter *l)
{
    char time[40];
    (void)printf("place      %d/%lld\ntime       %s\nkey        ", l->partition, (long long)l->offset, time_text(l->time_ms, time));
    put_plain(l->key ? l->key : "(none)", l->key ? l->key_len : 6);
    for (size_t i = 0; i < l->header_count; i++) {
        (void)printf("\nheader     %s: ", l->headers[i].name);
        put_plain(l->headers[i].value ? l->headers[i].value : "", l->headers[i].value ? l->headers[i].len : 0);
    }
    (void)printf("\nvalue      %s%zu bytes%s%s\n", l->value ? "" : "a tombstone, ", l->value_len, l->cut ? ", cut" : "", l->masked ? ", masked" : "");
    put_plain(l->value ? l->value : "", l->value_len);
    (void)putchar('\n');
}

/* --- choosing ------------------------------------------------------------------------------------------------------------ */

static bool is_place(const struct dlq *d, const struct letter *l)
{
    for (size_t i = 0; i < d->place_count; i++) {
        if (d->places[i].partition == l->partition && d->places[i].offset == l->offset)
            return true;
    }
    return d->place_count == 0;
}

static bool is_meant(const struct dlq *d, const struct letter *l)
{
    return is_place(d, l) && (!d->reason || strcmp(d->reason, l->reason) == 0);
}

static bool list_one(void *owner, const struct letter *l)
{
    struct dlq *d = owner;
    if (!is_meant(d, l))
        return true;
    d->seen++;
    count_reason(d, l->reason[0] ? l->reason : "-");
    if (d->limit == 0 || d->seen <= (uint64_t)d->limit) {
        if (d->json)
            print_json(d, l);
        else
            print_line(l);
    }
    return true;
}

static bool show_one(void *owner, const struct letter *l)
{
    struct dlq *d = owner;
    if (!is_meant(d, l))
        return d->seen < d->place_count;
    if (d->value)
        (void)fwrite(l->value, 1, l->value ? l->value_len : 0, stdout);
    else
        print_whole(l);
    return ++d->seen < d->place_count;
}

/* Whether to send it back. */
static bool choose_one(void *owner, const struct letter *l)
{
    struct dlq *d = owner;
    if (!is_meant(d, l))
        return false;
    d->seen++;
    if (l->cut || l->masked || !l->reason[0]) {
        d->skipped++;
        (void)fprintf(stderr, "assay: %d/%lld is left out: %s\n", l->partition, (long long)l->offset,
                      l->cut ? "it was cut, so its bytes are not all there" : l->masked ? "card numbers in it were masked" : "it is no dead letter of ours");
        return false;
    }
    return !d->dry_run;
}

/* For --dry-run: looks, and goes on. */
static bool look_one(void *owner, const struct letter *l)
{
    (void)choose_one(owner, l);
    return true;
}

/* --- the verbs ------------------------------------------------------------------------------------------------------------ */

/* From the place on where there is one, of everything else where there are more. */
static struct letters_range range_of(const struct dlq *d)
{
    return d->place_count == 1 ? (struct letters_range){d->places[0].partition, d->places[0].offset} : (struct letters_range){-1, -1};
}

static enum status list(struct dlq *d, const struct parts *parts, const struct settings *settings, struct error *err)
{
    struct letters_range range = range_of(d);
    enum status status = parts->dead_letters->each(settings, &range, list_one, d, err);
    if (status != STATUS_OK || d->json)
        return status;
    (void)printf("%llu dead letters", (unsigned long long)d->seen);
    for (size_t i = 0; i < d->reason_count; i++)
        (void)printf("%s %llu %s", i == 0 ? ":" : ",", (unsigned long long)d->reasons[i].count, d->reasons[i].name);
    (void)putchar('\n');
    return STATUS_OK;
}

static enum status show(struct dlq *d, const struct parts *parts, const struct settings *settings, struct error *err)
{
    struct letters_range range = range_of(d);
    enum status status = parts->dead_letters->each(settings, &range, show_one, d, err);
    if (status == STATUS_OK && d->seen < d->place_count)
        return error_set(err, STATUS_NOT_FOUND, "topic %s has %llu of the %zu places", settings->stream_dead_letter, (unsigned long long)d->seen, d->place_count);
    return status;
}

static enum status replay(struct dlq *d, const struct parts *parts, const struct settings *settings, struct error *err)
{
    const char *to = d->to ? d->to : settings->stream_input;
    struct letters_range range = range_of(d);
    uint64_t sent = 0;
    if (!to[0])
        return error_set(err, STATUS_INVALID, "where to? Set stream.input, or say --to TOPIC");
    enum status status = d->dry_run ? parts->dead_letters->each(settings, &range, look_one, d, err)
                                    : parts->dead_letters->replay(settings, &range, to, choose_one, d, &sent, err);
    if (d->dry_run)
        sent = d->seen - d->skipped;
    (void)printf("%llu records %s %s, %llu left out\n", (unsigned long long)sent, d->dry_run ? "would be sent to" : "sent to", to,
                 (unsigned long long)d->skipped);
    return status;
}

static bool read_places(struct dlq *d, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char rest;
        struct place *p = &d->places[i];
        if (sscanf(texts[i], "%" SCNd32 "/%" SCNd64 "%c", &p->partition, &p->offset, &rest) != 2 || p->partition < 0 || p->offset < 0) {
            (void)fprintf(stderr, "assay: '%s' is no place: PARTITION/OFFSET as `assay dlq list` prints it\n", texts[i]);
            return false;
        }
    }
    d->place_count = n;
    return true;
}

static bool is_complete(const struct dlq *d, enum verb verb)
{
    if (verb == VERB_SHOW && d->place_count == 0)
        (void)fprintf(stderr, "assay: which one? assay dlq show PARTITION/OFFSET\n");
    else if (verb == VERB_REPLAY && d->place_count == 0 && !d->reason && !d->all)
        (void)fprintf(stderr, "assay: which ones? Places, --reason REASON, or --all\n");
    else
        return true;
    return false;
}

static int run(struct dlq *d, enum verb verb, const struct parts *parts, const char *file, const struct args_list *set)
{
    static enum status (*const verbs[])(struct dlq *, const struct parts *, const struct settings *, struct error *) = {list, show, replay};
    struct settings settings;
    struct error err = {""};
    enum status status = settings_load(&settings, file, set->items, set->size, &err);
    if (status == STATUS_OK)
        status = verbs[verb](d, parts, &settings, &err);
    if (status == STATUS_OK && fflush(stdout) != 0)
        status = error_set(&err, STATUS_IO, "writing failed");
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    settings_free(&settings);
    buf_free(&d->text);
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

int cmd_dlq(const struct parts *parts, int argc, char **argv)
{
    static const char *const verbs[] = {"list", "show", "replay", NULL};
    static struct dlq d;
    const char *file = NULL, *operands[1 + PLACES_MAX];
    size_t count = 0;
    struct args_list set = {.size = 0};
    const struct args_option options[] = {
        {.name = "config", .kind = ARGS_TEXT, .out = &file, .value = "FILE", .help = "the server's settings: topics and kafka.*"},
        {.name = "set", .kind = ARGS_LIST, .out = &set, .value = "KEY=VALUE", .help = "a setting, over the file's; may be repeated"},
        {.name = "reason", .kind = ARGS_TEXT, .out = &d.reason, .value = "REASON", .help = "those with this reason alone"},
        {.name = "limit", .kind = ARGS_INT, .out = &d.limit, .value = "N", .help = "list: print at most so many, count all; 0: all", .min = 0, .max = 1e15},
        {.name = "json", .kind = ARGS_FLAG, .out = &d.json, .help = "list: a JSON object a line"},
        {.name = "value", .kind = ARGS_FLAG, .out = &d.value, .help = "show: the bytes of the value and nothing else"},
        {.name = "to", .kind = ARGS_TEXT, .out = &d.to, .value = "TOPIC", .help = "replay: into this topic in place of stream.input"},
        {.name = "all", .kind = ARGS_FLAG, .out = &d.all, .help = "replay: every one"},
        {.name = "dry-run", .kind = ARGS_FLAG, .out = &d.dry_run, .help = "replay: say what would be sent"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay dlq list|show|replay [PARTITION/OFFSET]... [--config FILE] [--set KEY=VALUE]... [--reason REASON]",
        .summary = "Looks into stream.dead_letter.\n"
                   "list    a line each: place, time, reason, where the record came from, what is wrong; then how many of each reason\n"
                   "show    whole: key, headers, bytes\n"
                   "replay  sends records back into stream.input as they were (key, value, headers without ours), once the cause is mended.\n"
                   "        They stay in the dead-letter topic, and a second replay sends them again.",
        .examples = "  assay dlq list --config assay.yaml --reason missing\n"
                    "  assay dlq show 0/17 --config assay.yaml\n"
                    "  assay dlq show 0/17 --value --config assay.yaml | assay score --bundle my-bundle\n"
                    "  assay dlq replay --reason missing --dry-run --config assay.yaml",
        .options = options,
        .operands_min = 1,
        .operands_max = 1 + PLACES_MAX,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, operands, &count);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    int verb = args_choice(&spec, "action", operands[0], verbs);
    if (verb < 0 || !read_places(&d, operands + 1, count - 1) || !is_complete(&d, (enum verb)verb))
        return EXIT_USAGE;
    if (!parts->dead_letters) {
        (void)fprintf(stderr, "assay: this build has no Kafka\n");
        return EXIT_FAILED;
    }
    return run(&d, (enum verb)verb, parts, file, &set);
}
