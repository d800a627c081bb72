#include "server/backtest/cards.h"

#include <stdlib.h>

static uint32_t place_of(const struct cards *c, struct hash128 key)
{
    uint32_t place = (uint32_t)key.low & c->mask;
    while (c->numbers[place] && (c->keys[place].low != key.low || c->keys[place].high != key.high))
        place = (place + 1) & c->mask;
    return place;
}

static enum status grow(struct cards *c, struct error *err)
{
    struct cards grown = {.count = c->count, .mask = c->numbers ? c->mask * 2 + 1 : 1023, .secret = c->secret};
    if (grown.mask > INT32_MAX)
        return error_set(err, STATUS_LIMIT, "more than %u cards", c->count);
    if (!c->numbers)
        grown.secret = hash_secret_random();
    grown.keys = calloc((size_t)grown.mask + 1, sizeof *grown.keys);
    grown.numbers = calloc((size_t)grown.mask + 1, sizeof *grown.numbers);
    if (!grown.keys || !grown.numbers) {
        cards_free(&grown);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %u cards", c->count);
    }
    for (size_t i = 0; c->numbers && i <= c->mask; i++) {
        if (!c->numbers[i])
            continue;
        uint32_t place = place_of(&grown, c->keys[i]);
        grown.keys[place] = c->keys[i];
        grown.numbers[place] = c->numbers[i];
    }
    cards_free(c);
    *c = grown;
    return STATUS_OK;
}

enum status cards_number(struct cards *cards, struct span text, uint32_t *number, struct error *err)
{
    if (!cards->numbers || cards->count * 2 > cards->mask) {
        enum status status = grow(cards, err);
        if (status != STATUS_OK)
            return status;
    }
    struct hash128 key = siphash128(&cards->secret, text.data, text.len);
    uint32_t place = place_of(cards, key);
    if (!cards->numbers[place]) {
        cards->keys[place] = key;
        cards->numbers[place] = ++cards->count;
    }
    *number = cards->numbers[place] - 1;
    return STATUS_OK;
}

void cards_free(struct cards *cards)
{
    free(cards->keys);
    free(cards->numbers);
    cards->keys = NULL;
    cards->numbers = NULL;
}
