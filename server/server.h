/*
 * The running server: what serve and demo start. Loads the bundle, opens an engine, builds pool and pipeline, starts the
 * sources that the settings ask for, and takes all of it down again in reverse.
 */
#pragma once

#include "server/cmd/command.h"
#include "server/source.h"

struct running;

/* Starts everything. settings is borrowed until server_stop. STATUS_… as bundle_load, engine_prepare and the sources say. */
MUST_USE enum status server_start(const struct parts *parts, const struct settings *settings, struct running **out, struct error *err);

/* Blocks until a signal (SIGINT, SIGTERM) or a source's fail; returns the exit code so far. From then on SIGINT ends the
 * process at once. The signals must be blocked in
 * every thread: server_block_signals, first thing in main, does that. */
int server_wait(struct running *running);
void server_block_signals(void);

/* What a caller in the same process may look at; borrowed. */
const struct server *server_view(const struct running *running);

/* Stops the sources within settings->drain_s, then frees everything. False: the time was over before everything in flight
 * was finished. */
bool server_stop(struct running *running);
