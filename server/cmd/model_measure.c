/*
 * How fast a prepared model is, on one thread. Each call gets rows that the one before did not have, as in production; their
 * values lie around the model's own thresholds, so that walks are as deep and as hard to foresee as the model makes them.
 */
#include <math.h>
#include <stdlib.h>

#include "model/backend.h"
#include "model/base/clock.h"
#include "model/forest.h"
#include "model/model.h"
#include "model/network.h"
#include "server/cmd/model_command.h"
#include "server/engine/cost.h"

enum { ROWS = 4096, TIMES = 301, LARGEST = 1024, SERVED = 256 /* batch.max */ };

static const int64_t limit_ns = 100000000; /* for one batch size */
static const size_t rows_bytes = (size_t)64 << 20;

struct measure {
    const struct engine *engine;
    const struct prepared *prepared;
    struct rows rows;
    char *memory; /* owned */
    uint32_t row_count, next;
    uint32_t *slots;
    double *margins, *scores;
    uint64_t random;
    bool done;
    int64_t times[TIMES];
};

/* xorshift64*, S. Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016). */
static uint64_t next_random(struct measure *m)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return m->random * UINT64_C(2685821657736338717);
}

static double uniform(struct measure *m)
{
    return (double)(next_random(m) >> 11) * 0x1p-53;
}

static void set_value(const struct measure *m, uint32_t row, uint32_t feature, double value)
{
    char *at = m->memory + row * m->rows.stride;
    if (m->rows.type == NUMBER_F32)
        ((float *)at)[feature] = (float)value;
    else
        ((double *)at)[feature] = value;
}

/* How many values a column may take that a network uses as an index of a table; 0: it does not. */
static uint32_t table_rows(const struct network *n, uint32_t column)
{
    for (uint32_t i = 0; i < n->op_count; i++) {
        const struct network_op *op = &n->ops[i], *from = op->inputs[0] ? &n->ops[op->inputs[0] - 1] : NULL;
        if (op->kind == NETWORK_EMBED && from && from->kind == NETWORK_MAP) /* the cast to a whole number */
            from = from->inputs[0] ? &n->ops[from->inputs[0] - 1] : NULL;
        if (op->kind != NETWORK_EMBED || !from || from->kind != NETWORK_COPY)
            continue;
        for (uint32_t p = from->first; p < from->first + from->count; p++) {
            const struct network_piece *piece = &n->pieces[p];
            if (piece->wire == 0 && piece->column <= column && column < piece->column + piece->count)
                return op->rows;
        }
    }
    return 0;
}

/* Numbers as a scaler gives them, and indices where a table wants them. */
static void fill_network_rows(struct measure *m, const struct network *n)
{
    for (uint32_t i = 0; i < m->rows.columns; i++) {
        uint32_t values = table_rows(n, i);
        for (uint32_t r = 0; r < m->row_count; r++)
            set_value(m, r, i, values ? floor(uniform(m) * values) : uniform(m) * 4 - 2);
    }
}

/* Every row starts missing; then, split after split in random order, values near thresholds fill most of it. */
static void fill_rows(struct measure *m, const struct forest *f)
{
    for (uint32_t r = 0; r < m->row_count; r++) {
        for (uint32_t i = 0; i < m->rows.columns; i++)
            set_value(m, r, i, uniform(m) < 0.05 ? (double)NAN : uniform(m) * 2 - 1);
        for (uint32_t k = 0; k < 2 * m->rows.columns && k < 4096; k++) {
            const struct forest_node *node = &f->nodes[next_random(m) % f->node_count];
            if (node->op == FOREST_MEMBER)
                set_value(m, r, node->feature, floor(uniform(m) * 32 * f->sets[node->set].words));
            else if (node->op != FOREST_LEAF && uniform(m) > 0.05)
                set_value(m, r, node->feature, node->threshold * (0.75 + 0.5 * uniform(m)));
        }
    }
}

static void on_done(struct batch *batch, enum status status)
{
    (void)status;
    *(bool *)batch->owner = true;
}

static bool run_once(struct measure *m, uint32_t n, int64_t *ns)
{
    for (uint32_t i = 0; i < n; i++)
        m->slots[i] = m->next++ % m->row_count;
    struct batch batch = {.rows = &m->rows, .slots = m->slots, .n = n, .margins = m->margins, .scores = m->scores, .done = on_done, .owner = &m->done};
    int64_t start = clock_monotonic_ns();
    m->done = false;
    if (engine_submit(m->engine, m->prepared, &batch) != STATUS_OK)
        return false;
    while (!m->done)
        (void)engine_poll(m->engine);
    *ns = clock_monotonic_ns() - start;
    return true;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* l(b): the median of up to TIMES calls, each after enough others to be warm, and the 95th percentile. Small batches are timed
 * several to a sample, so that the clock's own cost does not count. */
static bool measure_size(struct measure *m, uint32_t n, double *median_us, double *tail_us)
{
    uint32_t calls = n >= 64 ? 1 : 64 / n;
    int64_t begin = clock_monotonic_ns();
    size_t samples = 0;
    for (int warm = 2; samples < TIMES && (samples < 5 || clock_monotonic_ns() - begin < limit_ns); warm--) {
        int64_t total = 0, ns = 0;
        for (uint32_t c = 0; c < calls; c++) {
            if (!run_once(m, n, &ns))
                return false;
            total += ns;
        }
        if (warm <= 0)
            m->times[samples++] = total;
    }
    qsort(m->times, samples, sizeof m->times[0], by_time);
    *median_us = (double)m->times[samples / 2] / calls / 1000;
    *tail_us = (double)m->times[samples * 95 / 100] / calls / 1000;
    return true;
}

static bool prepare_rows(struct measure *m, const struct model_info *info, uint32_t batch_max)
{
    size_t width = (info->features ? info->features : 1) * number_type_bytes(info->input_type);
    m->rows = (struct rows){.stride = (width + 63) / 64 * 64, .columns = info->features, .type = info->input_type};
    size_t fit = rows_bytes / m->rows.stride;
    m->row_count = fit < 1 ? 1 : fit < ROWS ? (uint32_t)fit : ROWS;
    m->memory = aligned_alloc(64, m->rows.stride * m->row_count);
    m->slots = calloc(batch_max, sizeof *m->slots);
    m->margins = calloc((size_t)batch_max * info->margins, sizeof(double));
    m->scores = calloc((size_t)batch_max * info->scores, sizeof(double));
    m->rows.base = m->memory;
    return m->memory && m->slots && m->margins && m->scores;
}

/* How the server would use it: batch.mode auto, batch.max as it is by default. */
static void show_choice(const struct backend_limits *limits, const struct cost *cost, struct buf *out)
{
    double saved_ns = cost_saved_ns(cost);
    bool batched = !limits->synchronous || saved_ns > COST_BATCHES_PAY_NS;
    buf_format(out, "served            %s: a row in a batch of %u costs %.3f us %s than alone; batches pay from %.0f us on%s\n", batched ? "in batches" : "inline",
               cost->sizes[cost->count - 1], fabs(saved_ns) / 1e3, saved_ns < 0 ? "more" : "less", COST_BATCHES_PAY_NS / 1e3,
               limits->synchronous ? "" : ", and this engine works in batches alone");
}

static void show_costs(struct measure *m, const struct backend_limits *limits, struct buf *out)
{
    struct cost cost;
    cost_init(&cost, limits->batch_max < SERVED ? limits->batch_max : SERVED, 1);
    for (uint32_t n = 1, i = 0; n <= limits->batch_max && n <= LARGEST; n *= 2) {
        double median_us, tail_us;
        if (!measure_size(m, n, &median_us, &tail_us)) {
            buf_format(out, "batch of %-8u failed\n", n);
            return;
        }
        buf_format(out, "batch of %-8u %.2f us, %.3f us a row; tail %.2f us\n", n, median_us, median_us / n, tail_us);
        if (i < cost.count && cost.sizes[i] == n)
            cost_set(&cost, i++, median_us * 1e3);
    }
    show_choice(limits, &cost, out);
}

void model_measure(const struct engine *engine, const struct prepared *prepared, const struct model *model, struct buf *out)
{
    struct measure *m = calloc(1, sizeof *m);
    struct backend_limits limits;
    if (!m) {
        out->failed = true;
        return;
    }
    m->engine = engine;
    m->prepared = prepared;
    m->random = 88172645463325252;
    engine_limits(engine, prepared, &limits);
    if (prepare_rows(m, model_info(model), LARGEST)) {
        if (model_network(model))
            fill_network_rows(m, model_network(model));
        else
            fill_rows(m, model_forest(model));
        show_costs(m, &limits, out);
    } else {
        buf_string(out, "not measured      out of memory\n");
    }
    free(m->memory);
    free(m->slots);
    free(m->margins);
    free(m->scores);
    free(m);
}
