/*
 * The interface between models and what computes them: a const table with an opaque context (see kernels/).
 *
 *     engine_open ─► engine_prepare(model) ─► engine_submit(batch) … ─► engine_release ─► engine_close
 *
 * A batch is a list of slot numbers into one array of feature rows; kernels gather, nothing is copied to make a batch.
 * A model handed to prepare stays unchanged and outlives what was prepared from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/buf.h"
#include "model/base/number_type.h"
#include "model/base/status.h"

struct model;
struct prepared; /* a model laid out for one backend */

/* Rows of features. Row i starts at (char *)base + i * stride; it has `columns` numbers of `type`. base and stride are
 * multiples of 64 bytes. */
struct rows {
    const void *base;
    size_t stride; /* bytes */
    uint32_t columns;
    enum number_type type;
};

struct batch {
    const struct rows *rows;
    const uint32_t *slots; /* [n] row numbers, any order, repeats allowed */
    uint32_t n;
    double *margins; /* out: [n][margins of the model]; float32 models give float32 values */
    double *scores;  /* out: [n][scores of the model] */
    void (*done)(struct batch *batch, enum status status); /* called once per accepted batch, from submit or from poll */
    void *owner;                                           /* the submitter's own */
};

struct backend_limits {
    uint32_t batch_max;     /* rows in one batch */
    uint32_t in_flight_max; /* batches */
    bool synchronous;       /* done is always called before submit returns; submit may be called from any thread */
};

/* How a device behind an engine is, for operators. */
struct engine_state {
    bool up;
    char device[96];  /* "GPU 0, NVIDIA H100 80GB HBM3" */
    char bus[24];     /* "0000:1b:00.0"; "": not known */
    char reason[192]; /* why it is down, in words */
};

/* One number of an engine's, as a metric is named and described; all strings are static. Those of one family follow each other,
 * and engines of one backend have the same ones in the same order. */
struct engine_figure {
    const char *name, *type, *help;         /* "assay_device_rows_total", "counter" */
    const char *label, *label_value;        /* NULL: none */
    double value;
};

struct backend {
    const char *name; /* "reference", "cpu", "cuda" */
    const char *summary;
    bool only_by_name; /* auto passes it over */
    enum status (*open)(void **context, struct error *err);
    enum status (*configure)(void *context, const char *options, struct error *err); /* optional: takes none */
    void (*close)(void *context);
    enum status (*prepare)(void *context, const struct model *model, struct prepared **out, struct error *err);
    void (*release)(void *context, struct prepared *prepared);
    enum status (*submit)(void *context, const struct prepared *prepared, struct batch *batch);
    void (*limits)(void *context, const struct prepared *prepared, struct backend_limits *out);
    unsigned (*poll)(void *context);                                      /* optional: 0; completions delivered */
    int64_t (*due)(void *context);                                        /* optional: 0; see engine_due_ns */
    void (*describe)(void *context, const struct prepared *prepared, struct buf *out); /* optional: lines "key: value" */
    /* The rest is for backends with a device; all optional. */
    enum status (*devices)(const char *options, uint32_t *count, struct error *found);
    enum status (*attach)(void *context, void *memory, size_t bytes, struct error *err);
    void (*notify)(void *context, void (*wake)(void *owner), void *owner);
    void (*state)(void *context, struct engine_state *out);
    size_t (*figures)(void *context, struct engine_figure *out, size_t max);
};

struct engine {
    const struct backend *backend;
    void *context;
};

MUST_USE enum status engine_open(const struct backend *backend, struct engine *out, struct error *err);
/* Options in the backend's own words, "" for none; after open, before prepare. STATUS_USAGE: it has no such option. */
MUST_USE enum status engine_configure(const struct engine *engine, const char *options, struct error *err);
void engine_close(struct engine *engine);
MUST_USE enum status engine_prepare(const struct engine *engine, const struct model *model, struct prepared **out, struct error *err);
void engine_release(const struct engine *engine, struct prepared *prepared);
/* STATUS_OK: accepted, done is or will be called. STATUS_BUSY: nothing free, not accepted. CHECKs n against the limit. */
MUST_USE enum status engine_submit(const struct engine *engine, const struct prepared *prepared, struct batch *batch);
unsigned engine_poll(const struct engine *engine);
/* When a poll can deliver something at the earliest (monotonic): in the past, it can now; 0: it does not know, INT64_MAX: nothing
 * is in flight. */
int64_t engine_due_ns(const struct engine *engine);
void engine_limits(const struct engine *engine, const struct prepared *prepared, struct backend_limits *out);

/* How many engines of a backend this machine has: one for each device, to be opened with the option device=i; 1 for a
 * backend without devices. `found` always says in a line what was found. Any thread. */
uint32_t backend_devices(const struct backend *backend, const char *options, struct error *found);
/* Memory that rows will lie in, which a device then reads where it is; rows from elsewhere are copied. After prepare, before
 * batches come; it stays as it is until close. A backend without devices has no use for it. */
MUST_USE enum status engine_attach(const struct engine *engine, void *memory, size_t bytes, struct error *err);
/* wake(owner) is called, from any thread, when a poll has something to deliver. After prepare, while nothing is in flight; NULL
 * ends it, and owner may go. False: the backend does not tell; poll it. */
bool engine_notify(const struct engine *engine, void (*wake)(void *owner), void *owner);
/* False: there is no device behind it. Any thread. */
bool engine_state(const struct engine *engine, struct engine_state *out);
/* Fills up to max and returns how many there are. Any thread. */
size_t engine_figures(const struct engine *engine, struct engine_figure *out, size_t max);
void engine_describe(const struct engine *engine, const struct prepared *prepared, struct buf *out);
