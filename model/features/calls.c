/* Calls of functions: arguments onto a stack, counted against functions.def, then what each kind of function checks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/features/compile.h"

static const struct function functions[] = {
#define FUNCTION(id, name, kind, op, least, most, signature, help) {name, KIND_##kind, OP_##op, least, most, signature, WINDOW_FUNCTIONS},
#include "model/features/functions.def"
#undef FUNCTION
#define WINDOW(id, name, inputs, signature, help) {name, KIND_WINDOW, OP_WINDOW, 2 + inputs, 2 + inputs, signature, WINDOW_##id},
#include "model/features/windows.def"
#undef WINDOW
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

/* What SQL and data frames call a function that has another name here; NULL for any other word. */
static const char *synonym(const char *word)
{
    static const char *const synonyms[][2] = {
        {"avg", "mean"},         {"average", "mean"},            {"stddev", "std"},
        {"nunique", "distinct"}, {"count_distinct", "distinct"},
    };
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (strcmp(word, synonyms[i][0]) == 0)
            return synonyms[i][1];
    return NULL;
}

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
    const char *near = synonym(word);
    if (!near)
        near = nearest_word(word, names, FUNCTION_COUNT);
    if (near)
        return complain(c, name.at, "unknown function '%s'; did you mean '%s'?", word, near);
    return complain(c, name.at, "unknown function '%s'", word);
}

static bool check_count(struct compiler *c, const struct call *call)
{
    const struct function *f = call->function;
    size_t count = call->count - call->named;
    if (count >= f->least && (f->most == 0 || count <= f->most))
        return true;
    const char *plural = f->least == 1 && f->most == 1 ? "" : "s";
    if (f->most == f->least)
        return complain(c, call->at, "%s takes %zu argument%s, not %zu: %s", f->name, f->least, plural, count,
                        f->signature);
    if (f->most == 0)
        return complain(c, call->at, "%s takes at least %zu arguments, not %zu: %s", f->name, f->least, count,
                        f->signature);
    return complain(c, call->at, "%s takes %zu to %zu arguments, not %zu: %s", f->name, f->least, f->most, count,
                    f->signature);
}

static bool numeric(struct compiler *c, const struct call *call, struct operand *out)
{
    uint16_t values[3] = {0};
    for (size_t i = 0; i < call->count; i++) {
        if (!parse_need_number(c, &call->arguments[i].operand, false))
            return false;
        values[i] = call->arguments[i].operand.value;
    }
    if (call->function->op == OP_CLIP) {
        const struct value_made *low = &c->values[values[1]], *high = &c->values[values[2]];
        if (low->instruction.op == OP_CONSTANT && high->instruction.op == OP_CONSTANT && low->constant > high->constant)
            return complain(c, call->arguments[1].operand.at, "clip: low (%g) lies above high (%g)", low->constant,
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
    const struct operand *first = &call->arguments[0].operand;
    uint16_t value = first->value;
    for (size_t i = 1; i < call->count; i++) {
        const struct operand *next = &call->arguments[i].operand;
        const struct instruction step = {.op = (uint16_t)call->function->op, .a = value, .b = next->value};
        if (!alike(c, first, next) || !value_add(c, call->at, step, &value))
            return false;
    }
    out->kind = first->kind;
    out->value = value;
    return true;
}

static bool select_one(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *condition = &call->arguments[0].operand, *yes = &call->arguments[1].operand, *no = &call->arguments[2].operand;
    if (!parse_need_number(c, condition, false) || !alike(c, yes, no))
        return false;
    out->kind = yes->kind;
    const struct instruction i = {.op = OP_SELECT, .a = condition->value, .b = yes->value, .c = no->value};
    return value_add(c, call->at, i, &out->value);
}

static bool missing(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *x = &call->arguments[0].operand;
    if (x->kind == OPERAND_TEXT)
        return value_add(c, call->at, (struct instruction){.op = OP_NO_TEXT, .index = x->field}, &out->value);
    return parse_need_number(c, x, true) &&
           value_add(c, call->at, (struct instruction){.op = OP_IS_NAN, .a = x->value}, &out->value);
}

static bool time_part(struct compiler *c, const struct call *call, struct operand *out)
{
    const struct operand *time = &call->arguments[0].operand, *zone = &call->arguments[1].operand; /* zone: if call->count is 2 */
    if (time->kind != OPERAND_TIME)
        return complain(c, time->at, "%s needs a time: a field of type time", call->function->name);
    uint16_t value = time->value;
    if (call->count == 2) {
        if (zone->kind != OPERAND_STRING)
            return complain(c, zone->at, "a zone is a text: \"America/Sao_Paulo\"");
        char name[2 * TEXT_BYTES_MAX + 3];
        name[lexer_string(&c->lexer, zone->token, name)] = '\0';
        struct instruction local = {.op = OP_LOCAL, .a = value};
        if (!value_zone(c, zone->at, name, &local.table) || !value_add(c, call->at, local, &value))
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

bool constant_argument(struct compiler *c, const struct operand *argument, double *out)
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
        if (!string_argument(c, &call->arguments[i].operand, &text, &texts[*n]))
            return false;
        if (values && !constant_argument(c, &call->arguments[i + 1].operand, &values[*n]))
            return false;
    }
    return !values || constant_argument(c, &call->arguments[call->count - 1].operand, &values[*n]);
}

/* The MATCH of a field against the call's words. */
static bool match(struct compiler *c, const struct call *call, size_t step, struct instruction *out, uint16_t *value)
{
    const struct operand *field = &call->arguments[0].operand;
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
        return complain(c, call->arguments[1 + (size_t)repeated * step].operand.at, "this text was already given");
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
        [KIND_MISSING] = missing, [KIND_ONEHOT] = onehot, [KIND_LOOKUP] = lookup,       [KIND_WINDOW] = window_call,
    };
    *out = (struct operand){.kind = OPERAND_NUMBER, .at = call->at};
    return kinds[call->function->kind](c, call, out);
}

/* min and max have two lives: of values side by side, and over a window, which a key as the second argument tells. */
static void find_window(struct call *call)
{
    bool past = call->count > 1 && call->arguments[1].operand.kind == OPERAND_TEXT;
    for (size_t i = 0; past && i < FUNCTION_COUNT; i++)
        if (functions[i].kind == KIND_WINDOW && strcmp(functions[i].name, call->function->name) == 0)
            call->function = &functions[i];
}

/* `max(amount, 7d)` is a window whose key was forgotten, not the greater of an amount and 604800. */
static bool check_key(struct compiler *c, const struct call *call)
{
    size_t positional = call->count - call->named;
    if (call->function->kind != KIND_CHAIN || positional < 2)
        return true;
    const struct argument *x = call->arguments, *width = x + 1, *end = x + positional;
    while (width < end && width->operand.kind != OPERAND_ALL && !parse_is_duration(&width->operand))
        width++;
    if (width == end)
        return true;
    bool brief = x->text.len <= 64; /* a longer x would crowd out what comes behind it */
    int x_len = brief ? (int)x->text.len : 1, width_len = (int)width->text.len;
    const char *name = call->function->name, *x_text = brief ? x->text.data : "x", *width_text = width->text.data;
    if (width->operand.kind == OPERAND_ALL)
        return complain(c, width->operand.at, "%s over a window needs a key: %s(%.*s, KEY, all)", name, name, x_len, x_text);
    return complain(c, width->operand.at, "%s over a window needs a key: %s(%.*s, KEY, %.*s); if seconds are meant, write %.15g", name, name,
                    x_len, x_text, width_len, width_text, width->operand.token.number);
}

static bool check_names(struct compiler *c, const struct call *call)
{
    const struct argument *first = &call->arguments[call->count - call->named];
    if (call->named == 0 || call->function->kind == KIND_WINDOW)
        return true;
    return complain(c, first->name.at, "%s takes no arguments by name; to compare, write '=='", call->function->name);
}

/* One argument, by name or not. */
static bool parse_argument(struct compiler *c, struct argument *out)
{
    *out = (struct argument){.name = {.kind = TOKEN_END}};
    if (c->token.kind == TOKEN_NAME && lexer_take_equals(&c->lexer)) {
        out->name = c->token;
        if (!parse_advance(c))
            return false;
    }
    uint32_t start = c->token.at;
    if (out->name.kind == TOKEN_NAME && c->token.kind == TOKEN_NAME && span_equal(lexer_text(&c->lexer, out->name), "of", 2)) {
        out->operand = (struct operand){.kind = OPERAND_WORD, .at = start, .token = c->token};
        if (!parse_advance(c))
            return false;
    } else if (!parse_subexpression(c, &out->operand)) {
        return false;
    }
    out->text = (struct span){.data = c->lexer.text + start, .len = c->end - start};
    return true;
}

/* The arguments up to and with the ')', onto the stack. */
static bool parse_arguments(struct compiler *c, size_t *named)
{
    *named = 0;
    for (bool more = c->token.kind != TOKEN_CLOSE; more;) {
        struct argument argument;
        if (!parse_argument(c, &argument))
            return false;
        if (c->argument_count == ARGUMENTS_MAX)
            return complain(c, argument.operand.at, "more than %d arguments", ARGUMENTS_MAX);
        if (*named > 0 && argument.name.kind != TOKEN_NAME)
            return complain(c, argument.operand.at, "arguments by name come last");
        *named += argument.name.kind == TOKEN_NAME;
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
    if (!find_function(c, name, &call.function) || !parse_arguments(c, &call.named))
        return false;
    call.arguments = c->arguments + base;
    call.count = c->argument_count - base;
    find_window(&call);
    bool ok = check_key(c, &call) && check_names(c, &call) && check_count(c, &call) && apply(c, &call, out);
    c->argument_count = base;
    return ok;
}
