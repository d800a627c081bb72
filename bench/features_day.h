/* `assay bench features --day`: does the memory of a state stay flat, and do the right keys leave? */
#pragma once

#include <stdint.h>

struct report;

/*
 * 24 simulated hours with about `keys` keys alive at any time: windows of an hour and of twelve; each key lives for a while, makes a few events
 * and is not seen again. Reports the memory after 14 hours and its range up to the end, and how far the number of keys is from how many
 * can still be seen by a window.
 */
void features_day(struct report *report, uint64_t seed, uint64_t keys);
