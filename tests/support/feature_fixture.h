/*
 * A schema with a field of each type, a transaction of it, and short ways to compile and run expressions.
 *
 *     id id · time, opened time · card, terminal key · amount, limit number · present boolean · channel, country category
 */
#pragma once

#include "model/features/plan.h"

enum { FIXTURE_ID, FIXTURE_TIME, FIXTURE_OPENED, FIXTURE_CARD, FIXTURE_TERMINAL, FIXTURE_AMOUNT, FIXTURE_LIMIT,
       FIXTURE_PRESENT, FIXTURE_CHANNEL, FIXTURE_COUNTRY, FIXTURE_FIELDS };

struct fixture {
    struct schema *schema;
    struct value values[FIXTURE_FIELDS];
    double windows[WINDOWS_MAX]; /* NaN: nothing is known of the past */
    struct transaction tx;
};

/* A plain transaction: Wednesday 2018-04-18 21:30:15 UTC, card c1, terminal t9, amount 57.25, limit missing, present,
 * channel "web", country missing, opened 30 days before. */
void fixture_init(struct fixture *f);
void fixture_free(struct fixture *f);
void fixture_text(struct fixture *f, int field, const char *text); /* NULL: missing; borrowed */

/* Compiles one expression, in line 12 and column 18 of "bundle.yaml" as the feature "f"; a message or NULL in *message
 * (static). */
struct plan *fixture_compile(const struct fixture *f, const char *expression, const char **message);
/* The value of one expression; fails the test where it does not compile. */
double fixture_value(const struct fixture *f, const char *expression);
