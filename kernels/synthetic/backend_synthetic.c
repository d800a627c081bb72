#include "kernels/synthetic/backend_synthetic.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/ref/backend_reference.h"
#include "model/base/check.h"
#include "model/base/clock.h"

enum { STREAMS_MAX = 8, PATH_BYTES = 256 };
static const int64_t LOOK_NS = 1000000; /* for a file that may have gone */

struct synthetic_options {
    double fixed_us, row_us, factor, jitter, streams, batch_max, seed, stall_every_ms, stall_ms, fail_every_ms, fail_ms;
    char stall_file[PATH_BYTES], fail_file[PATH_BYTES]; /* empty: none */
};

static const struct setting {
    const char *name;
    size_t offset;
    double min, max;
} settings[] = {
#define SETTING(field, min, max) {#field, offsetof(struct synthetic_options, field), min, max}
    SETTING(fixed_us, 0, 1e7), SETTING(row_us, 0, 1e6), SETTING(factor, 1e-3, 1e6), SETTING(jitter, 0, 10),
    SETTING(streams, 1, STREAMS_MAX), SETTING(batch_max, 1, 65536), SETTING(seed, 0, 1e15), SETTING(stall_every_ms, 0, 1e9),
    SETTING(stall_ms, 0, 1e9), SETTING(fail_every_ms, 0, 1e9), SETTING(fail_ms, 0, 1e9),
#undef SETTING
};

/* A preset is a curve. gpu: launch and completion as seen from the host, then 256 bytes a row over the bus and its trees. */
static const struct preset {
    const char *name;
    double fixed_us, row_us;
} presets[] = {{"gpu", 10, 0.03}};

struct pending {
    struct batch *batch; /* NULL: this place is free */
    enum status status;
    int64_t due_ns;
};

struct synthetic {
    struct synthetic_options with;
    struct engine inner; /* what computes the scores */
    int64_t opened_ns;
    uint64_t random;
    struct pending pending[STREAMS_MAX];
};

static enum status synthetic_open(void **context, struct error *err)
{
    struct synthetic *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    s->with = (struct synthetic_options){.factor = 1, .streams = 1, .batch_max = 256};
    s->opened_ns = clock_monotonic_ns();
    *context = s;
    return STATUS_OK;
}

static void synthetic_close(void *context)
{
    struct synthetic *s = context;
    engine_close(&s->inner);
    free(s);
}

/* --- options ----------------------------------------------------------------------------------------------------------- */

static bool take_preset(struct synthetic *s, const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strlen(presets[i].name) == len && memcmp(presets[i].name, word, len) == 0) {
            s->with.fixed_us = presets[i].fixed_us;
            s->with.row_us = presets[i].row_us;
            return true;
        }
    }
    return false;
}

static bool take_setting(struct synthetic *s, const char *word, size_t len)
{
    const char *equals = memchr(word, '=', len);
    size_t name = equals ? (size_t)(equals - word) : 0;
    for (size_t i = 0; equals && i < sizeof settings / sizeof settings[0]; i++) {
        if (strlen(settings[i].name) != name || memcmp(settings[i].name, word, name) != 0)
            continue;
        char *end;
        double value = strtod(equals + 1, &end);
        if (end != word + len || end == equals + 1 || !(value >= settings[i].min && value <= settings[i].max))
            return false;
        *(double *)(void *)((char *)&s->with + settings[i].offset) = value;
        return true;
    }
    return false;
}

static bool take_file(struct synthetic *s, const char *word, size_t len)
{
    static const struct {
        const char *name;
        size_t offset;
    } files[] = {{"stall_file=", offsetof(struct synthetic_options, stall_file)}, {"fail_file=", offsetof(struct synthetic_options, fail_file)}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t name = strlen(files[i].name);
        if (len <= name || len - name >= PATH_BYTES || memcmp(word, files[i].name, name) != 0)
            continue;
        char *to = (char *)&s->with + files[i].offset;
        memcpy(to, word + name, len - name);
        to[len - name] = '\0';
        return true;
    }
    return false;
}

static enum status synthetic_configure(void *context, const char *options, struct error *err)
{
    struct synthetic *s = context;
    for (const char *at = options; *at;) {
        size_t len = strcspn(at, ",");
        if (!take_preset(s, at, len) && !take_setting(s, at, len) && !take_file(s, at, len))
            return error_set(err, STATUS_USAGE, "synthetic engine: '%.*s' is no option of it; there are: gpu, fixed_us=, row_us=, factor=, jitter=, "
                             "streams= (1..%d), batch_max=, seed=, stall_every_ms=, stall_ms=, fail_every_ms=, fail_ms=, stall_file=, fail_file=", (int)len, at, STREAMS_MAX);
        at += len + (at[len] == ',');
    }
    s->random = (uint64_t)s->with.seed;
    return STATUS_OK;
}

/* --- models ------------------------------------------------------------------------------------------------------------ */

static enum status synthetic_prepare(void *context, const struct model *model, struct prepared **out, struct error *err)
{
    struct synthetic *s = context;
    enum status status = STATUS_OK;
    static const struct backend *const inner[] = {&backend_cpu, &backend_reference};
    CHECK(!s->inner.backend); /* one model a synthetic engine */
    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
        status = engine_open(inner[i], &s->inner, err);
        if (status == STATUS_OK)
            status = engine_prepare(&s->inner, model, out, err);
        if (status == STATUS_OK)
            return status;
        engine_close(&s->inner);
    }
    return status;
}

static void synthetic_release(void *context, struct prepared *prepared)
{
    struct synthetic *s = context;
    engine_release(&s->inner, prepared);
}

static void synthetic_limits(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    const struct synthetic *s = context;
    (void)prepared;
    *out = (struct backend_limits){.batch_max = (uint32_t)s->with.batch_max, .in_flight_max = (uint32_t)s->with.streams};
}

static void synthetic_describe(void *context, const struct prepared *prepared, struct buf *out)
{
    const struct synthetic *s = context;
    (void)prepared;
    buf_format(out, "kernel: the CPU's, answered after %g us and %g us a row, %g streams\n", s->with.factor * s->with.fixed_us,
               s->with.factor * s->with.row_us, s->with.streams);
}

/* --- time -------------------------------------------------------------------------------------------------------------- */

static double uniform(struct synthetic *s)
{
    s->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = s->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / (double)(UINT64_C(1) << 53);
}

/* How long after `at` the trouble that comes so often and lasts so long will be over; 0: there is none then. */
static int64_t trouble_ns(const struct synthetic *s, double every_ms, double lasts_ms, int64_t at_ns)
{
    int64_t every = (int64_t)(every_ms * 1e6), lasts = (int64_t)(lasts_ms * 1e6);
    int64_t since = at_ns - s->opened_ns;
    if (every <= 0 || since < every || since % every >= lasts)
        return 0;
    return lasts - since % every;
}

static bool is_there(const char *path)
{
    return path[0] && access(path, F_OK) == 0;
}

static void keep_result(struct batch *batch, enum status status)
{
    *(enum status *)batch->owner = status;
}

static enum status synthetic_submit(void *context, const struct prepared *prepared, struct batch *batch)
{
    struct synthetic *s = context;
    int64_t now_ns = clock_monotonic_ns();
    uint32_t place = 0;
    while (place < (uint32_t)s->with.streams && s->pending[place].batch)
        place++;
    if (place == (uint32_t)s->with.streams)
        return STATUS_BUSY;
    struct pending *p = &s->pending[place];
    struct batch inner = *batch;
    inner.done = keep_result;
    inner.owner = &p->status;
    enum status status = engine_submit(&s->inner, prepared, &inner); /* synchronous: the result is there */
    if (status != STATUS_OK)
        return status;
    double us = s->with.factor * (s->with.fixed_us + s->with.row_us * batch->n) * (1 + s->with.jitter * uniform(s));
    p->due_ns = now_ns + (int64_t)(us * 1e3);
    p->due_ns += trouble_ns(s, s->with.stall_every_ms, s->with.stall_ms, p->due_ns);
    if (trouble_ns(s, s->with.fail_every_ms, s->with.fail_ms, p->due_ns) > 0)
        p->status = STATUS_UNAVAILABLE;
    p->batch = batch;
    return STATUS_OK;
}

static unsigned synthetic_poll(void *context)
{
    struct synthetic *s = context;
    int64_t now_ns = clock_monotonic_ns();
    unsigned done = 0;
    if (is_there(s->with.stall_file))
        return 0;
    bool fails = is_there(s->with.fail_file);
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        struct batch *batch = s->pending[i].batch;
        if (!batch || s->pending[i].due_ns > now_ns)
            continue;
        s->pending[i].batch = NULL;
        batch->done(batch, fails ? STATUS_UNAVAILABLE : s->pending[i].status);
        done++;
    }
    return done;
}

static int64_t synthetic_due(void *context)
{
    const struct synthetic *s = context;
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        if (s->pending[i].batch && s->pending[i].due_ns < first)
            first = s->pending[i].due_ns;
    }
    return first < INT64_MAX && is_there(s->with.stall_file) ? clock_monotonic_ns() + LOOK_NS : first;
}

const struct backend backend_synthetic = {
    .name = "synthetic",
    .summary = "takes as long as it is told, for tests and measurements",
    .only_by_name = true,
    .open = synthetic_open,
    .configure = synthetic_configure,
    .close = synthetic_close,
    .prepare = synthetic_prepare,
    .release = synthetic_release,
    .submit = synthetic_submit,
    .limits = synthetic_limits,
    .poll = synthetic_poll,
    .due = synthetic_due,
    .describe = synthetic_describe,
};
