/*
 * Seeded schedules for the batcher (support/batcher_sim.h). ASSAY_SCHEDULES sets how many (default 20,000; a long run has a
 * million).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/base/check.h"
#include "tests/support/batcher_sim.h"

enum { FEW = 400 };

static unsigned long schedules(unsigned long usual)
{
    const char *text = getenv("ASSAY_SCHEDULES");
    return text ? strtoul(text, NULL, 10) : usual;
}

/* --- what must hold ---------------------------------------------------------------------------------------------------- */

static void random_engines(uint32_t count)
{
    sim.engine_count = count;
    for (uint32_t i = 0; i < count; i++)
        sim.engines[i] = (struct sim_engine){.fixed_ns = 10e3 + (double)sim_random_below(2000000), .row_ns = 100 + (double)sim_random_below(100000),
                                             .jitter = (double)sim_random_below(100) / 100, .batch_max = 1 + (uint32_t)sim_random_below(32),
                                             .streams = 1 + (uint32_t)sim_random_below(3), .stall_one_in = sim_random_below(3) ? 0 : 20,
                                             .fail_one_in = sim_random_below(3) ? 0 : 3};
}

static void random_rows(double callers)
{
    int64_t at = 1, gap = 1 + (int64_t)sim_random_below(1000000);
    sim.row_count = 1 + (uint32_t)sim_random_below(FEW);
    for (uint32_t i = 0; i < sim.row_count; i++) {
        bool burst = sim_random_below(4) == 0;
        at += burst ? 0 : (int64_t)sim_random_below((uint64_t)gap * 2);
        enum row_kind kind = (double)sim_random_below(1000) < callers * 1000 ? ROW_CALLER : ROW_STREAM;
        sim.arrivals[i] = (struct row){.arrived_ns = at, .deadline_ns = at + 1000000 + (int64_t)sim_random_below(20000000), .slot = i, .kind = (uint8_t)kind};
    }
}

static void nothing_is_lost_doubled_or_out_of_order(void **state)
{
    (void)state;
    unsigned long n = schedules(20000);
    for (unsigned long i = 0; i < n; i++) {
        sim_reset(i);
        random_engines(1 + (uint32_t)sim_random_below(SIM_ENGINES_MAX));
        random_rows((double)sim_random_below(1000) / 1000);
        const struct batcher_options options = {.policy = sim_random_below(5) ? BATCHER_DEADLINE : BATCHER_WINDOW, .batch_max = 1 + (uint32_t)sim_random_below(32),
                                                .waiting_max = {FEW, FEW}, .stream_share = 0.1, .slo_ns = 20000000,
                                                .window_rows = 1 + (uint32_t)sim_random_below(32), .window_ns = (int64_t)sim_random_below(2000000),
                                                .engines = sim.engine_count};
        sim_start(&options);
        sim_run();
        CHECK(sim.answered[ROW_CALLER] + sim.answered[ROW_STREAM] + sim.dropped == sim.row_count);
    }
    print_message("%lu schedules\n", n);
}

/* A trace that somebody could serve in time: arrivals and deadlines are read off a schedule of batches on one engine. */
static void feasible_rows(const struct sim_engine *e)
{
    int64_t start_ns = 50000000;
    uint32_t n = 0;
    double load = 0.3 + (double)sim_random_below(70) / 100;
    while (n + e->batch_max <= FEW) {
        uint32_t size = 1 + (uint32_t)sim_random_below(e->batch_max);
        int64_t end_ns = start_ns + (int64_t)sim_engine_ns(e, size);
        for (uint32_t i = 0; i < size; i++) {
            int64_t before = (int64_t)sim_random_below((uint64_t)sim_engine_ns(e, e->batch_max) * 2);
            sim.arrivals[n++] = (struct row){.arrived_ns = start_ns - before, .deadline_ns = end_ns + (int64_t)sim_random_below(1000000), .kind = ROW_STREAM};
        }
        start_ns = end_ns + (int64_t)(sim_engine_ns(e, size) * (1 / load - 1));
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
        sim_reset(i);
        sim.engine_count = 1;
        sim.engines[0] = (struct sim_engine){.fixed_ns = 10e3 + (double)sim_random_below(2000000), .row_ns = 100 + (double)sim_random_below(100000),
                                             .batch_max = 1 + (uint32_t)sim_random_below(32), .streams = 1};
        feasible_rows(&sim.engines[0]);
        const struct batcher_options options = {.batch_max = SIM_BATCH_MAX, .waiting_max = {FEW, FEW}, .stream_share = 0.1,
                                                .slo_ns = 1000000000, .engines = 1};
        sim_start(&options);
        sim_run();
        double most = sim_engine_ns(&sim.engines[0], sim.engines[0].batch_max);
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
        sim_reset(i);
        sim.engine_count = 1;
        sim.engines[0] = (struct sim_engine){.fixed_ns = 100e3, .row_ns = 10e3, .batch_max = 1 + (uint32_t)sim_random_below(32), .streams = 1};
        sim.row_count = FEW;
        for (uint32_t j = 0; j < FEW; j++) /* all at once, the callers' with the earlier deadlines and plenty of time */
            sim.arrivals[j] = (struct row){.arrived_ns = 1, .deadline_ns = j % 2 ? INT64_C(2000000000) : INT64_C(1900000000) + (int64_t)sim_random_below(1000000),
                                           .slot = j, .kind = j % 2 ? ROW_STREAM : ROW_CALLER};
        const struct batcher_options options = {.batch_max = SIM_BATCH_MAX, .waiting_max = {FEW, FEW}, .stream_share = 0.1,
                                                .slo_ns = 2000000000, .engines = 1};
        sim_start(&options);
        while (sim.arrived == 0 || sim.batcher.queues[ROW_CALLER].count > 0)
            CHECK(sim_step());
        uint64_t stream = sim.answered[ROW_STREAM], all = stream + sim.answered[ROW_CALLER];
        for (uint32_t j = 0; j < sim.engines[0].flights[0].n && sim.engines[0].flights[0].back_ns != INT64_MAX; j++, all++)
            stream += sim.engines[0].flights[0].rows[j].kind == ROW_STREAM;
        CHECK((double)stream >= 0.1 * (double)all - 1 && (double)stream <= 0.1 * (double)all + sim.engines[0].batch_max);
        sim_run();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_doubled_or_out_of_order),
        cmocka_unit_test(on_feasible_traces_nothing_is_much_too_late),
        cmocka_unit_test(the_stream_keeps_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
