/*
 * Damaged transactions out of a seed: the example's transactions with bytes flipped, cut, doubled, values of other types,
 * broken text and numbers, nesting, repeated and missing fields. Every tenth is left whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MUTATE_MAX = 4096 };

/* Writes document number n of a seed and returns its length; *whole: it is as it should be, with the id "E-<n>". */
size_t mutate_document(char out[MUTATE_MAX], uint64_t seed, unsigned n, bool *whole);
