#include "kernels/cpu/trial.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cpu/memory.h"

enum { ROW_BYTES_MAX = 16 << 20, ROWS_MAX = 256, SAMPLES_MAX = 101 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void put(const struct rows *rows, uint32_t row, uint32_t column, double x)
{
    char *at = (char *)(uintptr_t)rows->base + (size_t)row * rows->stride;
    float narrow = (float)x;
    if (rows->type == NUMBER_F32)
        memcpy(at + (size_t)column * sizeof narrow, &narrow, sizeof narrow);
    else
        memcpy(at + (size_t)column * sizeof x, &x, sizeof x);
}

/* A feature gets the limit of a random node that asks it: values spread as the thresholds do. */
static void fill_rows(const struct inputs *inputs, struct trial *trial, uint32_t count)
{
    const struct forest *forest = inputs->forest;
    uint64_t random = 1;
    uint32_t tries_max = inputs->count < 128 ? 2 * inputs->count : 256; /* features that few nodes ask may stay 0 */
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t tries = 0; tries < tries_max; tries++) {
            const struct forest_tree *tree = &forest->trees[next_random(&random) % forest->tree_count];
            const struct forest_node *node = &forest->nodes[tree->root];
            for (uint64_t steps = next_random(&random) % 8; steps > 0 && node->op != FOREST_LEAF; steps--)
                node = &forest->nodes[next_random(&random) % 2 ? node->yes : node->no];
            if (node->op == FOREST_LEAF)
                continue;
            struct inputs_test test = inputs_test_of(inputs, node);
            bool is_order = test.input < inputs->ordered;
            put(&trial->rows, i, node->feature, is_order ? inputs_value(inputs, test.limit) : (double)(next_random(&random) % 16));
        }
    }
}

/* Rows of zeros, `count` of them, and where batches find them. */
static enum status make_rows(uint32_t features, enum number_type type, uint32_t outputs, struct trial *out, uint32_t *count, struct error *err)
{
    size_t row_bytes = features * number_type_bytes(type);
    size_t stride = row_bytes ? (row_bytes + 63) / 64 * 64 : 64;
    size_t fit = ROW_BYTES_MAX / stride;
    *count = fit < 1 ? 1 : fit > ROWS_MAX ? ROWS_MAX : (uint32_t)fit;
    *out = (struct trial){.rows = {.stride = stride, .columns = features, .type = type}};
    out->rows.base = prepared_alloc(stride * *count);
    out->margins = malloc((size_t)TRIAL_BATCH_MAX * outputs * sizeof *out->margins);
    if (!out->rows.base || !out->margins)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < TRIAL_BATCH_MAX; i++)
        out->slots[i] = i * 389 % *count; /* a prime: neighbours in a batch are none in memory */
    return STATUS_OK;
}

enum status trial_make(const struct inputs *inputs, struct trial *out, struct error *err)
{
    const struct forest *forest = inputs->forest;
    uint32_t count;
    enum status status = make_rows(forest->features, forest->input_type, forest->outputs, out, &count, err);
    if (status == STATUS_OK)
        fill_rows(inputs, out, count);
    return status;
}

enum status trial_make_plain(uint32_t features, uint32_t outputs, struct trial *out, struct error *err)
{
    uint32_t count;
    uint64_t random = 1;
    enum status status = make_rows(features, NUMBER_F32, outputs, out, &count, err);
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        for (uint32_t column = 0; column < features; column++)
            put(&out->rows, i, column, (double)next_random(&random) * 0x1p-29 - 2); /* -2 .. 2 */
    }
    return status;
}

void trial_free(struct trial *trial)
{
    free((void *)(uintptr_t)trial->rows.base);
    free(trial->margins);
    *trial = (struct trial){0};
}

/* Processor time of this thread: a server that reloads a model is busy with other things. */
static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

double trial_measure(struct trial *trial, uint32_t n, double budget_us,
                     void (*run)(const void *context, struct trial *trial, const uint32_t *slots, uint32_t n), const void *context)
{
    uint32_t count = 0, from = 0, calls = n < 64 ? 64 / n : 1; /* short calls are timed together */
    double start = now_us(), end = start, best = 0;
    while (count < SAMPLES_MAX && (count == 0 || end - start < budget_us)) {
        double before = now_us();
        for (uint32_t c = 0; c < calls; c++) {
            from = from + n > TRIAL_BATCH_MAX ? 0 : from;
            run(context, trial, trial->slots + from, n);
            from += n;
        }
        end = now_us();
        double us = (end - before) / calls;
        best = count == 0 || us < best ? us : best;
        count++;
    }
    return best;
}
