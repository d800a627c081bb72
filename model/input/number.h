/*
 * Numbers to and from text, correctly rounded, shortest round trip, without locale and without allocation.
 *
 * Sources: D. Lemire, "Number Parsing at a Gigabyte per Second" (2021) for reading; R. Giulietti, "The Schubfach way to
 * render doubles" (2020) for writing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { NUMBER_TEXT_MAX = 32 }; /* the longest text that the writers produce, and some */

/* Reads a number by the JSON grammar at text[0..len) and returns the bytes used, 0 where there is none or where it
 * overflows. number_read_float rounds once, straight to float32. */
size_t number_read_double(const char *text, size_t len, double *out);
size_t number_read_float(const char *text, size_t len, float *out);

/* Writes the shortest decimal that reads back to the same value, in the style of ECMAScript (0.1, 1e+21, 1.5e-7), and
 * returns its length; not NUL-terminated. Finite values only; -0 is written "-0". */
size_t number_write_double(char out[NUMBER_TEXT_MAX], double value);
size_t number_write_float(char out[NUMBER_TEXT_MAX], float value);
