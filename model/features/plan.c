/* Running a plan; the instructions are in program.h, the compiler in compile.h. */
#include "model/features/plan.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/features/program.h"

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->column_count; i++)
        free(plan->column_names[i]);
    for (size_t i = 0; i < plan->words_count; i++)
        words_free(plan->words[i]);
    for (size_t i = 0; i < plan->zone_count; i++)
        zone_free(plan->zones[i]);
    free(plan->constants);
    free(plan->code);
    free(plan->columns);
    free(plan->column_sources);
    free(plan->column_names);
    free(plan->words);
    free(plan->zones);
    free(plan);
}

size_t plan_columns(const struct plan *plan)
{
    return plan->column_count;
}

const char *plan_column_name(const struct plan *plan, size_t column)
{
    CHECK(column < plan->column_count);
    return plan->column_names[column];
}

size_t plan_column_source(const struct plan *plan, size_t column)
{
    CHECK(column < plan->column_count);
    return plan->column_sources[column];
}

void plan_run(const struct plan *plan, const struct transaction *tx, enum number_type type, void *row)
{
    double registers[PLAN_REGISTERS_MAX];
    memcpy(registers, plan->constants, plan->constant_count * sizeof *registers);
    double *next = registers + plan->constant_count;
    for (uint32_t i = 0; i < plan->code_count; i++)
        *next++ = program_step(plan, &plan->code[i], registers, tx);
    size_t n = plan->column_count;
    if (type == NUMBER_F32) {
        float *out = row;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)registers[plan->columns[i]];
    } else {
        double *out = row;
        for (size_t i = 0; i < n; i++)
            out[i] = registers[plan->columns[i]];
    }
}
