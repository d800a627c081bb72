#include "model/features/lexer.h"

#include "model/input/number.h"
#include "model/input/transaction.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct token bad(struct lexer *l, uint32_t at, const char *problem)
{
    l->problem = problem;
    return (struct token){.kind = TOKEN_BAD, .at = at, .end = l->at};
}

/* Seconds in a unit of time; 0: there is no such unit. */
static double unit_seconds(struct span unit)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (span_equal(unit, units[i].name, strlen(units[i].name)))
            return units[i].seconds;
    return 0;
}

/* A number with a unit right behind it. */
static struct token duration(struct lexer *l, struct token token)
{
    uint32_t unit = l->at;
    while (is_letter(l->text[l->at]) || is_digit(l->text[l->at]) || l->text[l->at] == '.')
        l->at++;
    double seconds = unit_seconds((struct span){.data = l->text + unit, .len = l->at - unit});
    if (seconds == 0)
        return bad(l, token.at, "not a number, and not a duration: those are 90s, 15m, 12h, 7d or 4w");
    token.kind = TOKEN_DURATION;
    token.number *= seconds;
    token.end = l->at;
    return token;
}

/* `7 d`: of words only `and` and `or` may follow a number, so a unit there is a duration torn apart. */
static bool unit_behind_blank(const struct lexer *l)
{
    const char *from = l->text + l->at + strspn(l->text + l->at, " \t\r\n"), *to = from;
    while (is_letter(*to) || is_digit(*to))
        to++;
    return from > l->text + l->at && unit_seconds((struct span){.data = from, .len = (uint32_t)(to - from)}) > 0;
}

static struct token number(struct lexer *l, uint32_t start)
{
    struct token token = {.kind = TOKEN_NUMBER, .at = start};
    size_t used = number_read_double(l->text + start, l->len - start, &token.number);
    l->at = start + (uint32_t)used;
    token.end = l->at;
    char after = l->text[l->at];
    if (used == 0 && l->text[start] >= '1') /* the reader wants a digit other than 0 first, and no overflow */
        return bad(l, start, "not a number, or too large for a double");
    if (used == 0 || is_digit(after) || after == '.')
        return bad(l, start, "not a number: write it as 12, 0.5 or 1e-3");
    if (unit_behind_blank(l))
        return bad(l, start, "no blank belongs within a duration: write 7d, not 7 d");
    return is_letter(after) ? duration(l, token) : token;
}

static struct token string(struct lexer *l, uint32_t start)
{
    char quote = l->text[start];
    uint32_t escapes = 0;
    for (l->at = start + 1; l->at < l->len && l->text[l->at] != quote; l->at++) {
        if (l->text[l->at] != '\\')
            continue;
        char escaped = l->text[++l->at];
        if (escaped != '"' && escaped != '\'' && escaped != '\\')
            return bad(l, l->at - 1, "in a text, a backslash stands before a quote or another backslash");
        escapes++;
    }
    if (l->at >= l->len)
        return bad(l, start, "the text has no closing quote");
    l->at++;
    if (l->at - start - 2 - escapes > TEXT_BYTES_MAX)
        return bad(l, start, "the text is longer than the 256 bytes that a field can have");
    return (struct token){.kind = TOKEN_STRING, .at = start, .end = l->at};
}

uint32_t lexer_string(const struct lexer *lexer, struct token token, char *out)
{
    uint32_t n = 0;
    for (uint32_t i = token.at + 1; i < token.end - 1; i++) {
        if (lexer->text[i] == '\\')
            i++;
        out[n++] = lexer->text[i];
    }
    return n;
}

static struct token name(struct lexer *l, uint32_t start)
{
    static const struct {
        const char *word;
        enum token_kind kind;
    } keywords[] = {{"and", TOKEN_AND}, {"or", TOKEN_OR}, {"not", TOKEN_NOT}};
    while (is_letter(l->text[l->at]) || is_digit(l->text[l->at]) || l->text[l->at] == '.')
        l->at++;
    struct token token = {.kind = TOKEN_NAME, .at = start, .end = l->at};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (span_equal(lexer_text(l, token), keywords[i].word, strlen(keywords[i].word)))
            token.kind = keywords[i].kind;
    return token;
}

/* What people write out of habit from other languages, and what to write here. */
static struct token stranger(struct lexer *l, uint32_t start)
{
    static const struct {
        const char *text, *problem;
    } habits[] = {
        {"&&", "write 'and'"},
        {"||", "write 'or'"},
        {"=", "write '==' to compare"},
        {"!", "write 'not'"},
        {"%", "there is no '%' operator"},
        {"^", "there is no '^' operator; exp and sqrt are functions"},
        {"?", "write if(condition, a, b)"},
    };
    l->at = start + 1;
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (strncmp(l->text + start, habits[i].text, strlen(habits[i].text)) == 0)
            return bad(l, start, habits[i].problem);
    return bad(l, start, "this character has no meaning here");
}

bool lexer_take_equals(struct lexer *l)
{
    uint32_t at = l->at + (uint32_t)strspn(l->text + l->at, " \t\r\n");
    if (l->text[at] != '=' || l->text[at + 1] == '=')
        return false;
    l->at = at + 1;
    return true;
}

struct token lexer_next(struct lexer *l)
{
    static const struct {
        char text[3];
        enum token_kind kind;
    } symbols[] = {
        {"<=", TOKEN_LE},  {">=", TOKEN_GE},   {"==", TOKEN_EQ},   {"!=", TOKEN_NE},  {"<", TOKEN_LT},
        {">", TOKEN_GT},   {"+", TOKEN_PLUS},  {"-", TOKEN_MINUS}, {"*", TOKEN_STAR}, {"/", TOKEN_SLASH},
        {"(", TOKEN_OPEN}, {")", TOKEN_CLOSE}, {",", TOKEN_COMMA},
    };
    while (l->at < l->len && strchr(" \t\r\n", l->text[l->at]))
        l->at++;
    uint32_t start = l->at;
    if (start >= l->len)
        return (struct token){.kind = TOKEN_END, .at = start, .end = start};
    char c = l->text[start];
    if (is_digit(c) || (c == '.' && is_digit(l->text[start + 1])))
        return number(l, start);
    if (is_letter(c))
        return name(l, start);
    if (c == '"' || c == '\'')
        return string(l, start);
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        size_t len = strlen(symbols[i].text);
        if (strncmp(l->text + start, symbols[i].text, len) != 0)
            continue;
        l->at += (uint32_t)len;
        return (struct token){.kind = symbols[i].kind, .at = start, .end = l->at};
    }
    return stranger(l, start);
}
