/*
 * Feature expressions, compiled to a flat plan.
 *
 *     night:        hour(time) <= 6
 *     amount_log:   log1p(amount)
 *     channel:      onehot(channel, "pos", "web", "atm")       -- three columns: channel_pos, channel_web, channel_atm
 *     country_risk: lookup(country, "BR", 0.3, "DE", 0.1, 0.2)  -- pairs, then the value for all others
 *     ratio_7d:     amount / mean(amount, card, 7d)             -- the past of a key
 *
 * An expression may use the fields of the schema and the features above it. A plan is a list of instructions over
 * registers of doubles; it runs per transaction without allocation or recursion, in double, without contraction, and
 * each column is converted once to the model's input type. A missing value is NaN; arithmetic and functions pass it on,
 * a comparison with it is 0 (`missing(x)` asks for it). A plan is immutable: any thread may run it.
 *
 * Features of the past (count, mean … over a window, see window.h) fit in as values of the transaction: the stage that
 * admits it computes the inputs of the windows from it (plan_run_inputs), has the state of its keys say what each window
 * holds, and puts that into the transaction beside its fields; the instruction WINDOW brings such a value into a register.
 * So a plan stays a pure function of the transaction.
 */
#pragma once

#include <stddef.h>

#include "model/base/buf.h"
#include "model/base/number_type.h"
#include "model/base/status.h"
#include "model/features/window.h"
#include "model/input/transaction.h"

struct feature_source {
    const char *name;
    const char *expression;
    const char *file; /* for messages: the file and line where the expression stands; file may be NULL */
    int line, column; /* of the expression's first character, from 1 */
};

struct plan;

/* Compiles sources[n]. On STATUS_INVALID err holds file:line:column, what is wrong, the expression and a caret under
 * the spot, with the nearest name for an unknown one. *out is owned: plan_free. The schema must outlive the plan. */
MUST_USE enum status plan_compile(const struct schema *schema, const struct feature_source *sources, size_t n,
                                  struct plan **out, struct error *err);
void plan_free(struct plan *plan);

/* As plan_compile, with conditions (reasons) as further columns after those of the features: 1 where the condition is
 * true, 0 where it is false or missing. They may use fields and features, in full precision, but not one another; their
 * names may be the same as a feature's. */
MUST_USE enum status plan_compile_with_conditions(const struct schema *schema, const struct feature_source *sources,
                                                  size_t n, const struct feature_source *conditions,
                                                  size_t condition_count, struct plan **out, struct error *err);

/* Columns of the row: one a feature, more for onehot; then one a condition. */
size_t plan_columns(const struct plan *plan);
const char *plan_column_name(const struct plan *plan, size_t column);
/* The position among sources, then conditions, of what a column comes from. */
size_t plan_column_source(const struct plan *plan, size_t column);

/* What the plan asks of the past. Both arrays are the plan's. */
const struct window *plan_windows(const struct plan *plan, size_t *n);
const struct window_input *plan_inputs(const struct plan *plan, size_t *n);
/* Appends a window as an expression would have it: "mean(amount, card, 7d)". */
void plan_window_text(const struct plan *plan, const struct schema *schema, size_t window, struct buf *out);
/* Appends the instructions, inputs and columns, for people. */
void plan_explain(const struct plan *plan, const struct schema *schema, struct buf *out);
/* An input as it is written in the expression it first came from. */
const char *plan_input_text(const struct plan *plan, size_t input);
/* Computes what windows need of a transaction, into inputs[input_count]: NaN where it is missing, 0 or 1 for a FLAG. Those
 * of kind TEXT are the transaction's own texts; their places get NaN. Asks nothing of tx->windows. */
void plan_run_inputs(const struct plan *plan, const struct transaction *tx, double *inputs);

/* Computes the row of one transaction, with its windows filled in, into row[plan_columns], of the given type. */
void plan_run(const struct plan *plan, const struct transaction *tx, enum number_type type, void *row);
