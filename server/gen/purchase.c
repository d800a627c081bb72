/*
 * What a single purchase looks like. Frauds overlap with honest ones in every field, and no field alone tells them apart.
 */
#include "server/gen/purchase.h"

/* Log-normal around a median, in cents, at least 10. */
static uint32_t draw_cents(struct random *random, double median, double spread)
{
    double cents = median * random_exp(spread * random_normal(random));
    return cents < 10 ? 10 : cents > 9999999 ? 9999999 : (uint32_t)cents;
}

/* Cash comes in notes of ten. */
static uint32_t whole_tens(uint32_t cents)
{
    return cents < 1000 ? 1000 : cents / 1000 * 1000;
}

static const char *draw_entry(struct random *random, enum channel channel)
{
    double u = random_unit(random);
    if (channel == CHANNEL_WEB)
        return u < 0.62 ? "token" : "keyed";
    if (channel == CHANNEL_ATM)
        return u < 0.97 ? "chip" : "swipe";
    return u < 0.56 ? "tap" : u < 0.96 ? "chip" : "swipe";
}

/* A place that sells what thieves buy, after a few tries. */
static struct place draw_resold(const struct world *world, struct random *random, enum channel channel, uint32_t area)
{
    struct place place = world_draw_place(world, random, channel, area);
    for (int tries = 0; tries < 12 && !place.trade->resold; tries++)
        place = world_draw_place(world, random, channel, area);
    return place;
}

struct place purchase_honest(const struct world *world, struct random *random, const struct card *card, struct gen_transaction *tx)
{
    double u = random_unit(random), trip = random_unit(random);
    enum channel channel = u < card->online_share ? CHANNEL_WEB : u > 0.95 ? CHANNEL_ATM : CHANNEL_POS;
    uint32_t area = trip < 0.86 ? card->area : world_draw_area(world, random, card->area, trip < 0.97);
    struct place place = world_draw_place(world, random, channel, area);
    tx->cents = draw_cents(random, place.trade->median_cents * card->spending, place.trade->spread);
    if (place.channel == CHANNEL_ATM)
        tx->cents = whole_tens(tx->cents);
    tx->entry = draw_entry(random, place.channel);
    tx->new_device = place.channel == CHANNEL_WEB && random_unit(random) < 0.04;
    return place;
}

struct place purchase_spree(const struct world *world, struct random *random, const struct card *card, struct gen_transaction *tx)
{
    enum channel channel = random_unit(random) < 0.7 ? CHANNEL_POS : CHANNEL_WEB;
    uint32_t area = world_draw_area(world, random, card->area, random_unit(random) < 0.35);
    struct place place = draw_resold(world, random, channel, area);
    tx->cents = draw_cents(random, place.trade->median_cents * card->spending * 3, place.trade->spread);
    double u = random_unit(random);
    tx->entry = place.channel == CHANNEL_WEB ? (u < 0.85 ? "keyed" : "token") : u < 0.45 ? "swipe" : u < 0.8 ? "tap" : "chip";
    tx->new_device = place.channel == CHANNEL_WEB && random_unit(random) < 0.8;
    return place;
}

void purchase_terminal(struct random *random, struct gen_transaction *tx)
{
    tx->cents = draw_cents(random, 14000, 0.6);
    if (random_unit(random) < 0.5)
        tx->cents = whole_tens(tx->cents);
    tx->entry = random_unit(random) < 0.6 ? "swipe" : "chip";
    tx->new_device = false;
}

void purchase_testing(struct random *random, struct gen_transaction *tx)
{
    tx->cents = 20 + random_below(random, 400);
    tx->entry = "keyed";
    tx->new_device = random_unit(random) < 0.75;
}

struct place purchase_takeover(const struct world *world, struct random *random, const struct card *card, struct gen_transaction *tx)
{
    struct place place = draw_resold(world, random, CHANNEL_WEB, card->area);
    tx->cents = draw_cents(random, place.trade->median_cents * card->spending * 5, place.trade->spread);
    tx->entry = random_unit(random) < 0.6 ? "token" : "keyed";
    tx->new_device = random_unit(random) < 0.9;
    return place;
}
