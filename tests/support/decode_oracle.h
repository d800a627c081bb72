/*
 * jansson as the oracle of the hot-path decoder: both read the same bytes and must agree on whether it is JSON, on
 * whether it fits the schema, and on every value. Where the two differ by design, decode_oracle.c says so.
 */
#pragma once

#include <stddef.h>

/* Makes the schema that documents are compared under, once. */
void decode_oracle_open(void);
void decode_oracle_close(void);

/* Returns NULL where both agree, else what they disagree about (static text). */
const char *decode_oracle_compare(const char *json, size_t len);
