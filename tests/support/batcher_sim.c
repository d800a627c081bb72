#include "tests/support/batcher_sim.h"

#include <stddef.h>
#include <string.h>

#include "model/base/check.h"

static uint64_t seed;

static uint64_t next_random(void)
{
    seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_random_below(uint64_t n)
{
    return next_random() % n;
}

struct sim sim;

void sim_reset(uint64_t from)
{
    memset(&sim, 0, offsetof(struct sim, arrivals));
    seed = from;
}

double sim_engine_ns(const struct sim_engine *e, uint32_t n)
{
    return e->fixed_ns + e->row_ns * n;
}

static int64_t engine_takes(const struct sim_engine *e, uint32_t n)
{
    double ns = sim_engine_ns(e, n) * (1 + e->jitter * (double)sim_random_below(1000) / 1000);
    return (int64_t)ns + (e->stall_one_in && sim_random_below(e->stall_one_in) == 0 ? 50000000 : 0);
}

void sim_start(const struct batcher_options *options)
{
    struct error err;
    memset(sim.seen, 0, sim.row_count);
    CHECK(batcher_init(&sim.batcher, options, &err) == STATUS_OK);
    for (uint32_t i = 0; i < sim.engine_count; i++) {
        struct sim_engine *e = &sim.engines[i];
        struct cost cost;
        cost_init(&cost, e->batch_max, 1);
        for (uint32_t j = 0; j < cost.count; j++)
            cost_set(&cost, j, sim_engine_ns(e, cost.sizes[j]) * (1 + e->jitter / 2));
        batcher_engine(&sim.batcher, i, &cost, e->batch_max, e->streams);
        for (uint32_t j = 0; j < ROUTE_IN_FLIGHT_MAX; j++)
            e->flights[j].back_ns = INT64_MAX;
    }
}

static void leave(const struct row *row)
{
    CHECK(row->slot < sim.row_count);
    CHECK(!sim.seen[row->slot]); /* none is doubled */
    sim.seen[row->slot] = 1;
}

/* The batch is of rows that waited, callers' before later ones, within every limit. */
static void check_batch(const struct batcher_batch *batch)
{
    const struct sim_engine *e = &sim.engines[batch->engine];
    const struct queue *callers = &sim.batcher.queues[ROW_CALLER];
    CHECK(batch->n > 0 && batch->n <= e->batch_max && batch->n <= sim.batcher.with.batch_max);
    CHECK(batch->place < e->streams && e->flights[batch->place].back_ns == INT64_MAX);
    for (uint32_t i = 1; i < batch->n; i++)
        CHECK(batch->rows[i].kind != batch->rows[i - 1].kind || batch->rows[i].deadline_ns >= batch->rows[i - 1].deadline_ns);
    for (uint32_t i = 0; i < batch->n && callers->count > 0; i++)
        CHECK(batch->rows[i].kind != ROW_CALLER || batch->rows[i].deadline_ns <= callers->rows[0].deadline_ns);
}

static void send_batches(void)
{
    struct batcher_batch batch;
    do {
        batcher_next(&sim.batcher, sim.now_ns, &batch);
        for (uint32_t i = 0; i < batch.late_n; i++) {
            CHECK(batch.late[i].kind == ROW_CALLER); /* the stream's are never dropped */
            leave(&batch.late[i]);
            sim.dropped++;
        }
        if (batch.engine < 0)
            break;
        check_batch(&batch);
        struct sim_engine *e = &sim.engines[batch.engine];
        struct sim_flight *f = &e->flights[batch.place];
        f->place = batch.place;
        f->n = batch.n;
        f->fails = e->fail_one_in && sim_random_below(e->fail_one_in) == 0;
        f->back_ns = sim.now_ns + engine_takes(e, batch.n);
        memcpy(f->rows, batch.rows, batch.n * sizeof *f->rows);
    } while (true);
}

static void come_back(uint32_t engine, struct sim_flight *f)
{
    f->back_ns = INT64_MAX;
    batcher_done(&sim.batcher, (int)engine, f->place, !f->fails, sim.now_ns);
    for (uint32_t i = 0; i < f->n; i++) {
        struct row row = f->rows[i];
        if (f->fails && row.attempts < 200) {
            row.attempts++;
            batcher_add(&sim.batcher, row);
            continue;
        }
        leave(&row);
        sim.answered[row.kind]++;
        sim.late += sim.now_ns > row.deadline_ns;
        if (sim.now_ns - row.deadline_ns > sim.late_ns)
            sim.late_ns = sim.now_ns - row.deadline_ns;
    }
}

static void arrive(const struct row *row)
{
    struct admission admission;
    batcher_refresh(&sim.batcher, sim.now_ns);
    batcher_admission(&sim.batcher, sim.now_ns, &admission);
    bool wait = sim.admits && row->kind == ROW_CALLER;
    if (wait && (!admission.usable || admission_finish_ns(&admission, sim.now_ns, sim.batcher.queues[ROW_CALLER].count) > row->deadline_ns)) {
        leave(row);
        sim.refused++;
        return;
    }
    batcher_add(&sim.batcher, *row);
}

bool sim_step(void)
{
    int64_t next_ns = batcher_look_ns(&sim.batcher, sim.now_ns);
    if (sim.arrived < sim.row_count && sim.arrivals[sim.arrived].arrived_ns < next_ns)
        next_ns = sim.arrivals[sim.arrived].arrived_ns;
    for (uint32_t i = 0; i < sim.engine_count; i++) {
        for (uint32_t j = 0; j < sim.engines[i].streams; j++)
            next_ns = sim.engines[i].flights[j].back_ns < next_ns ? sim.engines[i].flights[j].back_ns : next_ns;
    }
    if (next_ns == INT64_MAX)
        return false;
    sim.now_ns = next_ns > sim.now_ns ? next_ns : sim.now_ns;
    for (uint32_t i = 0; i < sim.engine_count; i++) {
        for (uint32_t j = 0; j < sim.engines[i].streams; j++) {
            if (sim.engines[i].flights[j].back_ns <= sim.now_ns)
                come_back(i, &sim.engines[i].flights[j]);
        }
    }
    while (sim.arrived < sim.row_count && sim.arrivals[sim.arrived].arrived_ns <= sim.now_ns)
        arrive(&sim.arrivals[sim.arrived++]);
    send_batches();
    return true;
}

void sim_run(void)
{
    uint64_t steps = 0;
    while (sim_step())
        CHECK(++steps < 1000000); /* it does not turn in place */
    CHECK(batcher_waiting(&sim.batcher) == 0 && sim.arrived == sim.row_count);
    for (uint32_t i = 0; i < sim.row_count; i++)
        CHECK(sim.seen[i]); /* none is lost */
    batcher_free(&sim.batcher);
}
