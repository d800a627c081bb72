/*
 * The compiler of feature expressions, between its files. Private to model/features.
 *
 *     lexer ─► parse.c: grammar by precedence, one pass ─► values.c: each operation once, constants folded ─►
 * compile.c: │                                          unused values left out, registers numbered
 *            └─ calls.c: functions ─► windows.c: those of the past
 *
 * There is no syntax tree: while parsing, every subexpression becomes an operand that names the value it computes.
 */
#pragma once

#include <stdbool.h>

#include "model/base/buf.h"
#include "model/features/lexer.h"
#include "model/features/program.h"

enum {
    EXPRESSION_BYTES_MAX = 1 << 16,
    NESTING_MAX = 64,
    ARGUMENTS_MAX = 4096,
    FEATURES_MAX = 4096,
    FEATURE_NAME_MAX = 128,
};

/* What a subexpression is. A time is a number of seconds that only some operations take. */
enum operand_kind {
    OPERAND_NUMBER,
    OPERAND_TIME,
    OPERAND_TEXT,
    OPERAND_STRING,
    OPERAND_COLUMNS,
    OPERAND_ALL,  /* the window without an end */
    OPERAND_WORD, /* of=labelled */
};

struct operand {
    enum operand_kind kind;
    uint32_t at;        /* where it begins in the expression, for messages */
    uint16_t value;     /* NUMBER, TIME: its value; COLUMNS: MATCH, whose words name the columns */
    uint16_t field;     /* TEXT */
    struct token token; /* STRING, WORD; NUMBER: what it was written as, TOKEN_DURATION for 7d */
};

/* What stands between the commas of a call. */
struct argument {
    struct operand operand;
    struct token name; /* TOKEN_NAME: of a named one, delay=7d; else TOKEN_END */
    struct span text;  /* as written */
};

enum function_kind { KIND_NUMERIC, KIND_CHAIN, KIND_TIME_PART, KIND_IF, KIND_MISSING, KIND_ONEHOT, KIND_LOOKUP, KIND_WINDOW };

struct function {
    const char *name;
    enum function_kind kind;
    enum op op;
    size_t least, most; /* positional arguments */
    const char *signature;
    enum window_function window; /* KIND_WINDOW */
};

struct call {
    const struct function *function;
    uint32_t at;                      /* of the name */
    const struct argument *arguments; /* [count], the named ones last */
    size_t count, named;
};

/* An operation or constant. Operands a, b, c are numbers of earlier values. */
struct value_made {
    struct instruction instruction;
    double constant; /* OP_CONSTANT */
    bool past;       /* depends on a window */
};

/* A feature above: what its name, or for onehot the names of its columns, stand for. */
struct named {
    const char *name;
    struct operand operand; /* NUMBER, TIME or COLUMNS */
};

struct compiler {
    const struct schema *schema;
    struct plan *plan;         /* words and zones go there as they come up */
    struct value_made *values; /* [value_count], room for PLAN_REGISTERS_MAX */
    uint32_t value_count;
    struct named *named; /* features above; [named_count] */
    size_t named_count;
    const struct feature_source *sources; /* all of this run, to tell "below" from "nowhere" */
    size_t source_count;

    const struct feature_source *source; /* the one being compiled */
    struct lexer lexer;
    struct token token; /* the next one */
    uint32_t end;       /* of the one before it */
    unsigned nesting;
    struct argument *arguments; /* stack of calls' arguments; [argument_count], room for ARGUMENTS_MAX */
    size_t argument_count;

    uint16_t inputs[WINDOW_INPUTS_MAX]; /* values of the plan's window inputs; of TEXT ones nothing */

    enum status status; /* why it failed */
    struct error *err;
};

/* complain.c: records STATUS_INVALID and a message with place, expression and a caret at byte `at`; returns false. */
bool complain(struct compiler *c, uint32_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool complain_memory(struct compiler *c);

/* parse.c: takes the next token. */
bool parse_advance(struct compiler *c);
/* parse.c: the whole expression. False: c->status and message are set; so too for all below. */
bool parse_expression(struct compiler *c, struct operand *out);
bool parse_subexpression(struct compiler *c, struct operand *out);
bool parse_expect(struct compiler *c, enum token_kind kind, const char *what);
/* A duration as written, 7d, and not something computed with one. */
bool parse_is_duration(const struct operand *operand);
/* Refuses an operand that is no number, a duration too (times are let through where `time_too`). */
bool parse_need_number(struct compiler *c, const struct operand *operand, bool time_too);

/* calls.c: name '(' arguments ')', from the '(' on. */
bool parse_call(struct compiler *c, struct token name, struct operand *out);
/* windows.c: a call of a window function. */
bool window_call(struct compiler *c, const struct call *call, struct operand *out);
/* calls.c: a number that is known at load. */
bool constant_argument(struct compiler *c, const struct operand *argument, double *out);
/* names.c: what a name stands for. */
bool parse_name(struct compiler *c, struct token name, struct operand *out);
/* names.c: appends the name of a column of COLUMNS, "channel_pos". */
void column_name(const struct compiler *c, const struct named *named, uint32_t column, struct buf *out);
uint32_t column_count(const struct compiler *c, const struct operand *columns);

/* values.c: how many of a, b, c an instruction reads. */
unsigned op_registers(enum op op);
/* values.c: a value for an instruction or constant, an earlier one where it is the same. at: for "too long". */
bool value_add(struct compiler *c, uint32_t at, struct instruction instruction, uint16_t *out);
bool value_constant(struct compiler *c, uint32_t at, double constant, uint16_t *out);
/* values.c: the number of a set of words among the plan's, an earlier one where equal. Takes words, also on failure. */
bool value_words(struct compiler *c, struct words *words, uint16_t *out);
bool value_zone(struct compiler *c, uint32_t at, const char *name, uint16_t *out);
/* values.c: one text as a set of words. */
bool value_string(struct compiler *c, struct token string, uint16_t *out);
