/* The verbs of `assay model`, one file each; argv[0] is the verb. Returns the exit code. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "server/cmd/command.h"

struct engine;
struct prepared;
struct model;
struct buf;
struct forest;
struct network;

int model_show(const struct parts *parts, int argc, char **argv);
int model_predict(const struct parts *parts, int argc, char **argv);
int model_golden(const struct parts *parts, int argc, char **argv);

/* Times of one row and of batches, one thread, on rows drawn from around the model's own thresholds; lines for `show`. */
void model_measure(const struct engine *engine, const struct prepared *prepared, const struct model *model, struct buf *out);

/* Parts of `show`. A network's operations, all of them or the first ones; what a forest takes in memory. */
void model_show_network(const struct network *network, bool all, struct buf *out);
size_t model_forest_bytes(const struct forest *forest);
