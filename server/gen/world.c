#include "server/gen/world.h"

#include "model/base/check.h"

static const struct country countries[] = {
    {"DE", "EUR", 3600, 24}, {"FR", "EUR", 3600, 18}, {"GB", "GBP", 0, 18},       {"ES", "EUR", 3600, 10},
    {"IT", "EUR", 3600, 10}, {"NL", "EUR", 3600, 6},  {"US", "USD", -18000, 10},  {"CH", "CHF", 3600, 4},
};
enum { COUNTRIES = sizeof countries / sizeof countries[0] };

static const struct trade shops[] = {
    {"grocery", "5411", 2600, 0.7, 34, false},     {"restaurant", "5812", 2400, 0.6, 20, false},
    {"fuel", "5541", 5200, 0.35, 11, false},       {"pharmacy", "5912", 1500, 0.7, 9, false},
    {"transport", "4111", 600, 0.6, 9, false},     {"clothing", "5651", 4800, 0.7, 8, true},
    {"electronics", "5732", 12000, 0.9, 4, true},  {"hotel", "7011", 15000, 0.6, 3, false},
    {"jewelry", "5944", 20000, 0.9, 2, true},
};
static const struct trade online_merchants[] = {
    {"retail", "5964", 3600, 0.8, 42, false},      {"subscription", "5968", 1100, 0.5, 18, false},
    {"games", "5816", 900, 0.9, 14, false},        {"electronics", "5732", 11000, 0.9, 9, true},
    {"travel", "4511", 22000, 0.8, 7, false},      {"gift_cards", "5947", 4000, 0.7, 6, true},
    {"quasi_cash", "6051", 8000, 0.9, 4, true},
};
static const struct trade cash_machine = {"cash", "6011", 9000, 0.6, 1, false};

/* A factor near the golden section of n that shares no divisor with it: i -> i * factor % n visits every number once. */
static uint64_t shuffle_factor(uint64_t n)
{
    for (uint64_t factor = n * 618 / 1000 + 1;; factor++) {
        uint64_t a = factor, b = n;
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return factor;
    }
}

void world_init(struct world *world, const struct gen_options *options)
{
    *world = (struct world){.seed = random_mix(options->seed), .cards = options->cards, .terminals = options->terminals};
    world->online = options->terminals / 8;
    uint32_t areas = (options->terminals - world->online) / 64;
    world->areas = areas < 1 ? 1 : areas > AREAS_MAX ? AREAS_MAX : areas;
    for (uint32_t area = 0, c = 0, until = countries[0].share; area < world->areas; area++) {
        while ((uint64_t)area * 100 >= (uint64_t)until * world->areas)
            until += countries[++c].share;
        CHECK(c < COUNTRIES);
        world->country_of_area[area] = (uint8_t)c;
    }
    world->card_factor = shuffle_factor(world->cards);
    world->terminal_factor = shuffle_factor(world->terminals);
}

struct card world_card(const struct world *world, uint32_t index)
{
    uint64_t a = random_mix(world->seed ^ index), b = random_mix(a);
    uint32_t area = index % world->areas;
    return (struct card){
        .index = index,
        .area = area,
        .home = &countries[world->country_of_area[area]],
        .spending = random_exp(0.45 * random_normal_of(a, random_unit_of(b))),
        .online_share = 0.1 + 0.4 * random_unit_of(random_mix(b)),
        .habit = (unsigned)(b & 7), /* 0 to 7: see hours in gen.c */
    };
}

/* The busiest card is four times as active as the average, the idlest about half: index = n * u * (1/4 + 3/4 u). */
uint32_t world_draw_card(const struct world *world, struct random *random)
{
    double u = random_unit(random);
    uint32_t index = (uint32_t)((double)world->cards * (u * (0.25 + 0.75 * u)));
    return index < world->cards ? index : world->cards - 1; /* the product may round up */
}

uint32_t world_draw_card_of(const struct world *world, struct random *random, uint32_t area)
{
    uint32_t living_here = (world->cards - 1) / world->areas + 1;
    uint32_t index = area + world->areas * random_below(random, living_here);
    return index < world->cards ? index : index % world->cards;
}

/* Ranks 0 .. n-1, the k-th about 1/k as often as the first (Zipf's law): the inverse of a logarithmic distribution. */
static uint32_t draw_rank(struct random *random, uint32_t n)
{
    uint32_t rank = (uint32_t)(random_exp(random_unit(random) * random_log((double)n + 1)) - 1);
    return rank < n ? rank : n - 1;
}

static const struct trade *trade_of(uint64_t hash, const struct trade *trades, unsigned total)
{
    unsigned at = (unsigned)((hash >> 32) * total >> 32);
    while (at >= trades->weight) {
        at -= trades->weight;
        trades++;
    }
    return trades;
}

struct place world_draw_place(const struct world *world, struct random *random, enum channel channel, uint32_t area)
{
    if (channel == CHANNEL_WEB) {
        uint32_t terminal = draw_rank(random, world->online);
        uint64_t hash = random_mix(world->seed + terminal);
        uint32_t seat = (uint32_t)((random_mix(hash) >> 32) * world->areas >> 32);
        return (struct place){terminal, CHANNEL_WEB, trade_of(hash, online_merchants, 100),
                              &countries[world->country_of_area[seat]]};
    }
    uint64_t offline = world->terminals - world->online;
    uint32_t first = world->online + (uint32_t)(offline * area / world->areas);
    uint32_t count = world->online + (uint32_t)(offline * (area + 1) / world->areas) - first;
    uint32_t machines = count / 16;
    const struct country *country = &countries[world->country_of_area[area]];
    if (channel == CHANNEL_ATM && machines > 0)
        return (struct place){first + count - machines + draw_rank(random, machines), CHANNEL_ATM, &cash_machine, country};
    uint32_t terminal = first + draw_rank(random, count - machines);
    return (struct place){terminal, CHANNEL_POS, trade_of(random_mix(world->seed + terminal), shops, 100), country};
}

uint32_t world_draw_area(const struct world *world, struct random *random, uint32_t from, bool near)
{
    if (!near)
        return random_below(random, world->areas);
    uint32_t to = from + random_below(random, 7);
    to = to >= 3 ? to - 3 : 0;
    return to < world->areas && world->country_of_area[to] == world->country_of_area[from] ? to : from;
}

uint64_t world_card_number(const struct world *world, uint32_t index)
{
    return (index * world->card_factor + world->seed % world->cards) % world->cards;
}

uint64_t world_terminal_number(const struct world *world, uint32_t index)
{
    return (index * world->terminal_factor + world->seed % world->terminals) % world->terminals;
}
