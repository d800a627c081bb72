#include "kernels/cpu/network_plan.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/memory.h"
#include "kernels/cpu/network_layout.h"
#include "kernels/cpu/network_tile.h"
#include "kernels/cpu/plan.h"
#include "kernels/cpu/trial.h"
#include "model/forest.h"
#include "model/network_math.h"

/* A tile has at most so many rows, and fits the stack that is set aside for it. */
enum { TILE_ROWS_MAX = 64, TILE_FLOATS = 1 << 16 };

static const double measure_us = 2000, long_us = 50000;

struct network_plan {
    struct network_tile_plan tile;
    enum isa isa;
    size_t row_floats;
    uint32_t tile_rows;
    double us_1, us_64, us_1024;
};

static const struct network_kernels *kernels_of(enum isa isa)
{
#if defined(__x86_64__)
    if (isa == ISA_AVX512)
        return &network_kernels_avx512;
    if (isa == ISA_AVX2)
        return &network_kernels_avx2;
    if (__builtin_cpu_supports("fma"))
        return &network_kernels_fma;
#endif
    (void)isa;
    return &network_kernels_scalar;
}

/* --- computing -------------------------------------------------------------------------------------------------------- */

/* n rows, tile_rows at most, on memory for them. */
static void compute_tile(const struct network_plan *plan, float *memory, const struct rows *rows, const uint32_t *slots, uint32_t n,
                         double *margins)
{
    const struct network *network = plan->tile.network;
    struct network_tile tile = {.plan = &plan->tile, .memory = memory, .rows = n};
    network_tile_load(&tile, rows, slots);
    for (uint32_t i = 0; i < network->op_count; i++)
        network_tile_step(&tile, i);
    const struct network_wire *last = &plan->tile.wires[network->op_count];
    const float *y = network_tile_wire(&tile, network->op_count);
    for (uint32_t r = 0; r < n; r++, y += last->stride, margins += network->outputs) {
        for (uint32_t o = 0; o < network->outputs; o++)
            margins[o] = (double)network_one_nan(y[o]);
    }
}

static void compute(const struct network_plan *plan, float *memory, const struct rows *rows, const uint32_t *slots, uint32_t n,
                    double *margins)
{
    uint32_t tiles = (n + plan->tile_rows - 1) / plan->tile_rows;
    for (uint32_t done = 0; tiles > 0; tiles--) { /* of nearly the same height */
        uint32_t height = (n - done + tiles - 1) / tiles;
        compute_tile(plan, memory, rows, slots + done, height, margins + (size_t)done * plan->tile.network->outputs);
        done += height;
    }
}

static void compute_on_stack(const struct network_plan *plan, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    float memory[TILE_FLOATS] __attribute__((aligned(64)));
    compute(plan, memory, rows, slots, n, margins);
}

enum status network_plan_margins(const struct network_plan *plan, const struct rows *rows, const uint32_t *slots, uint32_t n,
                                 double *margins)
{
    if (plan->row_floats <= TILE_FLOATS) {
        compute_on_stack(plan, rows, slots, n, margins);
        return STATUS_OK;
    }
    float *memory = aligned_alloc(64, plan->row_floats * sizeof *memory);
    if (!memory)
        return STATUS_NO_MEMORY;
    compute(plan, memory, rows, slots, n, margins);
    free(memory);
    return STATUS_OK;
}

/* --- making ----------------------------------------------------------------------------------------------------------- */

static enum status pack_all(struct network_plan *plan, struct error *err)
{
    struct network_tile_plan *tile = &plan->tile;
    const struct network *network = tile->network;
    size_t floats = 0;
    for (uint32_t i = 0; i < network->op_count; i++)
        floats += network_packed_floats(network, &network->ops[i]);
    tile->packed_bytes = floats * sizeof(float);
    tile->packed = prepared_alloc(tile->packed_bytes);
    tile->numbers = calloc(network->op_count, sizeof *tile->numbers);
    if (!tile->packed || !tile->numbers)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    float *at = tile->packed;
    for (uint32_t i = 0; i < network->op_count; i++) {
        const struct network_op *op = &network->ops[i];
        size_t packed = network_packed_floats(network, op);
        tile->numbers[i] = packed ? at : network->numbers + (op->kind == NETWORK_COPY ? 0 : op->first);
        if (packed)
            network_pack(network, op, at);
        at += packed;
    }
    return STATUS_OK;
}

static enum status plan_forests(struct network_plan *plan, struct error *err)
{
    struct network_tile_plan *tile = &plan->tile;
    tile->forests = calloc(tile->network->forest_count + 1u, sizeof *tile->forests);
    if (!tile->forests)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    const struct plan_options options = {.isa = plan->isa};
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < tile->network->forest_count && status == STATUS_OK; i++)
        status = plan_make(tile->network->forests[i], &options, &tile->forests[i], err);
    return status;
}

static void run_plan(const void *context, struct trial *trial, const uint32_t *slots, uint32_t n)
{
    enum status status = network_plan_margins(context, &trial->rows, slots, n, trial->margins);
    (void)status; /* a row on its own had its memory; without it there is only nothing to measure */
}

static enum status measure(struct network_plan *plan, struct error *err)
{
    struct trial *trial = calloc(1, sizeof *trial);
    const struct network *network = plan->tile.network;
    if (!trial)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    enum status status = trial_make_plain(network->features, network->outputs, trial, err);
    if (status == STATUS_OK && network_plan_margins(plan, &trial->rows, trial->slots, 1, trial->margins) != STATUS_OK)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK) {
        plan->us_1 = trial_measure(trial, 1, measure_us, run_plan, plan);
        plan->us_64 = plan->us_1 < long_us ? trial_measure(trial, 64, measure_us, run_plan, plan) : plan->us_1 * 64;
        plan->us_1024 = plan->us_64 < long_us / 16 ? trial_measure(trial, 1024, measure_us, run_plan, plan) : plan->us_64 * 16;
    }
    trial_free(trial);
    free(trial);
    return status;
}

enum status network_plan_make(const struct network *network, enum isa isa, struct network_plan **out, struct error *err)
{
    struct network_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    plan->isa = isa;
    plan->tile.network = network;
    plan->tile.kernels = kernels_of(isa);
    enum status status = network_place_wires(network, &plan->tile.wires, &plan->row_floats, err);
    if (status == STATUS_OK)
        status = pack_all(plan, err);
    if (status == STATUS_OK)
        status = plan_forests(plan, err);
    if (status == STATUS_OK) {
        size_t rows = TILE_FLOATS / plan->row_floats;
        plan->tile_rows = rows < 1 ? 1 : rows > TILE_ROWS_MAX ? TILE_ROWS_MAX : (uint32_t)rows;
        status = measure(plan, err);
    }
    if (status != STATUS_OK) {
        network_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return STATUS_OK;
}

void network_plan_destroy(struct network_plan *plan)
{
    if (!plan)
        return;
    struct network_tile_plan *tile = &plan->tile;
    for (uint32_t i = 0; tile->forests && i < tile->network->forest_count; i++)
        plan_destroy(tile->forests[i]);
    free(tile->forests);
    free(tile->numbers);
    free(tile->packed);
    free(tile->wires);
    free(plan);
}

void network_plan_describe(const struct network_plan *plan, struct buf *out)
{
    const struct network *network = plan->tile.network;
    buf_format(out, "kernel: %u operations, %u rows at once, %s\n", network->op_count, plan->tile_rows, isa_name(plan->isa));
    buf_format(out, "measured: %.2f us for 1 row, %.1f for 64, %.0f for 1024\n", plan->us_1, plan->us_64, plan->us_1024);
    buf_format(out, "prepared: %zu bytes of weights\n", plan->tile.packed_bytes);
}
