#include "server/load/feed.h"

#include <stdlib.h>
#include <string.h>

#include "server/gen/gen.h"
#include "server/load/field.h"

static const size_t FILE_MAX = (size_t)1 << 34;

struct feed {
    struct gen *gen; /* or NULL: a file */
    char text[GEN_TEXT_MAX], customer[GEN_TEXT_MAX];
    struct buf file;
    struct feed_item *items; /* [count] */
    size_t count, next;
    uint64_t repeats;
};

enum status feed_generated(uint64_t seed, struct feed **out, struct error *err)
{
    /* The world of `assay gen` at its busiest: enough cards that none of them pays every second. */
    const struct gen_options options = {.seed = seed, .start_s = 1735689600, .per_day = 1e6, .cards = 50000, .terminals = 10000,
                                        .fraud = {[GEN_SPREE] = 0.002, [GEN_TERMINAL] = 0.002, [GEN_TESTING] = 0.002, [GEN_TAKEOVER] = 0.002}};
    struct feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the transactions");
    enum status status = gen_create(&options, &feed->gen, err);
    if (status != STATUS_OK) {
        free(feed);
        return status;
    }
    *out = feed;
    return STATUS_OK;
}

static enum status take_lines(struct feed *feed, const char *path, const char *id_field, const char *key_field, struct error *err)
{
    size_t number = 0;
    for (const char *at = feed->file.data, *end = at ? at + feed->file.len : at; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *line_end = newline ? newline : end;
        number++;
        while (line_end > at && (line_end[-1] == '\r' || line_end[-1] == ' '))
            line_end--;
        if (line_end > at) {
            struct feed_item *item = &feed->items[feed->count++];
            item->json = (struct span){at, (uint32_t)(line_end - at)};
            item->id = id_field ? field_text(item->json, id_field) : (struct span){NULL, 0};
            item->key = key_field ? field_text(item->json, key_field) : (struct span){NULL, 0};
            if (id_field && !item->id.data)
                return error_set(err, STATUS_INVALID, "%s, line %zu: no field \"%s\" that a result could be known by (--id-field names it)", path,
                                 number, id_field);
        }
        at = newline ? newline + 1 : end;
    }
    return feed->count > 0 ? STATUS_OK : error_set(err, STATUS_INVALID, "%s holds no transactions", path);
}

enum status feed_file(const char *path, const char *id_field, const char *key_field, struct feed **out, struct error *err)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the transactions");
    enum status status = buf_read_file(&feed->file, path, FILE_MAX, err);
    if (status == STATUS_OK) {
        size_t lines = 1;
        for (size_t i = 0; i < feed->file.len; i++)
            lines += feed->file.data[i] == '\n';
        feed->items = calloc(lines, sizeof *feed->items);
        status = feed->items ? take_lines(feed, path, id_field, key_field, err) : error_set(err, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    if (status != STATUS_OK) {
        feed_free(feed);
        return status;
    }
    *out = feed;
    return STATUS_OK;
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    gen_free(feed->gen);
    buf_free(&feed->file);
    free(feed->items);
    free(feed);
}

/* {"tx_id":"7-0000000042", … */
static void generated_next(struct feed *feed, struct feed_item *item)
{
    enum { ID_AT = sizeof "{\"tx_id\":\"" - 1 };
    struct gen_transaction tx;
    gen_next(feed->gen, &tx);
    size_t len = gen_write_transaction(feed->gen, &tx, feed->text) - 1;
    const char *id = feed->text + ID_AT, *id_end = memchr(id, '"', len - ID_AT);
    item->json = (struct span){feed->text, (uint32_t)len};
    item->id = (struct span){id, (uint32_t)(id_end - id)};
    item->key = (struct span){feed->customer, (uint32_t)gen_write_customer(&tx, feed->customer)};
}

void feed_next(struct feed *feed, struct feed_item *item)
{
    if (feed->gen) {
        generated_next(feed, item);
        return;
    }
    if (feed->next == feed->count) {
        feed->next = 0;
        feed->repeats++;
    }
    *item = feed->items[feed->next++];
}

uint64_t feed_repeats(const struct feed *feed)
{
    return feed->repeats;
}

void feed_body(struct feed *feed, uint32_t n, struct buf *out)
{
    struct feed_item item;
    for (uint32_t i = 0; i < n; i++) {
        if (n > 1)
            buf_char(out, i == 0 ? '[' : ',');
        feed_next(feed, &item);
        buf_append(out, item.json.data, item.json.len);
    }
    if (n > 1)
        buf_char(out, ']');
}
