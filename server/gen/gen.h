/*
 * A generator of card transactions with known frauds: deterministic, in order of time, without end.
 *
 * Honest transactions are a Poisson process whose rate follows each card holder's hours of the day. A card has a home, a
 * typical amount and a share of online purchases; terminals have a place, a trade and a popularity (Zipf). Frauds come in
 * campaigns on top, each of a named scenario:
 *
 *     spree     a stolen card: several large purchases of goods that sell well, far from home, within hours
 *     terminal  a compromised terminal: for days, cloned cards are used at it, often by magnetic stripe
 *     testing   a list of card numbers: dozens of cards charged tiny amounts at one online merchant within minutes
 *     takeover  an account taken over: large online purchases from a new device between one and five at night
 *
 * A scenario has a share of all transactions. All of it depends on the options alone: same options, same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

enum gen_scenario { GEN_HONEST, GEN_SPREE, GEN_TERMINAL, GEN_TESTING, GEN_TAKEOVER, GEN_SCENARIOS };

struct gen_options {
    uint64_t seed;
    int64_t start_s;              /* event time of the beginning, seconds since 1970 UTC, at least 30 days */
    double per_day;               /* transactions in a day of event time, > 0 */
    uint32_t cards;               /* 1 to 1e9 */
    uint32_t terminals;           /* 16 to 1e9 */
    double fraud[GEN_SCENARIOS];  /* share of transactions; [GEN_HONEST] is not read; their sum at most 0.5 */
};

/* Texts are constants of the generator. */
struct gen_transaction {
    uint64_t number;      /* from 1 */
    int64_t time_s;       /* seconds since 1970 UTC, never falling */
    uint64_t card;        /* 0 .. cards - 1 */
    uint64_t terminal;    /* 0 .. terminals - 1 */
    uint32_t cents;
    const char *currency;     /* of the terminal's country: "EUR" */
    const char *mcc;          /* ISO 18245 merchant category code: "5411" */
    const char *category;     /* "grocery" */
    const char *country;      /* ISO 3166: where the terminal is */
    const char *home_country; /* of the card */
    const char *channel;      /* "pos", "web", "atm" */
    const char *entry;        /* "chip", "tap", "swipe"; online "keyed", "token" */
    bool new_device;          /* online: from a device not seen before */
    enum gen_scenario scenario;
};

struct gen;

/* STATUS_INVALID with the option that is out of range, STATUS_NO_MEMORY. *out is owned: gen_free. One thread at a time. */
MUST_USE enum status gen_create(const struct gen_options *options, struct gen **out, struct error *err);
void gen_free(struct gen *gen);

void gen_next(struct gen *gen, struct gen_transaction *tx);

enum { GEN_TEXT_MAX = 512 };

/* The transaction as one line of JSON with its newline: about 250 bytes. Returns its length; not NUL-terminated. */
size_t gen_write_transaction(const struct gen *gen, const struct gen_transaction *tx, char out[GEN_TEXT_MAX]);
/* {"transaction_id":…,"fraud":true,"scenario":"spree","time":…} and a newline; scenario is "" where it is no fraud. */
size_t gen_write_label(const struct gen *gen, const struct gen_transaction *tx, char out[GEN_TEXT_MAX]);
/* "C0000042": the customer_id of the line, which records are keyed by. Returns its length; not NUL-terminated. */
size_t gen_write_customer(const struct gen_transaction *tx, char out[GEN_TEXT_MAX]);

/* The seed begins every tx_id ("7-0000000042"), so that runs of other seeds add to a topic without repeating ids. */
uint64_t gen_seed(const struct gen *gen);

/* "spree"; "" for GEN_HONEST. */
const char *gen_scenario_name(enum gen_scenario scenario);
