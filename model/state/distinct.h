/* Different values over a range of a ring, counted exactly. Private to model/state. */
#pragma once

#include "model/state/asof.h"

/* Of the members in entries [start, end) and, if self, the event itself. */
uint32_t distinct_scan(const struct place *p, const struct cell *cell, uint32_t start, uint32_t end, bool self);
