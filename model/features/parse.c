/*
 * The grammar, loosest first; each level binds tighter than the one above it:
 *
 *     or   and   not   < <= > >= == != (no chains)   + -   * /   - (sign)   number 7d "text" name name(…) ( … )
 *
 * by precedence climbing: parse_binary(level) takes everything that binds at least as tightly as level.
 */
#include "model/features/compile.h"

enum level { LEVEL_OR, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_SIGN };

struct binary {
    enum token_kind token;
    enum level level;
    enum op op;
    const char *text;
};

static const struct binary binaries[] = {
    {TOKEN_OR, LEVEL_OR, OP_OR, "or"},
    {TOKEN_AND, LEVEL_AND, OP_AND, "and"},
    {TOKEN_LT, LEVEL_COMPARE, OP_LT, "<"},
    {TOKEN_LE, LEVEL_COMPARE, OP_LE, "<="},
    {TOKEN_GT, LEVEL_COMPARE, OP_GT, ">"},
    {TOKEN_GE, LEVEL_COMPARE, OP_GE, ">="},
    {TOKEN_EQ, LEVEL_COMPARE, OP_EQ, "=="},
    {TOKEN_NE, LEVEL_COMPARE, OP_NE, "!="},
    {TOKEN_PLUS, LEVEL_SUM, OP_ADD, "+"},
    {TOKEN_MINUS, LEVEL_SUM, OP_SUBTRACT, "-"},
    {TOKEN_STAR, LEVEL_PRODUCT, OP_MULTIPLY, "*"},
    {TOKEN_SLASH, LEVEL_PRODUCT, OP_DIVIDE, "/"},
};

static bool parse_binary(struct compiler *c, enum level least, struct operand *out);

bool parse_advance(struct compiler *c)
{
    c->end = c->token.end;
    c->token = lexer_next(&c->lexer);
    return c->token.kind != TOKEN_BAD || complain(c, c->token.at, "%s", c->lexer.problem);
}

bool parse_expect(struct compiler *c, enum token_kind kind, const char *what)
{
    if (c->token.kind == kind)
        return kind == TOKEN_END || parse_advance(c);
    if (c->token.kind == TOKEN_END)
        return complain(c, c->token.at, "%s is missing at the end", what);
    return complain(c, c->token.at, "%s is needed here", what);
}

bool parse_is_duration(const struct operand *operand)
{
    return operand->kind == OPERAND_NUMBER && operand->token.kind == TOKEN_DURATION;
}

bool parse_need_number(struct compiler *c, const struct operand *operand, bool time_too)
{
    switch (operand->kind) {
    case OPERAND_NUMBER:
        return !parse_is_duration(operand) ||
               complain(c, operand->at, "a number is needed here, this is a duration; if seconds are meant, write %.15g", operand->token.number);
    case OPERAND_TIME:
        return time_too ||
               complain(c, operand->at, "a number is needed here, this is a time (hour, weekday … give numbers)");
    case OPERAND_TEXT: {
        const struct field *f = schema_field(c->schema, operand->field);
        const char *type = field_type_name(f->type);
        return complain(c, operand->at,
                        "a number is needed here, '%s' is %s %s: compare it (%s == \"...\"), or use onehot or lookup",
                        f->name, f->type == FIELD_ID ? "an" : "a", type, f->name);
    }
    case OPERAND_STRING:
        return complain(c, operand->at, "a number is needed here, this is a text");
    case OPERAND_ALL:
        return complain(c, operand->at, "a number is needed here, 'all' is a window");
    case OPERAND_WORD:
    case OPERAND_COLUMNS:
        break;
    }
    return complain(c, operand->at, "onehot gives several columns: it must be the whole feature");
}

/* Arithmetic and comparisons take durations, too, as seconds: `time - opened < 30d`. */
static bool need_quantity(struct compiler *c, const struct operand *operand, bool time_too)
{
    return parse_is_duration(operand) || parse_need_number(c, operand, time_too);
}

/* Which of the numbers and times may be added, subtracted or compared, and what comes of it. */
static bool check_times(struct compiler *c, const struct binary *b, uint32_t at, const struct operand *l,
                        const struct operand *r, enum operand_kind *kind)
{
    bool left = l->kind == OPERAND_TIME, right = r->kind == OPERAND_TIME;
    bool comparison = b->level == LEVEL_COMPARE, minus = b->op == OP_SUBTRACT, plus = b->op == OP_ADD;
    *kind = OPERAND_NUMBER;
    if ((!left && !right) || comparison || (left && right && minus)) /* two times apart: seconds */
        return true;
    *kind = OPERAND_TIME;
    if ((left && !right && (plus || minus)) || (right && !left && plus))
        return true;
    return complain(c, at, "'%s' is not possible with a time: times can be compared and subtracted, and seconds added",
                    b->text);
}

/* == and != of texts: field with text, or field with field. */
static bool compare_texts(struct compiler *c, const struct binary *b, uint32_t at, const struct operand *l,
                          const struct operand *r, struct operand *out)
{
    if (b->op != OP_EQ && b->op != OP_NE)
        return complain(c, at, "texts can only be compared with == and !=");
    if (l->kind == OPERAND_STRING && r->kind == OPERAND_STRING)
        return complain(c, at, "both sides are fixed texts: one must be a field");
    if (l->kind == OPERAND_TEXT && r->kind == OPERAND_TEXT) {
        /* Which side is first makes no difference: in field order, so that a == b and b == a are one value. */
        bool order = l->field < r->field;
        const struct instruction both = {.op = b->op == OP_EQ ? OP_SAME_TEXT : OP_OTHER_TEXT,
                                         .index = order ? l->field : r->field,
                                         .table = order ? r->field : l->field};
        return value_add(c, at, both, &out->value);
    }
    const struct operand *text = l->kind == OPERAND_TEXT ? l : r, *string = l->kind == OPERAND_TEXT ? r : l;
    struct instruction match = {.op = OP_MATCH, .index = text->field};
    struct instruction compare = {
        .op = b->op == OP_EQ ? OP_EQ : OP_LT}; /* position 0: it is the text; -1: another; NaN: none */
    return value_string(c, string->token, &match.table) && value_add(c, at, match, &compare.a) &&
           value_constant(c, at, 0, &compare.b) && value_add(c, at, compare, &out->value);
}

static bool is_text(const struct operand *operand)
{
    return operand->kind == OPERAND_TEXT || operand->kind == OPERAND_STRING;
}

/* The value of `l op r`; at: of the operator. */
static bool apply(struct compiler *c, const struct binary *b, uint32_t at, const struct operand *l,
                  const struct operand *r, struct operand *out)
{
    struct operand result = {.kind = OPERAND_NUMBER, .at = l->at};
    bool ok;
    if (b->level == LEVEL_COMPARE && is_text(l) && is_text(r)) {
        ok = compare_texts(c, b, at, l, r, &result);
    } else {
        bool logic = b->level == LEVEL_OR || b->level == LEVEL_AND;
        bool (*need)(struct compiler *, const struct operand *, bool) = logic ? parse_need_number : need_quantity;
        ok = need(c, l, !logic) && need(c, r, !logic) && check_times(c, b, at, l, r, &result.kind) &&
             value_add(c, at, (struct instruction){.op = (uint16_t)b->op, .a = l->value, .b = r->value}, &result.value);
    }
    *out = result;
    return ok;
}

/* A sign or `not` before an operand. */
static bool parse_unary(struct compiler *c, enum op op, enum level level, struct operand *out)
{
    struct instruction instruction = {.op = (uint16_t)op};
    uint32_t at = c->token.at;
    struct operand operand;
    if (!parse_advance(c) || !parse_binary(c, level, &operand))
        return false;
    if (op == OP_NOT ? !parse_need_number(c, &operand, false) : !need_quantity(c, &operand, false))
        return false;
    instruction.a = operand.value;
    *out = (struct operand){.kind = OPERAND_NUMBER, .at = at};
    return value_add(c, at, instruction, &out->value);
}

static bool parse_primary(struct compiler *c, struct operand *out)
{
    struct token token = c->token;
    *out = (struct operand){.kind = OPERAND_NUMBER, .at = token.at, .token = token};
    switch (token.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION: /* seconds */
        return parse_advance(c) && value_constant(c, token.at, token.number, &out->value);
    case TOKEN_STRING:
        out->kind = OPERAND_STRING;
        return parse_advance(c);
    case TOKEN_NAME:
        if (!parse_advance(c))
            return false;
        return c->token.kind == TOKEN_OPEN ? parse_advance(c) && parse_call(c, token, out) : parse_name(c, token, out);
    case TOKEN_OPEN:
        if (!parse_advance(c) || !parse_subexpression(c, out) || !parse_expect(c, TOKEN_CLOSE, "')'"))
            return false;
        out->at = token.at;
        return true;
    case TOKEN_END:
        return complain(c, token.at, token.at == 0 ? "the expression is empty" : "something is missing at the end");
    default:
        return complain(c, token.at, "a number, a name or '(' is needed here");
    }
}

/* What an operand begins with. All recursion passes here, so that nesting is bounded. */
static bool parse_prefix(struct compiler *c, enum level least, struct operand *out)
{
    if (c->nesting == NESTING_MAX)
        return complain(c, c->token.at, "nested more than %d levels deep: split it into several features", NESTING_MAX);
    c->nesting++;
    bool ok;
    if (c->token.kind == TOKEN_MINUS)
        ok = parse_unary(c, OP_NEGATE, LEVEL_SIGN, out);
    else if (c->token.kind == TOKEN_NOT && least <= LEVEL_NOT)
        ok = parse_unary(c, OP_NOT, LEVEL_NOT, out);
    else if (c->token.kind == TOKEN_NOT)
        ok = complain(c, c->token.at, "'not' binds more loosely than what stands before it: put it in parentheses");
    else
        ok = parse_primary(c, out);
    c->nesting--;
    return ok;
}

static const struct binary *binary_of(enum token_kind kind)
{
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (binaries[i].token == kind)
            return &binaries[i];
    return NULL;
}

static bool parse_binary(struct compiler *c, enum level least, struct operand *out)
{
    struct operand left;
    if (!parse_prefix(c, least, &left))
        return false;
    bool compared = false;
    for (;;) {
        const struct binary *b = binary_of(c->token.kind);
        if (!b || b->level < least)
            break;
        uint32_t at = c->token.at;
        if (compared && b->level == LEVEL_COMPARE)
            return complain(c, at, "comparisons do not chain: write 'a < b and b < c'");
        compared = b->level == LEVEL_COMPARE;
        struct operand right;
        if (!parse_advance(c) || !parse_binary(c, b->level + 1, &right) || !apply(c, b, at, &left, &right, &left))
            return false;
    }
    *out = left;
    return true;
}

bool parse_subexpression(struct compiler *c, struct operand *out)
{
    return parse_binary(c, LEVEL_OR, out);
}

bool parse_expression(struct compiler *c, struct operand *out)
{
    const char *text = c->source->expression;
    size_t len = strnlen(text, EXPRESSION_BYTES_MAX + 1);
    c->lexer = (struct lexer){.text = text, .len = (uint32_t)len};
    c->token = (struct token){.kind = TOKEN_END};
    c->nesting = 0;
    c->argument_count = 0;
    if (len > EXPRESSION_BYTES_MAX)
        return complain(c, 0, "the expression is longer than %d bytes", EXPRESSION_BYTES_MAX);
    if (!parse_advance(c) || !parse_subexpression(c, out))
        return false;
    return c->token.kind == TOKEN_CLOSE ? complain(c, c->token.at, "this ')' has no '('")
                                        : parse_expect(c, TOKEN_END, "an operator or the end");
}
