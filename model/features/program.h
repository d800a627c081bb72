/*
 * What a plan consists of, and what each instruction computes. Private to model/features.
 *
 *     registers   [ constants … | value of code[0] | value of code[1] | … ]
 *
 * Every instruction writes a register of its own, the next one: no register is written twice, so equal subexpressions
 * are one instruction, and there is no register allocation to get wrong. A feature's column names the register that
 * holds it. The inputs of windows are a program of their own, which runs before the past is asked.
 */
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "model/features/calendar.h"
#include "model/features/plan.h"
#include "model/features/words.h"
#include "model/features/zone.h"

enum { PLAN_REGISTERS_MAX = 4096 };

enum op {
#define OP(name, registers, foldable) OP_##name,
#include "model/features/ops.def"
#undef OP
    OP_COUNT
};

struct instruction {
    uint16_t op;      /* enum op */
    uint16_t a, b, c; /* registers read */
    uint16_t index;   /* number of a field or window, or PICK's number */
    uint16_t table;   /* of words or zones; SAME_TEXT, OTHER_TEXT: the second field */
};

struct program {
    double *constants;        /* [constant_count] */
    struct instruction *code; /* [code_count] */
    uint32_t constant_count, code_count;
    uint16_t *results; /* [result_count] registers */
    size_t result_count;
};

struct plan {
    struct program columns;   /* a result a column */
    struct program before;    /* a result an input; of TEXT ones it means nothing */
    uint16_t *column_sources; /* [columns.result_count] which source each comes from */
    char **column_names;      /* [columns.result_count], owned */
    struct words **words;     /* [words_count], owned */
    struct zone **zones;      /* [zone_count], owned */
    size_t words_count, zone_count;
    struct window_input inputs[WINDOW_INPUTS_MAX]; /* [input_count] */
    char *input_texts[WINDOW_INPUTS_MAX];          /* as written, owned */
    struct window windows[WINDOWS_MAX];            /* [window_count] */
    size_t input_count, window_count;
};

static inline double program_and(double a, double b)
{
    if (a == 0 || b == 0)
        return 0;
    return isnan(a) ? a : isnan(b) ? b : 1;
}

static inline double program_or(double a, double b)
{
    if ((a != 0 && !isnan(a)) || (b != 0 && !isnan(b)))
        return 1;
    return isnan(a) ? a : isnan(b) ? b : 0;
}

static inline double program_min(double a, double b)
{
    return isnan(a) ? a : isnan(b) ? b : b < a ? b : a;
}

static inline double program_max(double a, double b)
{
    return isnan(a) ? a : isnan(b) ? b : b > a ? b : a;
}

static inline double program_clip(double x, double low, double high)
{
    return program_min(program_max(x, low), high);
}

/* A position among words, as a number: NaN for no text. */
static inline double program_match(const struct words *words, struct span text)
{
    return text.data ? (double)words_find(words, text) : (double)NAN;
}

/* What one instruction gives. tx may be NULL for foldable ones. */
static inline double program_step(const struct plan *plan, const struct instruction *i, const double *r,
                                  const struct transaction *tx)
{
    switch ((enum op)i->op) {
    case OP_FIELD:
        return tx->values[i->index].number;
    case OP_WINDOW:
        return tx->windows[i->index];
    case OP_NO_TEXT:
        return !tx->values[i->index].text.data;
    case OP_MATCH:
        return program_match(plan->words[i->table], tx->values[i->index].text);
    case OP_SAME_TEXT: {
        struct span a = tx->values[i->index].text, b = tx->values[i->table].text;
        return b.data && span_equal(a, b.data, b.len);
    }
    case OP_OTHER_TEXT: {
        struct span a = tx->values[i->index].text, b = tx->values[i->table].text;
        return a.data && b.data && !span_equal(a, b.data, b.len);
    }
    case OP_PICK:
        return isnan(r[i->a]) ? r[i->a] : r[i->a] == i->index;
    case OP_VALUE:
        return isnan(r[i->a]) ? r[i->a] : words_value(plan->words[i->table], (int)r[i->a]);
    case OP_ADD:
        return r[i->a] + r[i->b];
    case OP_SUBTRACT:
        return r[i->a] - r[i->b];
    case OP_MULTIPLY:
        return r[i->a] * r[i->b];
    case OP_DIVIDE:
        return r[i->a] / r[i->b];
    case OP_NEGATE:
        return -r[i->a];
    case OP_LT:
        return r[i->a] < r[i->b];
    case OP_LE:
        return r[i->a] <= r[i->b];
    case OP_GT:
        return r[i->a] > r[i->b];
    case OP_GE:
        return r[i->a] >= r[i->b];
    case OP_EQ:
        return r[i->a] == r[i->b];
    case OP_NE:
        return r[i->a] < r[i->b] || r[i->a] > r[i->b]; /* not !=: a comparison with a missing value is 0 */
    case OP_AND:
        return program_and(r[i->a], r[i->b]);
    case OP_OR:
        return program_or(r[i->a], r[i->b]);
    case OP_NOT:
        return isnan(r[i->a]) ? r[i->a] : r[i->a] == 0;
    case OP_LOG1P:
        return log1p(r[i->a]);
    case OP_EXP:
        return exp(r[i->a]);
    case OP_SQRT:
        return sqrt(r[i->a]);
    case OP_ABS:
        return fabs(r[i->a]);
    case OP_MIN:
        return program_min(r[i->a], r[i->b]);
    case OP_MAX:
        return program_max(r[i->a], r[i->b]);
    case OP_CLIP:
        return program_clip(r[i->a], r[i->b], r[i->c]);
    case OP_SELECT:
        return isnan(r[i->a]) ? r[i->a] : r[i->a] != 0 ? r[i->b] : r[i->c];
    case OP_IS_NAN:
        return isnan(r[i->a]);
    case OP_LOCAL:
        return zone_local(plan->zones[i->table], r[i->a]);
    case OP_MINUTE:
        return calendar_minute(r[i->a]);
    case OP_HOUR:
        return calendar_hour(r[i->a]);
    case OP_WEEKDAY:
        return calendar_weekday(r[i->a]);
    case OP_DAY:
        return calendar_day(r[i->a]);
    case OP_MONTH:
        return calendar_month(r[i->a]);
    case OP_YEAR:
        return calendar_year(r[i->a]);
    case OP_CONSTANT:
    case OP_COUNT:
        break;
    }
    return (double)NAN;
}
