/* The verbs of `assay model`, one file each; argv[0] is the verb. Returns the exit code. */
#pragma once

#include "server/cmd/command.h"

struct engine;
struct prepared;
struct model;
struct buf;

int model_show(const struct parts *parts, int argc, char **argv);
int model_predict(const struct parts *parts, int argc, char **argv);
int model_golden(const struct parts *parts, int argc, char **argv);

/* Times of one row and of batches, one thread, on rows drawn from around the model's own thresholds; lines for `show`. */
void model_measure(const struct engine *engine, const struct prepared *prepared, const struct model *model, struct buf *out);
