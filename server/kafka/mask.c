#include "server/kafka/mask.h"

#include <stdbool.h>

enum { DIGITS_LEAST = 13, DIGITS_MOST = 19, SHOWN_FIRST = 6, SHOWN_LAST = 4 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits from text[0] on, with single separators between them; at most as many as a card number has. Returns how many,
 * and where each stands. */
static size_t take_run(const char *text, size_t len, size_t places[DIGITS_MOST])
{
    size_t n = 0;
    for (size_t i = 0; i < len && n < DIGITS_MOST; i++) {
        if (is_digit(text[i]))
            places[n++] = i;
        else if ((text[i] != ' ' && text[i] != '-') || !is_digit(text[i - 1]))
            break;
    }
    return n;
}

static bool passes_luhn(const char *text, const size_t *places, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)(text[places[n - 1 - i]] - '0');
        sum += i % 2 == 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0);
    }
    return sum % 10 == 0;
}

/* The length in digits of the card number that begins at text[0] and ends where no digit follows; 0: there is none. What
 * stands behind a separator may belong to it or not, so the longest that passes counts. */
static size_t find_card(const char *text, size_t len, size_t places[DIGITS_MOST])
{
    if (text[0] < '2' || text[0] > '6')
        return 0;
    for (size_t n = take_run(text, len, places); n >= DIGITS_LEAST; n--) {
        size_t behind = places[n - 1] + 1;
        if ((behind == len || !is_digit(text[behind])) && passes_luhn(text, places, n))
            return n;
    }
    return 0;
}

size_t mask_cards(char *text, size_t len)
{
    size_t masked = 0, places[DIGITS_MOST];
    for (size_t at = 0; at < len;) {
        size_t n = is_digit(text[at]) ? find_card(text + at, len - at, places) : 0;
        for (size_t i = SHOWN_FIRST; n > 0 && i < n - SHOWN_LAST; i++)
            text[at + places[i]] = '*';
        masked += n > 0;
        if (n > 0)
            at += places[n - 1];
        while (at < len && is_digit(text[at])) /* the inside of a number begins none */
            at++;
        at += at < len;
    }
    return masked;
}
