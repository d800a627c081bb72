/*
 * The batcher under a virtual clock: seeded schedules of arrivals, engines that are slow, uneven, stuck or failing, and what
 * must hold whatever happens. ASSAY_SCHEDULES sets how many (default 20,000; a long run has a million).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/check.h"
#include "server/engine/batcher.h"

enum { ROWS_MAX = 200000, ENGINES_MAX = 4, BATCH_MAX = 256, FEW = 400 };

static uint64_t seed;

static uint64_t next_random(void)
{
    seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
    return next_random() % n;
}

/* --- the world --------------------------------------------------------------------------------------------------------- */

struct flight {
    int64_t back_ns; /* INT64_MAX: none */
    uint32_t place, n;
    struct row rows[BATCH_MAX];
    bool fails;
};

struct sim_engine {
    double fixed_ns, row_ns, jitter; /* l(b) = (fixed + row * b) * (1 .. 1 + jitter) */
    uint32_t batch_max, streams;
    uint32_t stall_one_in, fail_one_in; /* 0: never */
    struct flight flights[ROUTE_IN_FLIGHT_MAX];
};

struct sim {
    struct batcher batcher;
    struct sim_engine engines[ENGINES_MAX];
    uint32_t engine_count;
    uint32_t row_count, arrived;
    int64_t late_ns;         /* the latest answer against its deadline */
    uint64_t answered[ROW_KINDS], late, dropped, refused; /* late: of answered */
    int64_t now_ns;
    bool admits;             /* asks before a caller's row is added, as a server does */
    struct row arrivals[ROWS_MAX]; /* [row_count] by arrival; slot: position */
    uint8_t seen[ROWS_MAX];  /* answered or dropped */
};

static double engine_ns(const struct sim_engine *e, uint32_t n)
{
    return e->fixed_ns + e->row_ns * n;
}

static int64_t engine_takes(const struct sim_engine *e, uint32_t n)
{
    double ns = engine_ns(e, n) * (1 + e->jitter * (double)below(1000) / 1000);
    return (int64_t)ns + (e->stall_one_in && below(e->stall_one_in) == 0 ? 50000000 : 0);
}

static void start(struct sim *sim, const struct batcher_options *options)
{
    struct error err;
    memset(sim->seen, 0, sim->row_count);
    assert_int_equal(batcher_init(&sim->batcher, options, &err), STATUS_OK);
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        struct sim_engine *e = &sim->engines[i];
        struct cost cost;
        cost_init(&cost, e->batch_max, 1);
        for (uint32_t j = 0; j < cost.count; j++)
            cost_set(&cost, j, engine_ns(e, cost.sizes[j]) * (1 + e->jitter / 2));
        batcher_engine(&sim->batcher, i, &cost, e->batch_max, e->streams);
        for (uint32_t j = 0; j < ROUTE_IN_FLIGHT_MAX; j++)
            e->flights[j].back_ns = INT64_MAX;
    }
}

static void leave(struct sim *sim, const struct row *row)
{
    CHECK(row->slot < sim->row_count);
    CHECK(!sim->seen[row->slot]); /* none is doubled */
    sim->seen[row->slot] = 1;
}

/* The batch is of rows that waited, callers' before later ones, within every limit. */
static void check_batch(const struct sim *sim, const struct batcher_batch *batch)
{
    const struct sim_engine *e = &sim->engines[batch->engine];
    const struct queue *callers = &sim->batcher.queues[ROW_CALLER];
    CHECK(batch->n > 0 && batch->n <= e->batch_max && batch->n <= sim->batcher.with.batch_max);
    CHECK(batch->place < e->streams && e->flights[batch->place].back_ns == INT64_MAX);
    for (uint32_t i = 1; i < batch->n; i++)
        CHECK(batch->rows[i].kind != batch->rows[i - 1].kind || batch->rows[i].deadline_ns >= batch->rows[i - 1].deadline_ns);
    for (uint32_t i = 0; i < batch->n && callers->count > 0; i++)
        CHECK(batch->rows[i].kind != ROW_CALLER || batch->rows[i].deadline_ns <= callers->rows[0].deadline_ns);
}

static void send_batches(struct sim *sim)
{
    struct batcher_batch batch;
    do {
        batcher_next(&sim->batcher, sim->now_ns, &batch);
        for (uint32_t i = 0; i < batch.late_n; i++) {
            CHECK(batch.late[i].kind == ROW_CALLER); /* the stream's are never dropped */
            leave(sim, &batch.late[i]);
            sim->dropped++;
        }
        if (batch.engine < 0)
            break;
        check_batch(sim, &batch);
        struct sim_engine *e = &sim->engines[batch.engine];
        struct flight *f = &e->flights[batch.place];
        f->place = batch.place;
        f->n = batch.n;
        f->fails = e->fail_one_in && below(e->fail_one_in) == 0;
        f->back_ns = sim->now_ns + engine_takes(e, batch.n);
        memcpy(f->rows, batch.rows, batch.n * sizeof *f->rows);
    } while (true);
}

static void come_back(struct sim *sim, uint32_t engine, struct flight *f)
{
    f->back_ns = INT64_MAX;
    batcher_done(&sim->batcher, (int)engine, f->place, !f->fails, sim->now_ns);
    for (uint32_t i = 0; i < f->n; i++) {
        struct row row = f->rows[i];
        if (f->fails && row.attempts < 200) {
            row.attempts++;
            batcher_add(&sim->batcher, row);
            continue;
        }
        leave(sim, &row);
        sim->answered[row.kind]++;
        sim->late += sim->now_ns > row.deadline_ns;
        if (sim->now_ns - row.deadline_ns > sim->late_ns)
            sim->late_ns = sim->now_ns - row.deadline_ns;
    }
}

static void arrive(struct sim *sim, const struct row *row)
{
    struct admission admission;
    batcher_refresh(&sim->batcher, sim->now_ns);
    batcher_admission(&sim->batcher, sim->now_ns, &admission);
    bool wait = sim->admits && row->kind == ROW_CALLER;
    if (wait && (!admission.usable || admission_finish_ns(&admission, sim->now_ns, sim->batcher.queues[ROW_CALLER].count) > row->deadline_ns)) {
        leave(sim, row);
        sim->refused++;
        return;
    }
    batcher_add(&sim->batcher, *row);
}

/* To the next thing that happens; false: nothing will. */
static bool step(struct sim *sim)
{
    int64_t next_ns = batcher_look_ns(&sim->batcher, sim->now_ns);
    if (sim->arrived < sim->row_count && sim->arrivals[sim->arrived].arrived_ns < next_ns)
        next_ns = sim->arrivals[sim->arrived].arrived_ns;
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        for (uint32_t j = 0; j < sim->engines[i].streams; j++)
            next_ns = sim->engines[i].flights[j].back_ns < next_ns ? sim->engines[i].flights[j].back_ns : next_ns;
    }
    if (next_ns == INT64_MAX)
        return false;
    sim->now_ns = next_ns > sim->now_ns ? next_ns : sim->now_ns;
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        for (uint32_t j = 0; j < sim->engines[i].streams; j++) {
            if (sim->engines[i].flights[j].back_ns <= sim->now_ns)
                come_back(sim, i, &sim->engines[i].flights[j]);
        }
    }
    while (sim->arrived < sim->row_count && sim->arrivals[sim->arrived].arrived_ns <= sim->now_ns)
        arrive(sim, &sim->arrivals[sim->arrived++]);
    send_batches(sim);
    return true;
}

static void run(struct sim *sim)
{
    uint64_t steps = 0;
    while (step(sim))
        CHECK(++steps < 1000000); /* it does not turn in place */
    CHECK(batcher_waiting(&sim->batcher) == 0 && sim->arrived == sim->row_count);
    for (uint32_t i = 0; i < sim->row_count; i++)
        CHECK(sim->seen[i]); /* none is lost */
    batcher_free(&sim->batcher);
}

static unsigned long schedules(unsigned long usual)
{
    const char *text = getenv("ASSAY_SCHEDULES");
    return text ? strtoul(text, NULL, 10) : usual;
}

/* --- what must hold ---------------------------------------------------------------------------------------------------- */

static struct sim sim;

static void random_engines(uint32_t count)
{
    sim.engine_count = count;
    for (uint32_t i = 0; i < count; i++)
        sim.engines[i] = (struct sim_engine){.fixed_ns = 10e3 + (double)below(2000000), .row_ns = 100 + (double)below(100000),
                                             .jitter = (double)below(100) / 100, .batch_max = 1 + (uint32_t)below(32),
                                             .streams = 1 + (uint32_t)below(3), .stall_one_in = below(3) ? 0 : 20,
                                             .fail_one_in = below(3) ? 0 : 3};
}

static void random_rows(double callers)
{
    int64_t at = 1, gap = 1 + (int64_t)below(1000000);
    sim.row_count = 1 + (uint32_t)below(FEW);
    for (uint32_t i = 0; i < sim.row_count; i++) {
        bool burst = below(4) == 0;
        at += burst ? 0 : (int64_t)below((uint64_t)gap * 2);
        enum row_kind kind = (double)below(1000) < callers * 1000 ? ROW_CALLER : ROW_STREAM;
        sim.arrivals[i] = (struct row){.arrived_ns = at, .deadline_ns = at + 1000000 + (int64_t)below(20000000), .slot = i, .kind = (uint8_t)kind};
    }
}

static void nothing_is_lost_doubled_or_out_of_order(void **state)
{
    (void)state;
    unsigned long n = schedules(20000);
    for (unsigned long i = 0; i < n; i++) {
        seed = i;
        memset(&sim, 0, offsetof(struct sim, arrivals));
        random_engines(1 + (uint32_t)below(ENGINES_MAX));
        random_rows((double)below(1000) / 1000);
        const struct batcher_options options = {.policy = below(5) ? BATCHER_DEADLINE : BATCHER_WINDOW, .batch_max = 1 + (uint32_t)below(32),
                                                .waiting_max = {FEW, FEW}, .stream_share = 0.1, .slo_ns = 20000000,
                                                .window_rows = 1 + (uint32_t)below(32), .window_ns = (int64_t)below(2000000),
                                                .engines = sim.engine_count};
        start(&sim, &options);
        run(&sim);
        CHECK(sim.answered[ROW_CALLER] + sim.answered[ROW_STREAM] + sim.dropped == sim.row_count);
    }
    print_message("%lu schedules\n", n);
}

/* A trace that somebody could serve in time: arrivals and deadlines are read off a schedule of batches on one engine. */
static void feasible_rows(const struct sim_engine *e)
{
    int64_t start_ns = 50000000;
    uint32_t n = 0;
    double load = 0.3 + (double)below(70) / 100;
    while (n + e->batch_max <= FEW) {
        uint32_t size = 1 + (uint32_t)below(e->batch_max);
        int64_t end_ns = start_ns + (int64_t)engine_ns(e, size);
        for (uint32_t i = 0; i < size; i++) {
            int64_t before = (int64_t)below((uint64_t)engine_ns(e, e->batch_max) * 2);
            sim.arrivals[n++] = (struct row){.arrived_ns = start_ns - before, .deadline_ns = end_ns + (int64_t)below(1000000), .kind = ROW_STREAM};
        }
        start_ns = end_ns + (int64_t)(engine_ns(e, size) * (1 / load - 1));
    }
    sim.row_count = n;
    for (uint32_t i = 1; i < n; i++) { /* by arrival */
        struct row row = sim.arrivals[i];
        uint32_t j = i;
        for (; j > 0 && sim.arrivals[j - 1].arrived_ns > row.arrived_ns; j--)
            sim.arrivals[j] = sim.arrivals[j - 1];
        sim.arrivals[j] = row;
    }
    for (uint32_t i = 0; i < n; i++)
        sim.arrivals[i].slot = i;
}

static void on_feasible_traces_nothing_is_much_too_late(void **state)
{
    (void)state;
    unsigned long n = schedules(20000);
    double worst = 0;
    for (unsigned long i = 0; i < n; i++) {
        seed = i;
        memset(&sim, 0, offsetof(struct sim, arrivals));
        sim.engine_count = 1;
        sim.engines[0] = (struct sim_engine){.fixed_ns = 10e3 + (double)below(2000000), .row_ns = 100 + (double)below(100000),
                                             .batch_max = 1 + (uint32_t)below(32), .streams = 1};
        feasible_rows(&sim.engines[0]);
        const struct batcher_options options = {.batch_max = BATCH_MAX, .waiting_max = {FEW, FEW}, .stream_share = 0.1,
                                                .slo_ns = 1000000000, .engines = 1};
        start(&sim, &options);
        run(&sim);
        double most = engine_ns(&sim.engines[0], sim.engines[0].batch_max);
        worst = (double)sim.late_ns / most > worst ? (double)sim.late_ns / most : worst;
        CHECK((double)sim.late_ns <= 2 * most);
    }
    print_message("%lu feasible traces: latest answer %.2f l(max) past its deadline\n", n, worst);
}

/* Callers that would take everything: the stream still gets its share. */
static void the_stream_keeps_its_share(void **state)
{
    (void)state;
    unsigned long n = schedules(20000) / 10;
    for (unsigned long i = 0; i < n; i++) {
        seed = i;
        memset(&sim, 0, offsetof(struct sim, arrivals));
        sim.engine_count = 1;
        sim.engines[0] = (struct sim_engine){.fixed_ns = 100e3, .row_ns = 10e3, .batch_max = 1 + (uint32_t)below(32), .streams = 1};
        sim.row_count = FEW;
        for (uint32_t j = 0; j < FEW; j++) /* all at once, the callers' with the earlier deadlines and plenty of time */
            sim.arrivals[j] = (struct row){.arrived_ns = 1, .deadline_ns = j % 2 ? INT64_C(2000000000) : INT64_C(1900000000) + (int64_t)below(1000000),
                                           .slot = j, .kind = j % 2 ? ROW_STREAM : ROW_CALLER};
        const struct batcher_options options = {.batch_max = BATCH_MAX, .waiting_max = {FEW, FEW}, .stream_share = 0.1,
                                                .slo_ns = 2000000000, .engines = 1};
        start(&sim, &options);
        while (sim.arrived == 0 || sim.batcher.queues[ROW_CALLER].count > 0)
            CHECK(step(&sim));
        uint64_t stream = sim.answered[ROW_STREAM], all = stream + sim.answered[ROW_CALLER];
        for (uint32_t j = 0; j < sim.engines[0].flights[0].n && sim.engines[0].flights[0].back_ns != INT64_MAX; j++, all++)
            stream += sim.engines[0].flights[0].rows[j].kind == ROW_STREAM;
        CHECK((double)stream >= 0.1 * (double)all - 1 && (double)stream <= 0.1 * (double)all + sim.engines[0].batch_max);
        run(&sim);
    }
}

static double poisson_gap(double mean)
{
    return -mean * log(1 - (double)below(1u << 30) / (double)(1u << 30));
}

struct overload {
    double fixed_ns, jitter;
    uint32_t streams, stall_one_in;
    double least; /* goodput, of what is possible */
};

static const double OVERLOAD_SLO_NS = 20e6, OVERLOAD_ROW_NS = 60e3;

/* Rows a nanosecond with batches of half the time that there is. */
static double capacity_of(const struct sim_engine *e)
{
    uint32_t most = 1;
    while (most < e->batch_max && engine_ns(e, most + 1) * (1 + e->jitter) <= OVERLOAD_SLO_NS / 2)
        most++;
    return most * e->streams / (engine_ns(e, most) * (1 + e->jitter / 2));
}

static void check_load(const struct overload *o, double load)
{
    memset(&sim, 0, offsetof(struct sim, arrivals));
    seed = (uint64_t)(load * 100);
    sim.admits = true;
    sim.engine_count = 1;
    sim.engines[0] = (struct sim_engine){.fixed_ns = o->fixed_ns, .row_ns = OVERLOAD_ROW_NS, .jitter = o->jitter, .batch_max = BATCH_MAX, .streams = o->streams,
                                         .stall_one_in = o->stall_one_in};
    double capacity = capacity_of(&sim.engines[0]), at = 1;
    sim.row_count = ROWS_MAX;
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        at += poisson_gap(1 / (capacity * load));
        sim.arrivals[i] = (struct row){.arrived_ns = (int64_t)at, .deadline_ns = (int64_t)(at + OVERLOAD_SLO_NS), .slot = i, .kind = ROW_CALLER};
    }
    const struct batcher_options options = {.batch_max = BATCH_MAX, .waiting_max = {ROWS_MAX, ROWS_MAX}, .stream_share = 0.1,
                                            .slo_ns = (int64_t)OVERLOAD_SLO_NS, .engines = 1};
    start(&sim, &options);
    run(&sim);
    double part = (double)(sim.answered[ROW_CALLER] - sim.late) / (double)sim.now_ns / (capacity * (load < 1 ? load : 1));
    print_message("l(b) = %.1f ms + 0.06 ms b, jitter %.1f, %u streams, a stall in %3u, load %5.2f: goodput %.3f, refused %4.1f %%, dropped later %.2f %%, "
                  "late %.3f %%, latest %.3f ms\n",
                  o->fixed_ns / 1e6, o->jitter, o->streams, o->stall_one_in, load, part, 100.0 * (double)sim.refused / ROWS_MAX,
                  100.0 * (double)sim.dropped / ROWS_MAX, 100.0 * (double)sim.late / ROWS_MAX, (double)sim.late_ns / 1e6);
    CHECK(part >= o->least);
    if (o->stall_one_in)
        return;
    CHECK((double)sim.dropped <= 0.001 * ROWS_MAX && (double)sim.late <= 0.001 * ROWS_MAX);
    CHECK((double)sim.late_ns <= o->jitter * OVERLOAD_SLO_NS / 2); /* no later than its batch was above the tail */
}

/* From light load to ten times what the engine can do: what is answered in time stays near what it can do, and those who are let
 * in are answered. */
static void overload_costs_no_goodput(void **state)
{
    (void)state;
    static const struct overload overloads[] = {{500e3, 0, 1, 0, 0.95}, {2e6, 0, 1, 0, 0.95}, {500e3, 0.1, 1, 0, 0.95}, {2e6, 0.1, 1, 0, 0.95},
                                                {6e6, 0.1, 1, 0, 0.95}, {2e6, 0.3, 1, 0, 0.95}, {500e3, 0.1, 2, 0, 0.95}, {2e6, 0.1, 2, 0, 0.95}};
    static const double loads[] = {0.05, 0.2, 0.5, 0.7, 0.9, 0.95, 1.2, 2, 5, 10};
    for (size_t i = 0; i < sizeof overloads / sizeof overloads[0]; i++) {
        for (size_t l = 0; l < sizeof loads / sizeof loads[0]; l++)
            check_load(&overloads[i], loads[l]);
    }
}

/* A stall of 50 ms every 200 batches, which are some 2 s: a fortieth of the time is lost, and what it did to those who waited, but not
 * more: neither the cost model nor the batches keep the memory of it. */
static void a_stall_costs_little_more_than_itself(void **state)
{
    (void)state;
    static const struct overload stalls[] = {{2e6, 0.1, 1, 200, 0.9}, {6e6, 0.1, 1, 200, 0.9}, {2e6, 0.1, 2, 200, 0.9}};
    static const double loads[] = {0.9, 1.2, 2, 5, 10};
    for (size_t i = 0; i < sizeof stalls / sizeof stalls[0]; i++) {
        for (size_t l = 0; l < sizeof loads / sizeof loads[0]; l++)
            check_load(&stalls[i], loads[l]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_doubled_or_out_of_order),
        cmocka_unit_test(on_feasible_traces_nothing_is_much_too_late),
        cmocka_unit_test(the_stream_keeps_its_share),
        cmocka_unit_test(overload_costs_no_goodput),
        cmocka_unit_test(a_stall_costs_little_more_than_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
