/*
 * The world of the generator: countries, areas, terminals, trades, cards. Private to server/gen.
 *
 * What a card or terminal is like is a function of the seed and its number, so the world costs no memory however large it is.
 *
 *     terminals:  | online merchants | area 0 | area 1 | … |      within an area: shops, then cash machines; most popular first
 *     cards:      card i lives in area i % areas
 */
#pragma once

#include <stdint.h>

#include "server/gen/gen.h"
#include "server/gen/random.h"

enum { AREAS_MAX = 5000 };

struct country {
    const char *code, *currency;
    int64_t offset_s; /* local time minus UTC; the world knows no summer time */
    unsigned share;   /* of areas, percent */
};

struct trade {
    const char *category, *mcc;
    double median_cents;
    double spread;   /* sigma of the logarithm of amounts */
    unsigned weight; /* how common, among those of its channel */
    bool resold;     /* goods that thieves buy: they sell well */
};

enum channel { CHANNEL_POS, CHANNEL_WEB, CHANNEL_ATM };

struct world {
    uint64_t seed;
    uint32_t cards, terminals;
    uint32_t online;      /* terminals [0, online) are online merchants */
    uint32_t areas;
    uint8_t country_of_area[AREAS_MAX];
    uint64_t card_factor, terminal_factor; /* multipliers that shuffle numbers for the outside; coprime with their count */
};

struct place {
    uint32_t terminal;
    enum channel channel;
    const struct trade *trade;
    const struct country *country;
};

struct card {
    uint32_t index;
    uint32_t area;
    const struct country *home;
    double spending;     /* its amounts compared with others' */
    double online_share; /* of its purchases */
    unsigned habit;      /* which hours of the day */
};

void world_init(struct world *world, const struct gen_options *options);

struct card world_card(const struct world *world, uint32_t index);
/* A card drawn by how active it is; a card that lives in an area, any as likely. */
uint32_t world_draw_card(const struct world *world, struct random *random);
uint32_t world_draw_card_of(const struct world *world, struct random *random, uint32_t area);

/* A terminal drawn by its popularity, of a channel; area for shops and cash machines. */
struct place world_draw_place(const struct world *world, struct random *random, enum channel channel, uint32_t area);
/* An area to travel to: near is within a few areas of the same country where there are such. */
uint32_t world_draw_area(const struct world *world, struct random *random, uint32_t from, bool near);

/* The numbers that the outside sees: shuffled, so that they tell nothing about popularity or place. */
uint64_t world_card_number(const struct world *world, uint32_t index);
uint64_t world_terminal_number(const struct world *world, uint32_t index);
