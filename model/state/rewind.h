/*
 * As of a place near the newest event of a long ring: from the running aggregates, by what lies between. A late event or a trial on a key with a
 * hundred thousand events then costs what it is late by, not a hundred thousand. Private to model/state.
 */
#pragma once

#include "model/state/asof.h"

/* The total of the entries of `range` alone, without the event itself. false: a scan is cheaper, or the only way (no aggregates; MIN, MAX
 * and DISTINCT can't be turned back; a place so old that labels since then are not remembered). */
MUST_USE bool rewind_total(const struct place *p, const struct cell *cell, struct range range, struct total *total);
