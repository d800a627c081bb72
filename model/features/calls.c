/* Calls of functions: arguments onto a stack, counted against functions.def, then what each kind of function checks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/features/compile.h"

enum function_kind { KIND_NUMERIC, KIND_CHAIN, KIND_TIME_PART, KIND_IF, KIND_MISSING, KIND_ONEHOT, KIND_LOOKUP };

struct function {
    const char *name;
    enum function_kind kind;
    enum op op;
    size_t least, most;
    const char *signature;
};

static const struct function functions[] = {
#define FUNCTION(id, name, kind, op, least, most, signature, help) {name, KIND_##kind, OP_##op, least, most, signature},
#include "model/features/functions.def"
#undef FUNCTION
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

struct call {
    const struct function *function;
    uint32_t at;                     /* of the name */
    const struct operand *arguments; /* [count] */
    size_t count;
};

static bool find_function(struct compiler *c, struct token name, const struct function **out)
{
    struct span text = lexer_text(&c->lexer, name);
    const char *names[FUNCTION_COUNT];
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        names[i] = functions[i].name;
        *out = &functions[i];
        if (span_equal(text, names[i], strlen(names[i])))
            return true;
    }
    char word[FEATURE_NAME_MAX + 1] = {0};
    memcpy(word, text.data, text.len < FEATURE_NAME_MAX ? text.len : FEATURE_NAME_MAX);
    const char *near = nearest_word(word, names, FUNCTION_COUNT);
    if (near)
        return complain(c, name.at, "unknown function '%s'; did you mean '%s'?", word, near);
    return complain(c, name.at, "unknown function '%s'", word);
}

static bool check_count(struct compiler *c, const struct call *call)
{
    const struct function *f = call->function;
    if (call->count >= f->least && (f->most == 0 || call->count <= f->most))
        return true;
    const char *plural = f->least == 1 && f->most == 1 ? "" : "s";
    if (f->most == f->least)
        return complain(c, call->at, "%s takes %zu argument%s, not %zu: %s", f->name, f->least, plural, call->count,
                        f->signature);
    if (f->most == 0)
        return complain(c, call->at, "%s takes at least %zu arguments, not %zu: %s", f->name, f->least, call->count,
                        f->signature);
    return complain(c, call->at, "%s takes %zu to %zu arguments, not %zu: %s", f->name, f->least, f->most, call->count,
                    f->signature);
}

static bool numeric(struct compiler *c, const struct call *call, struct operand *out)
{
    uint16_t values[3] = {0};
    for (size_t i = 0; i < call->count; i++) {
        if (!parse_need_number(c, &call->arguments[i], false))
            return false;
        values[i] = call->arguments[i].value;
    }
    if (call->function->op == OP_CLIP) {
        const struct value_made *low = &c->values[values[1]], *high = &c->values[values[2]];
        if (low->instruction.op == OP_CONSTANT && high->instruction.op == OP_CONSTANT && low->constant > high->constant)
            return complain(c, call->arguments[1].at, "clip: low (%g) lies above high (%g)", low->constant,
                            high->constant);
    }
    const struct instruction i = {.op = (uint16_t)call->function->op, .a = values[0], .b = values[1], .c = values[2]};
    return value_add(c, call->at, i, &out->value);
}

/* Numbers, or times, but not both: what `if`, min and max take. */
static bool alike(struct compiler *c, const struct operand *first, const struct operand *other)
{
    if (!parse_need_number(c, first, true) || !parse_need_number(c, other, true))
        return false;
    return first->kind == other->kind || complain(c, other->at, "a number and a time do not go together here");
}

static bool chain(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *arguments = call->arguments;
    uint16_t value = arguments[0].value;
    for (size_t i = 1; i < call->count; i++) {
        const struct instruction step = {.op = (uint16_t)call->function->op, .a = value, .b = arguments[i].value};
        if (!alike(c, &arguments[0], &arguments[i]) || !value_add(c, call->at, step, &value))
            return false;
    }
    out->kind = arguments[0].kind;
    out->value = value;
    return true;
}

static bool select_one(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *arguments = call->arguments;
    if (!parse_need_number(c, &arguments[0], false) || !alike(c, &arguments[1], &arguments[2]))
        return false;
    out->kind = arguments[1].kind;
    const struct instruction i = {
        .op = OP_SELECT, .a = arguments[0].value, .b = arguments[1].value, .c = arguments[2].value};
    return value_add(c, call->at, i, &out->value);
}

static bool missing(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *x = &call->arguments[0];
    if (x->kind == OPERAND_TEXT)
        return value_add(c, call->at, (struct instruction){.op = OP_NO_TEXT, .index = x->field}, &out->value);
    return parse_need_number(c, x, true) &&
           value_add(c, call->at, (struct instruction){.op = OP_IS_NAN, .a = x->value}, &out->value);
}

static bool time_part(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *arguments = call->arguments;
    if (arguments[0].kind != OPERAND_TIME)
        return complain(c, arguments[0].at, "%s needs a time: a field of type time", call->function->name);
    uint16_t value = arguments[0].value;
    if (call->count == 2) {
        if (arguments[1].kind != OPERAND_STRING)
            return complain(c, arguments[1].at, "a zone is a text: \"America/Sao_Paulo\"");
        char name[2 * TEXT_BYTES_MAX + 3];
        name[lexer_string(&c->lexer, arguments[1].token, name)] = '\0';
        struct instruction local = {.op = OP_LOCAL, .a = value};
        if (!value_zone(c, arguments[1].at, name, &local.table) || !value_add(c, call->at, local, &value))
            return false;
    }
    return value_add(c, call->at, (struct instruction){.op = (uint16_t)call->function->op, .a = value}, &out->value);
}

/* The argument's text into the next bytes of *text. */
static bool string_argument(struct compiler *c, const struct operand *argument, char **text, struct span *out)
{
    if (argument->kind != OPERAND_STRING)
        return complain(c, argument->at, "a text in quotes is needed here");
    *out = (struct span){.data = *text, .len = lexer_string(&c->lexer, argument->token, *text)};
    *text += out->len;
    return true;
}

/* A number that is known at load. */
static bool constant_argument(struct compiler *c, const struct operand *argument, double *out)
{
    if (!parse_need_number(c, argument, false))
        return false;
    const struct value_made *v = &c->values[argument->value];
    *out = v->constant;
    return v->instruction.op == OP_CONSTANT || complain(c, argument->at, "a fixed number is needed here");
}

/* onehot and lookup: arguments[1..] as words, a text every `step` of them; values where wanted. */
static bool read_words(struct compiler *c, const struct call *call, size_t step, struct span *texts, double *values,
                       char *text, uint32_t *n)
{
    *n = 0;
    for (size_t i = 1; i + step - 1 < call->count; i += step, ++*n) {
        if (!string_argument(c, &call->arguments[i], &text, &texts[*n]))
            return false;
        if (values && !constant_argument(c, &call->arguments[i + 1], &values[*n]))
            return false;
    }
    return !values || constant_argument(c, &call->arguments[call->count - 1], &values[*n]);
}

/* The MATCH of a field against the call's words. */
static bool match(struct compiler *c, const struct call *call, size_t step, struct instruction *out, uint16_t *value)
{
    const struct operand *field = &call->arguments[0];
    if (field->kind != OPERAND_TEXT)
        return complain(c, field->at, "%s needs a field of type category or key", call->function->name);
    struct span *texts = malloc(call->count * sizeof *texts);
    double *values = step == 2 ? malloc(call->count * sizeof *values) : NULL;
    char *text = malloc(EXPRESSION_BYTES_MAX);
    struct words *words = NULL;
    bool ok = texts && text && (values || step == 1);
    if (!ok) {
        complain_memory(c);
    } else {
        uint32_t n;
        ok = read_words(c, call, step, texts, values, text, &n);
        words = ok ? words_create(texts, values, n) : NULL;
    }
    free(texts);
    free(values);
    free(text);
    if (!ok)
        return false;
    int repeated = words ? words_repeated(words) : -1;
    if (repeated >= 0) {
        words_free(words);
        return complain(c, call->arguments[1 + (size_t)repeated * step].at, "this text was already given");
    }
    *out = (struct instruction){.op = OP_MATCH, .index = field->field};
    return value_words(c, words, &out->table) && value_add(c, call->at, *out, value);
}

static bool onehot(struct compiler *c, const struct call *call, struct operand *out)
{
    struct instruction matched;
    out->kind = OPERAND_COLUMNS;
    return match(c, call, 1, &matched, &out->value);
}

static bool lookup(struct compiler *c, const struct call *call, struct operand *out)
{
    struct instruction matched;
    if (call->count % 2 != 0)
        return complain(c, call->at, "lookup takes pairs of text and number, then the number for all others: %s",
                        call->function->signature);
    struct instruction value = {.op = OP_VALUE};
    if (!match(c, call, 2, &matched, &value.a))
        return false;
    value.table = matched.table;
    return value_add(c, call->at, value, &out->value);
}

static bool apply(struct compiler *c, const struct call *call, struct operand *out)
{
    static bool (*const kinds[])(struct compiler *, const struct call *, struct operand *) = {
        [KIND_NUMERIC] = numeric, [KIND_CHAIN] = chain,   [KIND_TIME_PART] = time_part, [KIND_IF] = select_one,
        [KIND_MISSING] = missing, [KIND_ONEHOT] = onehot, [KIND_LOOKUP] = lookup,
    };
    *out = (struct operand){.kind = OPERAND_NUMBER, .at = call->at};
    return kinds[call->function->kind](c, call, out);
}

/* The arguments up to and with the ')', onto the stack. */
static bool parse_arguments(struct compiler *c)
{
    for (bool more = c->token.kind != TOKEN_CLOSE; more;) {
        struct operand argument;
        if (!parse_subexpression(c, &argument))
            return false;
        if (c->argument_count == ARGUMENTS_MAX)
            return complain(c, argument.at, "more than %d arguments", ARGUMENTS_MAX);
        c->arguments[c->argument_count++] = argument;
        more = c->token.kind == TOKEN_COMMA;
        if (more && !parse_expect(c, TOKEN_COMMA, "','"))
            return false;
    }
    return parse_expect(c, TOKEN_CLOSE, "',' or ')'");
}

bool parse_call(struct compiler *c, struct token name, struct operand *out)
{
    struct call call = {.at = name.at};
    size_t base = c->argument_count;
    if (!find_function(c, name, &call.function) || !parse_arguments(c))
        return false;
    call.arguments = c->arguments + base;
    call.count = c->argument_count - base;
    bool ok = check_count(c, &call) && apply(c, &call, out);
    c->argument_count = base;
    return ok;
}
