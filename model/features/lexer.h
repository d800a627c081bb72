/* The words of a feature expression, one after the other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/span.h"

enum token_kind {
    TOKEN_END,
    TOKEN_BAD, /* lexer.problem says what is wrong */
    TOKEN_NUMBER,
    TOKEN_DURATION, /* 15m, 7d: seconds in number */
    TOKEN_STRING,
    TOKEN_NAME,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
};

struct token {
    enum token_kind kind;
    uint32_t at, end; /* bytes of the expression */
    double number;    /* NUMBER, DURATION */
};

struct lexer {
    const char *text; /* NUL-terminated, borrowed */
    uint32_t len, at;
    const char *problem;
};

struct token lexer_next(struct lexer *lexer);
/* Passes over a single '=' where that comes next: what was read before it is the name of an argument. */
bool lexer_take_equals(struct lexer *lexer);

/* What is between the quotes of a STRING, escapes undone; out has room for token.end - token.at bytes. Returns the
 * length. */
uint32_t lexer_string(const struct lexer *lexer, struct token token, char *out);

/* The token's text as it stands. */
static inline struct span lexer_text(const struct lexer *lexer, struct token token)
{
    return (struct span){.data = lexer->text + token.at, .len = token.end - token.at};
}
