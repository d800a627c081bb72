/* Running a plan; the instructions are in program.h, the compiler in compile.h. */
#include "model/features/plan.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/features/program.h"

static void program_free(struct program *program)
{
    free(program->constants);
    free(program->code);
    free(program->results);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; plan->column_names && i < plan->columns.result_count; i++)
        free(plan->column_names[i]);
    for (size_t i = 0; i < plan->words_count; i++)
        words_free(plan->words[i]);
    for (size_t i = 0; i < plan->zone_count; i++)
        zone_free(plan->zones[i]);
    for (size_t i = 0; i < plan->input_count; i++)
        free(plan->input_texts[i]);
    program_free(&plan->columns);
    program_free(&plan->before);
    free(plan->column_sources);
    free(plan->column_names);
    free(plan->words);
    free(plan->zones);
    free(plan);
}

size_t plan_columns(const struct plan *plan)
{
    return plan->columns.result_count;
}

const char *plan_column_name(const struct plan *plan, size_t column)
{
    CHECK(column < plan_columns(plan));
    return plan->column_names[column];
}

size_t plan_column_source(const struct plan *plan, size_t column)
{
    CHECK(column < plan_columns(plan));
    return plan->column_sources[column];
}

const struct window *plan_windows(const struct plan *plan, size_t *n)
{
    *n = plan->window_count;
    return plan->windows;
}

const struct window_input *plan_inputs(const struct plan *plan, size_t *n)
{
    *n = plan->input_count;
    return plan->inputs;
}

const char *plan_input_text(const struct plan *plan, size_t input)
{
    CHECK(input < plan->input_count);
    return plan->input_texts[input];
}

static void program_run(const struct plan *plan, const struct program *program, const struct transaction *tx, double *registers)
{
    memcpy(registers, program->constants, program->constant_count * sizeof *registers);
    double *next = registers + program->constant_count;
    for (uint32_t i = 0; i < program->code_count; i++)
        *next++ = program_step(plan, &program->code[i], registers, tx);
}

void plan_run_inputs(const struct plan *plan, const struct transaction *tx, double *inputs)
{
    double registers[PLAN_REGISTERS_MAX];
    program_run(plan, &plan->before, tx, registers);
    for (size_t i = 0; i < plan->input_count; i++)
        inputs[i] = plan->inputs[i].kind == WINDOW_TEXT ? (double)NAN : registers[plan->before.results[i]];
}

void plan_run(const struct plan *plan, const struct transaction *tx, enum number_type type, void *row)
{
    double registers[PLAN_REGISTERS_MAX];
    program_run(plan, &plan->columns, tx, registers);
    const uint16_t *results = plan->columns.results;
    size_t n = plan->columns.result_count;
    if (type == NUMBER_F32) {
        float *out = row;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)registers[results[i]];
    } else {
        double *out = row;
        for (size_t i = 0; i < n; i++)
            out[i] = registers[results[i]];
    }
}
