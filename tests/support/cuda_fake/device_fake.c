#include "tests/support/cuda_fake/device_fake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "tests/support/cuda_fake/stand_in.h"

enum { DEVICES_MAX = 4, QUEUE_MAX = 64, STREAMS = 8, BLOCKS_MAX = 256, ALIGN = 256 };

static struct options {
    double devices, fixed_us, row_us, jitter, seed, lose_every_ms, lose_ms;
} with = {.devices = 1, .fixed_us = 10, .row_us = 0.03};

/* One thing that a stream was asked to do. */
struct item {
    struct device_stream *stream;
    bool kernel;
    struct cuda_args args;
    void *to;
    const void *from;
    size_t bytes;
    int64_t due_ns;
    uint64_t number; /* the lower was asked earlier */
};

struct device_stream {
    int64_t free_ns; /* when all that it was asked is done */
    uint32_t queued;
};

/* What outlives the opening and closing of a device. */
static struct ground {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool lost, absent, mute, hang, stall, wrong, full;
    struct fake_counts counts;
} grounds[DEVICES_MAX] = {{.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
                          {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
                          {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
                          {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};

struct device {
    struct ground *ground;
    uint32_t number;
    struct device_facts facts;
    char fault[DEVICE_FAULT_MAX];
    pthread_t thread;
    bool closing, sticky; /* sticky: it was lost while it was open, and stays so */
    struct item queue[QUEUE_MAX];
    uint32_t queued;
    uint64_t next, random;
    int64_t losses; /* before it was opened */
    void *blocks[BLOCKS_MAX];
    struct device_stream streams[STREAMS];
    uint32_t stream_count;
};

static const char *begin_file;
static _Atomic int64_t began_ns; /* of the losses by the clock; 0: not yet */

/* --- options and faults ------------------------------------------------------------------------------------------------ */

enum status fake_configure(const char *options, struct error *err)
{
    static const struct {
        const char *name;
        double *value;
    } known[] = {{"devices", &with.devices}, {"fixed_us", &with.fixed_us}, {"row_us", &with.row_us}, {"jitter", &with.jitter},
                 {"seed", &with.seed}, {"lose_every_ms", &with.lose_every_ms}, {"lose_ms", &with.lose_ms}};
    begin_file = getenv("ASSAY_FAKE_CUDA_BEGIN");
    began_ns = begin_file ? 0 : clock_monotonic_ns();
    for (const char *at = options; *at;) {
        size_t len = strcspn(at, ","), name = strcspn(at, "=,"), i = 0;
        while (i < sizeof known / sizeof known[0] && (strlen(known[i].name) != name || memcmp(known[i].name, at, name) != 0))
            i++;
        if (i == sizeof known / sizeof known[0] || at[name] != '=')
            return error_set(err, STATUS_USAGE, "fake device: '%.*s' is no option of it", (int)len, at);
        *known[i].value = strtod(at + name + 1, NULL);
        at += len + (at[len] == ',');
    }
    CHECK(with.devices <= DEVICES_MAX);
    return STATUS_OK;
}

void fake_fault(uint32_t device, enum fake_fault fault)
{
    struct ground *g = &grounds[device];
    (void)pthread_mutex_lock(&g->lock);
    if (fault == FAKE_HEAL)
        g->lost = g->absent = g->mute = g->hang = g->stall = g->wrong = g->full = false;
    g->lost = g->lost || fault == FAKE_LOSE || fault == FAKE_ABSENT;
    g->absent = g->absent || fault == FAKE_ABSENT;
    g->mute = g->mute || fault == FAKE_MUTE;
    g->hang = g->hang || fault == FAKE_HANG;
    g->stall = g->stall || fault == FAKE_STALL;
    g->wrong = g->wrong || fault == FAKE_WRONG;
    g->full = g->full || fault == FAKE_FULL;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

struct fake_counts fake_counts(uint32_t device)
{
    (void)pthread_mutex_lock(&grounds[device].lock);
    struct fake_counts counts = grounds[device].counts;
    (void)pthread_mutex_unlock(&grounds[device].lock);
    return counts;
}

/* How long the clock of losses has run. */
static int64_t since_begin_ns(void)
{
    if (began_ns == 0 && access(begin_file, F_OK) == 0)
        began_ns = clock_monotonic_ns();
    return began_ns == 0 ? 0 : clock_monotonic_ns() - began_ns;
}

/* Losses by the clock so far. */
static int64_t losses(void)
{
    int64_t every_ns = (int64_t)(with.lose_every_ms * 1e6);
    return every_ns > 0 ? since_begin_ns() / every_ns : 0;
}

static bool away_by_clock(void)
{
    int64_t every_ns = (int64_t)(with.lose_every_ms * 1e6), since_ns = every_ns > 0 ? since_begin_ns() : 0;
    return every_ns > 0 && since_ns >= every_ns && since_ns % every_ns < (int64_t)(with.lose_ms * 1e6);
}

/* Is the device there? Its lock is held. */
static bool is_well(struct device *d, const char *call)
{
    if (d->ground->lost || losses() > d->losses)
        d->sticky = true;
    if (!d->sticky)
        return true;
    (void)snprintf(d->fault, sizeof d->fault, "%s: the fake device was lost", call);
    return false;
}

/* --- the device's thread ----------------------------------------------------------------------------------------------- */

/* The first thing of some stream that is due; NULL: none, *next_ns says when. */
static struct item *due_item(struct device *d, int64_t now_ns, int64_t *next_ns)
{
    struct item *found = NULL;
    *next_ns = INT64_MAX;
    for (uint32_t i = 0; i < d->queued; i++) {
        struct item *item = &d->queue[i];
        bool first = true;
        for (uint32_t j = 0; j < d->queued; j++)
            first = first && (d->queue[j].stream != item->stream || d->queue[j].number >= item->number);
        if (!first || (item->kernel && d->ground->hang))
            continue;
        if (item->due_ns > now_ns)
            *next_ns = item->due_ns < *next_ns ? item->due_ns : *next_ns;
        else if (!found || item->due_ns < found->due_ns)
            found = item;
    }
    return found;
}

static void answer(const struct cuda_args *args, bool wrong)
{
    uint32_t rows = stand_in_rows(args);
    size_t bytes = stand_in_bytes(args, rows);
    char *margins = calloc(1, bytes + 1);
    CHECK(margins);
    stand_in_compute(args, rows, margins);
    if (wrong)
        margins[0] ^= 1;
    memcpy(args->margins, margins, bytes);
    free(margins);
    CHECK(*args->ticket == 0); /* nobody else uses what belongs to this stream */
    /* release: the margins before the flag, as the kernel's fence does it */
    __atomic_store_n(args->done, args->request->sequence, __ATOMIC_RELEASE);
}

static void *device_run(void *argument)
{
    struct device *d = argument;
    struct ground *g = d->ground;
    (void)pthread_mutex_lock(&g->lock);
    while (!d->closing) {
        int64_t next_ns;
        struct item *item = due_item(d, clock_monotonic_ns(), &next_ns);
        if (!item) {
            struct timespec until = {.tv_sec = next_ns / 1000000000, .tv_nsec = next_ns % 1000000000};
            if (next_ns == INT64_MAX)
                (void)pthread_cond_wait(&g->changed, &g->lock);
            else
                (void)pthread_cond_clockwait(&g->changed, &g->lock, CLOCK_MONOTONIC, &until);
            continue;
        }
        struct item work = *item;
        bool runs = !item->kernel || (is_well(d, "kernel") && !g->mute), wrong = g->wrong;
        *item = d->queue[--d->queued];
        (void)pthread_mutex_unlock(&g->lock); /* who asks for more does not wait for this */
        if (runs && work.kernel)
            answer(&work.args, wrong);
        else if (runs)
            memcpy(work.to, work.from, work.bytes);
        (void)pthread_mutex_lock(&g->lock);
        work.stream->queued--;
    }
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

static double uniform(struct device *d)
{
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(d->random >> 11) / (double)(UINT64_C(1) << 53);
}

/* The lock is held. */
static enum device_status put_item(struct device *d, struct item item, double us)
{
    if (!is_well(d, item.kernel ? "launch" : "copy"))
        return DEVICE_FAILED;
    CHECK(d->queued < QUEUE_MAX);
    int64_t now_ns = clock_monotonic_ns();
    int64_t start_ns = item.stream->free_ns > now_ns ? item.stream->free_ns : now_ns;
    item.due_ns = item.stream->free_ns = start_ns + (int64_t)(us * 1e3 * (1 + with.jitter * uniform(d)));
    item.number = d->next++;
    item.stream->queued++;
    d->queue[d->queued++] = item;
    (void)pthread_cond_broadcast(&d->ground->changed);
    return DEVICE_OK;
}

/* --- the table --------------------------------------------------------------------------------------------------------- */

static enum status fake_count(uint32_t *out, struct error *found)
{
    *out = (uint32_t)with.devices;
    if (*out == 0)
        return error_set(found, STATUS_UNAVAILABLE, "no driver for fake devices");
    return error_set(found, STATUS_OK, "%u fake GPU%s", *out, *out == 1 ? "" : "s");
}

static enum status fake_open(uint32_t number, struct device **out, struct error *err)
{
    struct ground *g = &grounds[number];
    struct device *d = calloc(1, sizeof *d);
    CHECK(d);
    d->ground = g;
    d->number = number;
    d->random = (uint64_t)with.seed + number;
    d->losses = losses();
    d->facts = (struct device_facts){.major = 9, .processors = 132, .block_shared_max = 227 << 10, .processor_shared = 228 << 10,
                                     .memory_bytes = 1ull << 36, .node = -1};
    (void)snprintf(d->facts.name, sizeof d->facts.name, "fake GPU");
    (void)pthread_mutex_lock(&g->lock);
    bool there = !g->absent && !away_by_clock();
    if (there) {
        g->lost = false; /* opening heals what was lost */
        g->counts.opened++;
    }
    (void)pthread_mutex_unlock(&g->lock);
    if (!there) {
        free(d);
        return error_set(err, STATUS_UNAVAILABLE, "GPU %u: the fake device is away", number);
    }
    CHECK(pthread_create(&d->thread, NULL, device_run, d) == 0);
    *out = d;
    return STATUS_OK;
}

static void fake_close(struct device *d)
{
    struct ground *g = d->ground;
    (void)pthread_mutex_lock(&g->lock);
    d->closing = true;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
    (void)pthread_join(d->thread, NULL);
    (void)pthread_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < BLOCKS_MAX; i++) {
        g->counts.live -= d->blocks[i] != NULL;
        free(d->blocks[i]);
    }
    (void)pthread_mutex_unlock(&g->lock);
    free(d);
}

static const struct device_facts *fake_facts(const struct device *d)
{
    return &d->facts;
}

static const char *fake_fault_text(const struct device *d)
{
    return d->fault;
}

static enum device_status fake_memory(struct device *d, uint64_t *free_bytes, uint64_t *total_bytes)
{
    *total_bytes = d->facts.memory_bytes;
    *free_bytes = d->facts.memory_bytes / 2;
    return DEVICE_OK;
}

static enum device_status fake_alloc(struct device *d, size_t bytes, void **out)
{
    struct ground *g = d->ground;
    enum device_status status = DEVICE_OK;
    (void)pthread_mutex_lock(&g->lock);
    if (!is_well(d, "alloc"))
        status = DEVICE_FAILED;
    else if (g->full)
        status = DEVICE_NO_MEMORY;
    if (g->full)
        (void)snprintf(d->fault, sizeof d->fault, "alloc: out of memory");
    if (status == DEVICE_OK) {
        uint32_t i = 0;
        while (i < BLOCKS_MAX && d->blocks[i])
            i++;
        CHECK(i < BLOCKS_MAX);
        *out = d->blocks[i] = aligned_alloc(ALIGN, (bytes + ALIGN) / ALIGN * ALIGN);
        CHECK(*out);
        memset(*out, 0xab, bytes); /* a device's memory is not zero */
        g->counts.allocations++;
        g->counts.live++;
    }
    (void)pthread_mutex_unlock(&g->lock);
    return status;
}

static void fake_free(struct device *d, void *memory)
{
    struct ground *g = d->ground;
    (void)pthread_mutex_lock(&g->lock);
    uint32_t i = 0;
    while (i < BLOCKS_MAX && d->blocks[i] != memory)
        i++;
    CHECK(i < BLOCKS_MAX);
    d->blocks[i] = NULL;
    g->counts.live--;
    (void)pthread_mutex_unlock(&g->lock);
    free(memory);
}

static enum device_status fake_upload(struct device *d, void *to, const void *from, size_t bytes)
{
    (void)pthread_mutex_lock(&d->ground->lock);
    bool well = is_well(d, "upload");
    (void)pthread_mutex_unlock(&d->ground->lock);
    if (well)
        memcpy(to, from, bytes);
    return well ? DEVICE_OK : DEVICE_FAILED;
}

static enum device_status fake_host_alloc(struct device *d, size_t bytes, void **out, void **mapped)
{
    enum device_status status = fake_alloc(d, bytes, out);
    *mapped = *out;
    return status;
}

static enum device_status fake_register(struct device *d, void *memory, size_t bytes, void **mapped)
{
    (void)bytes;
    (void)pthread_mutex_lock(&d->ground->lock);
    bool well = is_well(d, "register");
    (void)pthread_mutex_unlock(&d->ground->lock);
    *mapped = memory;
    return well ? DEVICE_OK : DEVICE_FAILED;
}

static void fake_unregister(struct device *d, void *memory)
{
    (void)d;
    (void)memory;
}

static enum device_status fake_stream(struct device *d, int urgent, struct device_stream **out)
{
    (void)urgent;
    CHECK(d->stream_count < STREAMS);
    *out = &d->streams[d->stream_count++];
    return DEVICE_OK;
}

static void fake_stream_destroy(struct device *d, struct device_stream *stream)
{
    (void)d;
    (void)stream;
}

static enum device_status fake_prepare(struct device *d, cuda_function function, uint32_t shared_bytes)
{
    (void)function;
    CHECK(shared_bytes <= d->facts.block_shared_max);
    return DEVICE_OK;
}

static enum device_status fake_copy(struct device *d, struct device_stream *stream, void *to, const void *from, size_t bytes)
{
    (void)pthread_mutex_lock(&d->ground->lock);
    d->ground->counts.copies++;
    const struct item item = {.stream = stream, .to = to, .from = from, .bytes = bytes};
    enum device_status status = put_item(d, item, with.fixed_us / 4 + (double)bytes / 50e3);
    (void)pthread_mutex_unlock(&d->ground->lock);
    return status;
}

static enum device_status fake_launch(struct device *d, struct device_stream *stream, cuda_function function, const struct cuda_launch *launch,
                                      const struct cuda_args *args)
{
    (void)function;
    struct ground *g = d->ground;
    (void)pthread_mutex_lock(&g->lock);
    while (g->stall)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    CHECK(args->capacity == launch->capacity && args->request->n <= args->capacity);
    g->counts.launches++;
    g->counts.mapped_reads += args->slots != NULL;
    const struct item item = {.stream = stream, .kernel = true, .args = *args};
    enum device_status status = put_item(d, item, with.fixed_us + with.row_us * args->request->n);
    (void)pthread_mutex_unlock(&g->lock);
    return status;
}

static enum device_status fake_query(struct device *d, struct device_stream *stream)
{
    (void)pthread_mutex_lock(&d->ground->lock);
    enum device_status status = !is_well(d, "query") ? DEVICE_FAILED : stream->queued > 0 ? DEVICE_NOT_READY : DEVICE_OK;
    (void)pthread_mutex_unlock(&d->ground->lock);
    return status;
}

static const struct device_table table = {
    .name = "fake runtime",
    .count = fake_count,
    .open = fake_open,
    .close = fake_close,
    .facts = fake_facts,
    .fault = fake_fault_text,
    .memory = fake_memory,
    .alloc = fake_alloc,
    .free = fake_free,
    .upload = fake_upload,
    .host_alloc = fake_host_alloc,
    .host_free = fake_free,
    .host_register = fake_register,
    .host_unregister = fake_unregister,
    .stream_create = fake_stream,
    .stream_destroy = fake_stream_destroy,
    .prepare = fake_prepare,
    .copy = fake_copy,
    .launch = fake_launch,
    .query = fake_query,
};

static void no_kernel(struct cuda_args args)
{
    (void)args;
}

static const struct cuda_kernel_entry kernels[CUDA_KERNEL_COUNT] = {
#define CUDA_KERNEL(name) {#name, no_kernel},
#include "kernels/cuda/kernels.def"
#undef CUDA_KERNEL
};

const struct cuda_module fake_module = {.layout = "", .devices = &table, .kernels = kernels, .uploaded = stand_in_uploaded};
