/*
 * The batcher at loads from light to ten times what its engine can do (support/batcher_sim.h).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/base/check.h"
#include "tests/support/batcher_sim.h"

static double poisson_gap(double mean)
{
    return -mean * log(1 - (double)sim_random_below(1u << 30) / (double)(1u << 30));
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
    while (most < e->batch_max && sim_engine_ns(e, most + 1) * (1 + e->jitter) <= OVERLOAD_SLO_NS / 2)
        most++;
    return most * e->streams / (sim_engine_ns(e, most) * (1 + e->jitter / 2));
}

static void check_load(const struct overload *o, double load)
{
    sim_reset((uint64_t)(load * 100));
    sim.admits = true;
    sim.engine_count = 1;
    sim.engines[0] = (struct sim_engine){.fixed_ns = o->fixed_ns, .row_ns = OVERLOAD_ROW_NS, .jitter = o->jitter, .batch_max = SIM_BATCH_MAX, .streams = o->streams,
                                         .stall_one_in = o->stall_one_in};
    double capacity = capacity_of(&sim.engines[0]), at = 1;
    sim.row_count = SIM_ROWS_MAX;
    for (uint32_t i = 0; i < SIM_ROWS_MAX; i++) {
        at += poisson_gap(1 / (capacity * load));
        sim.arrivals[i] = (struct row){.arrived_ns = (int64_t)at, .deadline_ns = (int64_t)(at + OVERLOAD_SLO_NS), .slot = i, .kind = ROW_CALLER};
    }
    const struct batcher_options options = {.batch_max = SIM_BATCH_MAX, .waiting_max = {SIM_ROWS_MAX, SIM_ROWS_MAX}, .stream_share = 0.1,
                                            .slo_ns = (int64_t)OVERLOAD_SLO_NS, .engines = 1};
    sim_start(&options);
    sim_run();
    double part = (double)(sim.answered[ROW_CALLER] - sim.late) / (double)sim.now_ns / (capacity * (load < 1 ? load : 1));
    print_message("l(b) = %.1f ms + 0.06 ms b, jitter %.1f, %u streams, a stall in %3u, load %5.2f: goodput %.3f, refused %4.1f %%, dropped later %.2f %%, "
                  "late %.3f %%, latest %.3f ms\n",
                  o->fixed_ns / 1e6, o->jitter, o->streams, o->stall_one_in, load, part, 100.0 * (double)sim.refused / SIM_ROWS_MAX,
                  100.0 * (double)sim.dropped / SIM_ROWS_MAX, 100.0 * (double)sim.late / SIM_ROWS_MAX, (double)sim.late_ns / 1e6);
    CHECK(part >= o->least);
    if (o->stall_one_in)
        return;
    CHECK((double)sim.dropped <= 0.001 * SIM_ROWS_MAX && (double)sim.late <= 0.001 * SIM_ROWS_MAX);
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
        cmocka_unit_test(overload_costs_no_goodput),
        cmocka_unit_test(a_stall_costs_little_more_than_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
