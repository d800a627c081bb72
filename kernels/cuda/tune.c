/*
 * At load: rows to try a model on, the fastest way for each size of batch, and the proof that the device computes it to the
 * bit. All ways give the same bits, so which one is chosen shows in time alone.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/engine_private.h"
#include "kernels/ref/backend_reference.h"
#include "model/base/clock.h"
#include "model/forest.h"
#include "model/model.h"

enum { TRIES_MOST = 9, COPIED_BYTES_LEAST = 16384 };

static const int64_t WAY_NS = 2000000;        /* for measuring one way */
static const int64_t ANSWER_NS = 10000000000; /* a kernel that takes longer at load is taken to hang */
static const int64_t QUERY_NS = 200000;
static const double CLEARLY = 0.97; /* the likeliest way comes first, and another has to be faster by more than noise */

/* --- rows -------------------------------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void put(const struct prepared *p, uint32_t row, uint32_t column, double x)
{
    char *at = p->trial + row * p->stride;
    float narrow = (float)x;
    if (cuda_model_row_type(p->laid_out) == NUMBER_F32)
        memcpy(at + column * sizeof narrow, &narrow, sizeof narrow);
    else
        memcpy(at + column * sizeof x, &x, sizeof x);
}

/* Values on thresholds of nodes picked at random, so that rows part where the model makes them part; one in sixteen is missing. */
static void fill_from_forest(struct prepared *p, const struct forest *forest)
{
    uint64_t random = 1;
    for (uint32_t row = 0; row < p->piece_max; row++) {
        for (uint32_t i = 0; i < 2 * forest->features && i < 256; i++) {
            const struct forest_node *node = &forest->nodes[next_random(&random) % forest->node_count];
            if (node->op == FOREST_LEAF)
                continue;
            double x = node->op == FOREST_MEMBER ? (double)(next_random(&random) % 64) : node->threshold;
            put(p, row, node->feature, next_random(&random) % 16 == 0 ? (double)NAN : x);
        }
    }
}

static void fill_plain(struct prepared *p, uint32_t features)
{
    uint64_t random = 1;
    for (uint32_t row = 0; row < p->piece_max; row++) {
        for (uint32_t column = 0; column < features; column++)
            put(p, row, column, (double)next_random(&random) * 0x1p-29 - 2); /* -2 .. 2 */
    }
}

static void note_status(struct batch *batch, enum status status)
{
    *(enum status *)batch->owner = status;
}

/* What the reference makes of the first rows. */
static enum status expect(struct prepared *p, struct error *err)
{
    uint32_t n = p->piece_max < CHECK_ROWS ? p->piece_max : CHECK_ROWS;
    const struct model_info *info = model_info(p->model);
    const struct rows rows = {.base = p->trial, .stride = p->stride, .columns = info->features, .type = info->input_type};
    struct engine reference = {0};
    struct prepared *prepared = NULL;
    enum status answer = STATUS_OK;
    double *scores = calloc((size_t)CHECK_ROWS * info->scores, sizeof *scores);
    struct batch batch = {.rows = &rows, .slots = p->trial_slots, .n = n, .margins = p->expected, .scores = scores, .done = note_status, .owner = &answer};
    enum status status = scores ? engine_open(&backend_reference, &reference, err) : error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK)
        status = engine_prepare(&reference, p->model, &prepared, err);
    if (status == STATUS_OK)
        status = engine_submit(&reference, prepared, &batch);
    engine_release(&reference, prepared);
    engine_close(&reference);
    free(scores);
    return status == STATUS_OK ? answer : status;
}

enum status tune_trial_rows(struct prepared *p, struct error *err)
{
    const struct model_info *info = model_info(p->model);
    p->trial = aligned_alloc(64, p->piece_max * p->stride);
    p->expected = calloc((size_t)CHECK_ROWS * info->margins, sizeof *p->expected);
    p->trial_slots = calloc(p->piece_max, sizeof *p->trial_slots);
    if (!p->trial || !p->expected || !p->trial_slots)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for trial rows");
    memset(p->trial, 0, p->piece_max * p->stride);
    for (uint32_t i = 0; i < p->piece_max; i++)
        p->trial_slots[i] = i;
    const struct forest *forest = model_forest(p->model);
    if (forest && forest->node_count > 0)
        fill_from_forest(p, forest);
    else
        fill_plain(p, info->features);
    return expect(p, err);
}

/* --- runs -------------------------------------------------------------------------------------------------------------- */

static enum status failed(const struct engine_cuda *e, struct error *err)
{
    return error_set(err, STATUS_UNAVAILABLE, "trying the model on the device: %s", e->table->fault(e->device));
}

/* The first n trial rows, on stream 0; waits. */
static enum status run(struct engine_cuda *e, const struct prepared *p, const struct way *way, uint32_t n, int64_t *ns, struct error *err)
{
    const struct rows rows = {.base = p->trial, .stride = p->stride, .type = cuda_model_row_type(p->laid_out)};
    struct flight *flight = &e->flights[0];
    const struct piece piece = {.prepared = p, .rows = &rows, .slots = p->trial_slots, .n = n, .sequence = ++flight->sequence, .way = way};
    int64_t start_ns = clock_monotonic_ns(), look_ns = start_ns + QUERY_NS;
    enum device_status status = piece_send(e, &piece);
    while (status == DEVICE_OK && !piece_is_done(p, 0, piece.sequence)) {
        int64_t now_ns = clock_monotonic_ns();
        if (now_ns < look_ns)
            continue;
        status = e->table->query(e->device, flight->stream);
        look_ns = now_ns + QUERY_NS;
        if (status == DEVICE_OK && !piece_is_done(p, 0, piece.sequence))
            return error_set(err, STATUS_UNAVAILABLE, "trying the model on the device: a kernel ended without an answer");
        if (status == DEVICE_NOT_READY && now_ns - start_ns > ANSWER_NS)
            return error_set(err, STATUS_UNAVAILABLE, "trying the model on the device: no answer in %d s", (int)(ANSWER_NS / 1000000000));
        status = status == DEVICE_NOT_READY ? DEVICE_OK : status;
    }
    *ns = clock_monotonic_ns() - start_ns;
    return status == DEVICE_OK ? STATUS_OK : failed(e, err);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median, after one run that is not counted. */
static enum status measure(struct engine_cuda *e, const struct prepared *p, struct way *way, uint32_t n, struct error *err)
{
    int64_t ns[TRIES_MOST], first_ns, end_ns = clock_monotonic_ns() + WAY_NS;
    size_t tries = 0;
    enum status status = run(e, p, way, n, &first_ns, err);
    while (status == STATUS_OK && tries < TRIES_MOST && (tries == 0 || clock_monotonic_ns() < end_ns))
        status = run(e, p, way, n, &ns[tries++], err);
    if (status != STATUS_OK)
        return status;
    qsort(ns, tries, sizeof ns[0], compare);
    way->us = (double)ns[tries / 2] / 1e3;
    return STATUS_OK;
}

static enum status tune_bucket(struct engine_cuda *e, struct prepared *p, const struct cuda_limits *limits, uint32_t bucket, struct error *err)
{
    struct cuda_launch launches[CUDA_LAUNCHES_MAX];
    uint32_t rows = 1u << bucket, n = cuda_model_launches(p->laid_out, limits, rows, launches);
    bool may_copy = rows * p->stride >= COPIED_BYTES_LEAST;
    struct way *best = &p->ways[bucket];
    *best = (struct way){.us = 0};
    for (uint32_t i = 0; i < n * (may_copy ? 2 : 1); i++) {
        struct way way = {.launch = launches[i % n], .copied = i >= n};
        enum status status = measure(e, p, &way, rows, err);
        if (status != STATUS_OK)
            return status;
        if (best->us == 0 || way.us < CLEARLY * best->us)
            *best = way;
    }
    return STATUS_OK;
}

enum status tune_ways(struct engine_cuda *e, struct prepared *p, struct error *err)
{
    const struct cuda_limits limits = device_limits(e->table->facts(e->device));
    enum status status = STATUS_OK;
    for (uint32_t b = 0; b < p->bucket_count && status == STATUS_OK; b++)
        status = tune_bucket(e, p, &limits, b, err);
    p->tuned = status == STATUS_OK;
    return status;
}

/* --- trust ------------------------------------------------------------------------------------------------------------- */

static enum status check_way(struct engine_cuda *e, struct prepared *p, uint32_t n, double *margins, double *scores, struct error *err)
{
    const struct way *way = &p->ways[piece_bucket(n)];
    uint32_t width = cuda_model_margins(p->laid_out);
    int64_t ns;
    enum status status = run(e, p, way, n, &ns, err);
    if (status != STATUS_OK)
        return status;
    cuda_model_scores(p->laid_out, p->pieces[0].margins, n, margins, scores);
    if (memcmp(margins, p->expected, (size_t)n * width * sizeof *margins) == 0)
        return STATUS_OK;
    return error_set(err, STATUS_MISMATCH, "%s computes other margins than the reference (%s, %u rows): it is not used",
                     e->table->facts(e->device)->name, e->module->kernels[way->launch.kernel].name, n);
}

enum status tune_check(struct engine_cuda *e, struct prepared *p, struct error *err)
{
    const struct model_info *info = model_info(p->model);
    uint32_t most = p->piece_max < CHECK_ROWS ? p->piece_max : CHECK_ROWS;
    double *margins = calloc((size_t)most * info->margins, sizeof *margins);
    double *scores = calloc((size_t)most * info->scores, sizeof *scores);
    enum status status = margins && scores ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (uint32_t n = 1; n <= most && status == STATUS_OK; n = n < most && 2 * n > most ? most : 2 * n)
        status = check_way(e, p, n, margins, scores, err);
    free(margins);
    free(scores);
    return status;
}
