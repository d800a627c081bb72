/*
 * The processes in time. Two streams are merged:
 *
 *     honest:  candidates at the highest rate, each of a drawn card, kept with the probability of its hour (thinning: P. Lewis,
 *              G. Shedler, 1979); so every card is a Poisson process of its own rate and hours
 *     frauds:  a campaign of each scenario begins when the ones before it have used up the share of the scenario, so shares
 *              hold in short runs too; a heap has the running campaigns ordered by their next transaction
 *
 * The frauds' clock starts WARM_UP_S before the first transaction, so that long campaigns are already running by then and
 * every scenario has its share from the beginning.
 */
#include "server/gen/gen.h"

#include <stdlib.h>

#include "server/gen/purchase.h"

enum { DAY_S = 86400, WARM_UP_S = 5 * DAY_S, LEAST_START_S = 30 * DAY_S, HABITS = 3 };

/* How busy each hour of the day is, local time: people at work, at home by day, and up at night. */
static const double hours[HABITS][24] = {
    {2, 1, 1, 1, 1, 3, 10, 22, 24, 18, 18, 26, 44, 36, 20, 20, 28, 48, 56, 46, 34, 24, 14, 6},
    {2, 1, 1, 1, 1, 2, 6, 14, 34, 48, 54, 52, 44, 40, 44, 46, 42, 36, 28, 22, 16, 12, 8, 4},
    {40, 34, 22, 12, 6, 4, 3, 3, 4, 5, 7, 10, 14, 14, 14, 15, 17, 20, 24, 30, 36, 42, 46, 44},
};

struct campaign {
    double next;     /* time of its next transaction */
    double gap_s;    /* mean time between them */
    uint32_t card;   /* SPREE, TAKEOVER */
    uint32_t area;   /* TERMINAL */
    struct place place; /* TERMINAL, TESTING */
    uint32_t left;   /* transactions still to come */
    enum gen_scenario scenario;
};

/* Sizes of campaigns, any as likely, and the mean gap between their transactions (TERMINAL: see begin). */
static const struct scenario {
    const char *name;
    uint32_t least, most;
    double gap_s;
} scenarios[GEN_SCENARIOS] = {
    [GEN_HONEST] = {"", 1, 1, 0},
    [GEN_SPREE] = {"spree", 4, 12, 900},
    [GEN_TERMINAL] = {"terminal", 20, 60, 3 * DAY_S},
    [GEN_TESTING] = {"testing", 40, 160, 8},
    [GEN_TAKEOVER] = {"takeover", 2, 5, 400},
};

struct gen {
    struct world world;
    struct random random;
    uint64_t seed;
    int64_t start_s;
    uint64_t count;
    double honest_rate;                   /* of candidates, a second */
    double honest_keep[HABITS][24];       /* probability that a candidate of this hour is kept */
    double honest_next;                   /* time of the next kept candidate, seconds since start */
    uint32_t honest_card;
    double fraud_rate[GEN_SCENARIOS];     /* transactions a second */
    double beginning_next[GEN_SCENARIOS];
    struct campaign *heap;                /* [running] of [room]; the earliest first */
    size_t running, room;
};

static enum status check_options(const struct gen_options *o, struct error *err)
{
    double fraud = 0;
    for (int s = GEN_HONEST + 1; s < GEN_SCENARIOS; s++) {
        if (!(o->fraud[s] >= 0))
            return error_set(err, STATUS_INVALID, "the share of %s frauds must not be negative", scenarios[s].name);
        fraud += o->fraud[s];
    }
    if (!(fraud <= 0.5))
        return error_set(err, STATUS_INVALID, "the share of frauds must not be above 0.5");
    if (!(o->per_day > 0 && o->per_day < 1e15))
        return error_set(err, STATUS_INVALID, "the transactions of a day must be above 0");
    if (o->cards < 1 || o->cards > 1000000000)
        return error_set(err, STATUS_INVALID, "cards must be from 1 to 1e9");
    if (o->terminals < 16 || o->terminals > 1000000000)
        return error_set(err, STATUS_INVALID, "terminals must be from 16 to 1e9");
    if (o->start_s < LEAST_START_S || o->start_s > INT64_C(4000000000))
        return error_set(err, STATUS_INVALID, "the start must be from 1970-01-31 to 2096");
    return STATUS_OK;
}

/* Scales the curves so that each has the same mean, which is returned, and none is above 1. */
static double scale_hours(double keep[HABITS][24])
{
    double mean[HABITS] = {0}, least = 1;
    for (int c = 0; c < HABITS; c++) {
        double most = 0;
        for (int h = 0; h < 24; h++) {
            mean[c] += hours[c][h] / 24;
            most = hours[c][h] > most ? hours[c][h] : most;
        }
        least = mean[c] / most < least ? mean[c] / most : least;
    }
    for (int c = 0; c < HABITS; c++)
        for (int h = 0; h < 24; h++)
            keep[c][h] = hours[c][h] / mean[c] * least;
    return least;
}

static int64_t local_s(const struct gen *gen, double time, const struct country *country)
{
    return gen->start_s + (int64_t)time + country->offset_s;
}

/* Which curve: workers keep other hours at weekends. */
static unsigned curve_of(unsigned habit, int64_t local)
{
    if (habit == 7)
        return 2;
    int64_t weekday = (local / DAY_S + 4) % 7; /* 0: Sunday; 1970-01-01 was a Thursday */
    return habit >= 5 || weekday == 0 || weekday == 6 ? 1 : 0;
}

static void draw_honest(struct gen *gen)
{
    for (;;) {
        gen->honest_next += random_exponential(&gen->random) / gen->honest_rate;
        gen->honest_card = world_draw_card(&gen->world, &gen->random);
        struct card card = world_card(&gen->world, gen->honest_card);
        int64_t local = local_s(gen, gen->honest_next, card.home);
        if (random_unit(&gen->random) < gen->honest_keep[curve_of(card.habit, local)][local / 3600 % 24])
            return;
    }
}

static void sift_down(struct campaign *heap, size_t n, size_t i)
{
    for (;;) {
        size_t least = i, child = 2 * i + 1;
        if (child < n && heap[child].next < heap[least].next)
            least = child;
        if (child + 1 < n && heap[child + 1].next < heap[least].next)
            least = child + 1;
        if (least == i)
            return;
        struct campaign moved = heap[i];
        heap[i] = heap[least];
        heap[least] = moved;
        i = least;
    }
}

/* Without memory for it a campaign does not take place. */
static void push(struct gen *gen, const struct campaign *campaign)
{
    if (gen->running == gen->room) {
        size_t room = gen->room ? gen->room * 2 : 64;
        struct campaign *heap = realloc(gen->heap, room * sizeof *heap);
        if (!heap)
            return;
        gen->heap = heap;
        gen->room = room;
    }
    size_t i = gen->running++;
    while (i > 0 && gen->heap[(i - 1) / 2].next > campaign->next) {
        gen->heap[i] = gen->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    gen->heap[i] = *campaign;
}

/* The next time between one and half past four at night where the card lives. */
static double next_night(struct gen *gen, double time, const struct country *country)
{
    double target = 3600 + random_unit(&gen->random) * 3.5 * 3600;
    double wait = target - (double)(local_s(gen, time, country) % DAY_S);
    return time + (wait < 0 ? wait + DAY_S : wait);
}

/* Returns the size of the campaign. */
static uint32_t begin(struct gen *gen, enum gen_scenario scenario, double time)
{
    const struct scenario *s = &scenarios[scenario];
    struct random *random = &gen->random;
    struct campaign campaign = {.next = time, .gap_s = s->gap_s, .scenario = scenario};
    campaign.left = s->least + random_below(random, s->most - s->least + 1);
    switch (scenario) {
    case GEN_TERMINAL:
        campaign.area = random_below(random, gen->world.areas);
        campaign.place = world_draw_place(&gen->world, random, CHANNEL_POS, campaign.area);
        campaign.gap_s /= campaign.left; /* here the time of the whole is given */
        break;
    case GEN_TESTING:
        campaign.place = world_draw_place(&gen->world, random, CHANNEL_WEB, 0);
        break;
    case GEN_TAKEOVER:
        campaign.card = world_draw_card(&gen->world, random);
        campaign.next = next_night(gen, time, world_card(&gen->world, campaign.card).home);
        break;
    default:
        campaign.card = world_draw_card(&gen->world, random);
    }
    push(gen, &campaign);
    return campaign.left;
}

static void finish(struct gen *gen, struct gen_transaction *tx, double time, const struct card *card, const struct place *place)
{
    static const char *const channels[] = {"pos", "web", "atm"};
    tx->number = ++gen->count;
    tx->time_s = gen->start_s + (int64_t)time;
    tx->card = world_card_number(&gen->world, card->index);
    tx->terminal = world_terminal_number(&gen->world, place->terminal);
    tx->currency = place->country->currency;
    tx->mcc = place->trade->mcc;
    tx->category = place->trade->category;
    tx->country = place->country->code;
    tx->home_country = card->home->code;
    tx->channel = channels[place->channel];
}

/* The next transaction of the earliest campaign, which leaves the heap with its last one. */
static void next_fraud(struct gen *gen, struct gen_transaction *tx)
{
    struct campaign campaign = gen->heap[0];
    uint32_t who = campaign.card;
    if (campaign.scenario == GEN_TERMINAL)
        who = world_draw_card_of(&gen->world, &gen->random, campaign.area);
    if (campaign.scenario == GEN_TESTING)
        who = random_below(&gen->random, gen->world.cards);
    struct card card = world_card(&gen->world, who);
    struct place place = campaign.place;
    tx->scenario = campaign.scenario;
    switch (campaign.scenario) {
    case GEN_TERMINAL:
        purchase_terminal(&gen->random, tx);
        break;
    case GEN_TESTING:
        purchase_testing(&gen->random, tx);
        break;
    case GEN_TAKEOVER:
        place = purchase_takeover(&gen->world, &gen->random, &card, tx);
        break;
    default:
        place = purchase_spree(&gen->world, &gen->random, &card, tx);
    }
    finish(gen, tx, campaign.next, &card, &place);
    gen->heap[0].next += random_exponential(&gen->random) * campaign.gap_s;
    if (--gen->heap[0].left == 0)
        gen->heap[0] = gen->heap[--gen->running];
    sift_down(gen->heap, gen->running, 0);
}

/* Starts the campaigns that begin before anything else happens; then the heap's first is the next fraud. */
static double advance_frauds(struct gen *gen, double until)
{
    for (;;) {
        enum gen_scenario first = GEN_SPREE;
        for (enum gen_scenario s = GEN_SPREE; s < GEN_SCENARIOS; s++)
            first = gen->beginning_next[s] < gen->beginning_next[first] ? s : first;
        double beginning = gen->beginning_next[first];
        double next = gen->running > 0 ? gen->heap[0].next : 1e300;
        if (beginning > next || beginning > until)
            return next;
        uint32_t size = begin(gen, first, beginning);
        gen->beginning_next[first] += (0.5 + random_unit(&gen->random)) * size / gen->fraud_rate[first];
    }
}

void gen_next(struct gen *gen, struct gen_transaction *tx)
{
    if (advance_frauds(gen, gen->honest_next) < gen->honest_next) {
        next_fraud(gen, tx);
        return;
    }
    struct card card = world_card(&gen->world, gen->honest_card);
    struct place place = purchase_honest(&gen->world, &gen->random, &card, tx);
    tx->scenario = GEN_HONEST;
    finish(gen, tx, gen->honest_next, &card, &place);
    draw_honest(gen);
}

static void warm_up(struct gen *gen)
{
    struct gen_transaction unseen;
    while (advance_frauds(gen, 0) < 0)
        next_fraud(gen, &unseen);
    gen->count = 0;
}

enum status gen_create(const struct gen_options *options, struct gen **out, struct error *err)
{
    enum status status = check_options(options, err);
    if (status != STATUS_OK)
        return status;
    struct gen *gen = calloc(1, sizeof *gen);
    if (!gen)
        return error_set(err, STATUS_NO_MEMORY, "generator: out of memory");
    gen->seed = options->seed;
    gen->start_s = options->start_s;
    random_seed(&gen->random, options->seed);
    world_init(&gen->world, options);
    double honest = 1;
    for (enum gen_scenario s = GEN_SPREE; s < GEN_SCENARIOS; s++) {
        double size = (scenarios[s].least + scenarios[s].most) / 2.0;
        honest -= options->fraud[s];
        gen->fraud_rate[s] = options->per_day / DAY_S * options->fraud[s];
        gen->beginning_next[s] = options->fraud[s] > 0 ? random_unit(&gen->random) * size / gen->fraud_rate[s] - WARM_UP_S : 1e300;
    }
    gen->honest_rate = options->per_day / DAY_S * honest / scale_hours(gen->honest_keep);
    warm_up(gen);
    draw_honest(gen);
    *out = gen;
    return STATUS_OK;
}

void gen_free(struct gen *gen)
{
    if (!gen)
        return;
    free(gen->heap);
    free(gen);
}

uint64_t gen_seed(const struct gen *gen)
{
    return gen->seed;
}

const char *gen_scenario_name(enum gen_scenario scenario)
{
    return scenarios[scenario].name;
}
