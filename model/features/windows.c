/* Calls of window functions: each becomes a window of the plan, what it needs of every transaction an input. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/features/compile.h"

/* What may be given by name. */
enum { NAMED_WHERE, NAMED_DELAY, NAMED_PRIOR, NAMED_OF, NAMED_COUNT, NAMED_ANYWHERE = NAMED_PRIOR };

static const char *const named_arguments[NAMED_COUNT] = {"where", "delay", "prior", "of"};

/* A duration in microseconds, from a literal: `7d` and not `604800`, which could be anything. */
static bool read_duration(struct compiler *c, const struct operand *operand, bool zero_too, int64_t *out)
{
    if (!parse_is_duration(operand))
        return complain(c, operand->at, "a duration is needed here: 15m, 12h, 7d%s", zero_too ? "" : ", or all");
    double us = rint(operand->token.number * 1e6);
    if (us > (double)WINDOW_US_MAX)
        return complain(c, operand->at, "this is longer than three years%s", zero_too ? "" : "; all has no end");
    if (us < 1 && !zero_too)
        return complain(c, operand->at, "a window is longer than nothing");
    *out = (int64_t)us;
    return true;
}

/* Is there room for one more input of this kind? */
static bool room_for(const struct plan *plan, enum window_input_kind kind)
{
    size_t distincts = 0, flags = 0;
    for (size_t i = 0; i < plan->input_count; i++) {
        flags += plan->inputs[i].kind == WINDOW_FLAG;
        distincts += plan->inputs[i].kind == WINDOW_TEXT || plan->inputs[i].kind == WINDOW_VALUE;
    }
    bool distinct = kind == WINDOW_TEXT || kind == WINDOW_VALUE;
    return plan->input_count < WINDOW_INPUTS_MAX && (!distinct || distincts < WINDOW_DISTINCTS_MAX) &&
           (kind != WINDOW_FLAG || flags < WINDOW_FLAGS_MAX);
}

/* The number of an input of the plan: an earlier one where it is the same. */
static bool add_input(struct compiler *c, const struct argument *from, enum window_input_kind kind, uint16_t value, int16_t field, int16_t *out)
{
    struct plan *plan = c->plan;
    for (size_t i = 0; i < plan->input_count; i++) {
        bool same = kind == WINDOW_TEXT ? plan->inputs[i].field == field : c->inputs[i] == value;
        if (plan->inputs[i].kind != kind || !same)
            continue;
        *out = (int16_t)i;
        return true;
    }
    if (!room_for(plan, kind))
        return complain(c, from->operand.at, "windows look at too many different things: %d in all, %d in distinct, %d in where=",
                        WINDOW_INPUTS_MAX, WINDOW_DISTINCTS_MAX, WINDOW_FLAGS_MAX);
    char *text = span_copy(from->text);
    if (!text)
        return complain_memory(c);
    *out = (int16_t)plan->input_count;
    c->inputs[plan->input_count] = value;
    plan->input_texts[plan->input_count] = text;
    plan->inputs[plan->input_count++] = (struct window_input){.kind = kind, .field = field};
    return true;
}

/* An input is known as soon as its transaction is: nothing of the past may be in it. */
static bool check_present(struct compiler *c, const struct operand *operand)
{
    return !c->values[operand->value].past ||
           complain(c, operand->at, "a window looks at the transactions themselves: this depends on a window already");
}

/* x of sum(x, key, window). */
static bool read_input(struct compiler *c, const struct call *call, struct window *window)
{
    const struct argument *argument = &call->arguments[0];
    const struct operand *x = &argument->operand;
    if (window->function == WINDOW_DISTINCT && x->kind == OPERAND_TEXT)
        return add_input(c, argument, WINDOW_TEXT, 0, (int16_t)x->field, &window->input);
    if (!parse_need_number(c, x, false) || !check_present(c, x))
        return false;
    enum window_input_kind kind = window->function == WINDOW_DISTINCT ? WINDOW_VALUE : WINDOW_NUMBER;
    return add_input(c, argument, kind, x->value, WINDOW_NONE, &window->input);
}

static bool read_where(struct compiler *c, const struct argument *argument, struct window *window)
{
    struct instruction truth = {.op = OP_NE, .a = argument->operand.value}; /* 0 where it is missing */
    uint16_t value;
    return parse_need_number(c, &argument->operand, false) && check_present(c, &argument->operand) &&
           value_constant(c, argument->operand.at, 0, &truth.b) && value_add(c, argument->operand.at, truth, &value) &&
           add_input(c, argument, WINDOW_FLAG, value, WINDOW_NONE, &window->where);
}

static bool read_of(struct compiler *c, const struct operand *word, struct window *window)
{
    struct span text = lexer_text(&c->lexer, word->token);
    window->labelled = span_equal(text, "labelled", 8);
    return window->labelled || span_equal(text, "all", 3) || complain(c, word->at, "of is 'all' or 'labelled'");
}

static bool read_prior(struct compiler *c, const struct operand *operand, double *out)
{
    if (!constant_argument(c, operand, out))
        return false;
    return (*out >= 0 && *out <= 1) || complain(c, operand->at, "a prior is a share, 0 to 1");
}

static bool unknown_name(struct compiler *c, const struct call *call, const struct argument *argument, size_t known)
{
    char word[FEATURE_NAME_MAX + 1] = {0};
    struct span text = lexer_text(&c->lexer, argument->name);
    memcpy(word, text.data, text.len < FEATURE_NAME_MAX ? text.len : FEATURE_NAME_MAX);
    const char *near = nearest_word(word, named_arguments, known);
    const char *name = call->function->name;
    if (near)
        return complain(c, argument->name.at, "%s has no argument '%s'; did you mean '%s'?", name, word, near);
    return complain(c, argument->name.at, "%s has no argument '%s'; there are where=, delay=%s", name, word,
                    known == NAMED_COUNT ? ", prior=, of=" : "");
}

static bool read_named(struct compiler *c, const struct call *call, const struct argument *argument, unsigned *seen, struct window *window)
{
    size_t known = window->function == WINDOW_RISK ? NAMED_COUNT : NAMED_ANYWHERE, which = 0;
    struct span name = lexer_text(&c->lexer, argument->name);
    while (which < known && !span_equal(name, named_arguments[which], strlen(named_arguments[which])))
        which++;
    if (which == known)
        return unknown_name(c, call, argument, known);
    if (*seen & 1u << which)
        return complain(c, argument->name.at, "%s= is given twice", named_arguments[which]);
    *seen |= 1u << which;
    switch (which) {
    case NAMED_WHERE:
        return read_where(c, argument, window);
    case NAMED_DELAY:
        return read_duration(c, &argument->operand, true, &window->delay_us);
    case NAMED_PRIOR:
        return read_prior(c, &argument->operand, &window->prior);
    default:
        return read_of(c, &argument->operand, window);
    }
}

static bool same_window(const struct window *a, const struct window *b)
{
    return a->function == b->function && a->key == b->key && a->input == b->input && a->where == b->where && a->width_us == b->width_us &&
           a->delay_us == b->delay_us && a->prior == b->prior && a->labelled == b->labelled;
}

static bool add_window(struct compiler *c, uint32_t at, const struct window *window, uint16_t *out)
{
    struct plan *plan = c->plan;
    uint32_t keys = 1; /* different ones, with this one */
    for (size_t i = 0; i < plan->window_count; i++) {
        bool known = plan->windows[i].key == window->key;
        for (size_t k = 0; k < i && !known; k++)
            known = plan->windows[k].key == plan->windows[i].key;
        keys += !known;
    }
    if (keys > WINDOW_KEYS_MAX)
        return complain(c, at, "windows over more than %d different keys", WINDOW_KEYS_MAX);
    size_t i = 0;
    while (i < plan->window_count && !same_window(&plan->windows[i], window))
        i++;
    if (i == WINDOWS_MAX)
        return complain(c, at, "more than %d different windows", WINDOWS_MAX);
    plan->windows[i] = *window;
    plan->window_count += i == plan->window_count;
    *out = (uint16_t)i;
    return true;
}

bool window_call(struct compiler *c, const struct call *call, struct operand *out)
{
    size_t inputs = call->function->least - 2, positional = call->count - call->named;
    const struct operand *key = &call->arguments[inputs].operand, *width = &call->arguments[inputs + 1].operand;
    struct window window = {.function = call->function->window, .input = WINDOW_NONE, .where = WINDOW_NONE, .width_us = WINDOW_ALL};
    struct instruction value = {.op = OP_WINDOW};
    unsigned seen = 0;
    if (inputs == 1 && !read_input(c, call, &window))
        return false;
    if (key->kind != OPERAND_TEXT || schema_field(c->schema, key->field)->type != FIELD_KEY)
        return complain(c, key->at, "a field of type key is needed here, such as a card: whose transactions the window holds");
    window.key = key->field;
    if (width->kind != OPERAND_ALL && !read_duration(c, width, false, &window.width_us))
        return false;
    bool remembers = window.function == WINDOW_DISTINCT || window.function == WINDOW_RISK; /* its members, one by one */
    if (width->kind == OPERAND_ALL && remembers)
        return complain(c, width->at, "%s needs a window with an end, three years (1098d) at most", call->function->name);
    for (size_t i = positional; i < call->count; i++)
        if (!read_named(c, call, &call->arguments[i], &seen, &window))
            return false;
    return add_window(c, call->at, &window, &value.index) && value_add(c, call->at, value, &out->value);
}
