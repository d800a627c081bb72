#include "server/cmd/table_writer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/input/number.h"
#include "server/cmd/csv.h"

enum { FLUSH_BYTES = 1 << 18 };

static enum status flush_text(struct table_writer *w)
{
    if (w->text.failed)
        return error_set(&w->err, STATUS_NO_MEMORY, "out of memory for the table");
    for (size_t done = 0; done < w->text.len;) {
        ssize_t n = write(w->out, w->text.data + done, w->text.len - done);
        if (n < 0 && errno != EINTR)
            return error_set(&w->err, STATUS_IO, "writing the table: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&w->text);
    return STATUS_OK;
}

static void write_heading(struct table_writer *w)
{
    buf_string(&w->text, "transaction_id");
    for (size_t i = 0; i < w->bundle->features; i++) {
        const char *name = plan_column_name(w->bundle->plan, i);
        buf_char(&w->text, ',');
        csv_append(&w->text, name, strlen(name));
    }
    buf_char(&w->text, '\n');
}

/* A missing value is an empty cell. Small whole numbers, which most are, need no search for the shortest digits. */
static void write_number(struct buf *out, double value)
{
    char *to = buf_reserve(out, NUMBER_TEXT_MAX + 1);
    if (!to)
        return;
    to[0] = ',';
    if (value >= 0 && value < 10 && value == (double)(int)value && !signbit(value)) {
        to[1] = (char)('0' + (int)value);
        out->len += 2;
    } else if (isfinite(value)) {
        out->len += 1 + number_write_double(to + 1, value);
    } else {
        out->len++;
        buf_string(out, isnan(value) ? "" : value > 0 ? "inf" : "-inf");
    }
}

static void write_row(struct table_writer *w, const struct transaction *tx)
{
    struct span id = tx->values[schema_id(w->bundle->schema)].text;
    fields_seen_note(w->fields, w->bundle->schema, tx);
    (void)label_file_meet(w->labels, id); /* to tell at the end which labels have no transaction */
    plan_run(w->bundle->plan, tx, NUMBER_F64, w->row);
    csv_append(&w->text, id.data, id.len);
    for (size_t i = 0; i < w->bundle->features; i++)
        write_number(&w->text, w->row[i]);
    buf_char(&w->text, '\n');
}

/* A failure is kept for the other thread; what comes after it is passed over. */
static void *run(void *context)
{
    struct table_writer *w = context;
    (void)pthread_mutex_lock(&w->lock);
    for (unsigned next = 0;; next ^= 1) {
        struct table_chunk *chunk = &w->chunks[next];
        while (!chunk->full && !w->stopping)
            (void)pthread_cond_wait(&w->turned, &w->lock);
        if (!chunk->full)
            break;
        enum status status = w->status;
        (void)pthread_mutex_unlock(&w->lock);
        for (uint32_t i = 0; i < chunk->n && status == STATUS_OK; i++)
            write_row(w, &chunk->txs[i]);
        if (status == STATUS_OK && (w->text.len >= FLUSH_BYTES || w->text.failed))
            status = flush_text(w);
        (void)pthread_mutex_lock(&w->lock);
        w->status = status;
        chunk->full = false;
        (void)pthread_cond_signal(&w->turned);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum status table_writer_start(struct table_writer *w, const struct bundle *bundle, struct label_file *labels, struct fields_seen *fields, int out,
                               struct error *err)
{
    *w = (struct table_writer){.bundle = bundle, .labels = labels, .fields = fields, .out = out};
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->turned, NULL);
    size_t windows;
    (void)plan_windows(bundle->plan, &windows);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < 2 * TABLE_CHUNK && status == STATUS_OK; i++)
        status = transaction_init(&w->chunks[i / TABLE_CHUNK].txs[i % TABLE_CHUNK], bundle->schema, windows, err);
    w->row = calloc(plan_columns(bundle->plan) + 1, sizeof *w->row);
    if (status == STATUS_OK && !w->row)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the table");
    if (status != STATUS_OK)
        return status;
    write_heading(w);
    int code = pthread_create(&w->thread, NULL, run, w);
    w->running = code == 0;
    return code == 0 ? STATUS_OK : error_set(err, STATUS_LIMIT, "no thread to write the table: %s", strerror(code));
}

static void await(struct table_writer *w, const struct table_chunk *chunk)
{
    (void)pthread_mutex_lock(&w->lock);
    while (chunk->full)
        (void)pthread_cond_wait(&w->turned, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
}

struct transaction *table_writer_chunk(struct table_writer *w)
{
    struct table_chunk *chunk = &w->chunks[w->filling];
    await(w, chunk);
    return chunk->txs;
}

void table_writer_hand(struct table_writer *w, uint32_t n)
{
    struct table_chunk *chunk = &w->chunks[w->filling];
    (void)pthread_mutex_lock(&w->lock);
    chunk->n = n;
    chunk->full = true;
    (void)pthread_cond_signal(&w->turned);
    (void)pthread_mutex_unlock(&w->lock);
    w->filling ^= 1;
}

enum status table_writer_wait(struct table_writer *w, struct error *err)
{
    await(w, &w->chunks[0]);
    await(w, &w->chunks[1]);
    if (w->status != STATUS_OK) /* the writer sleeps */
        *err = w->err;
    return w->status;
}

enum status table_writer_stop(struct table_writer *w, struct error *err)
{
    enum status status = STATUS_OK;
    if (w->running) {
        (void)pthread_mutex_lock(&w->lock);
        w->stopping = true;
        (void)pthread_cond_signal(&w->turned);
        (void)pthread_mutex_unlock(&w->lock);
        (void)pthread_join(w->thread, NULL);
        status = w->status == STATUS_OK ? flush_text(w) : w->status;
        if (status != STATUS_OK)
            *err = w->err;
    }
    for (uint32_t i = 0; i < 2 * TABLE_CHUNK && w->bundle; i++)
        transaction_free(&w->chunks[i / TABLE_CHUNK].txs[i % TABLE_CHUNK]);
    if (w->bundle) {
        (void)pthread_cond_destroy(&w->turned);
        (void)pthread_mutex_destroy(&w->lock);
    }
    buf_free(&w->text);
    free(w->row);
    *w = (struct table_writer){.bundle = NULL};
    return status;
}
