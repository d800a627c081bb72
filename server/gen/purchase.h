/*
 * Single purchases: fill in cents, entry and new_device, and give the place. Private to server/gen.
 */
#pragma once

#include "server/gen/world.h"

struct place purchase_honest(const struct world *world, struct random *random, const struct card *card, struct gen_transaction *tx);
struct place purchase_spree(const struct world *world, struct random *random, const struct card *card, struct gen_transaction *tx);
struct place purchase_takeover(const struct world *world, struct random *random, const struct card *card, struct gen_transaction *tx);
/* At the campaign's place. */
void purchase_terminal(struct random *random, struct gen_transaction *tx);
void purchase_testing(struct random *random, struct gen_transaction *tx);
