/* "Did you mean …?": the candidate with the least edit distance to a mistyped word. */
#pragma once

#include <stddef.h>

/* Returns an element of candidates[n] (borrowed), or NULL where none is close (distance above a third of the length, at
 * least 2). Adjacent transpositions count once. Words longer than 64 bytes are never near. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);
