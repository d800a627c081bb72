/* The example bundle, loaded and ready, and transactions for it: what tests of the path have in common. */
#pragma once

#include "server/loaded.h"
#include "server/server.h"

enum { EXAMPLE_DOCUMENT_MAX = 512 };

/* config/bundles/card-fraud on the reference backend; fails the test where it cannot be loaded. */
void example_open(struct loaded *out);
/* Its directory. */
const char *example_bundle(void);
/* Transaction number n, always the same, as JSON; returns its length. Every hundredth or so is far from harmless. */
size_t example_document(char out[EXAMPLE_DOCUMENT_MAX], unsigned n);
/* The reference backend, and HTTP as the only source. */
const struct parts *example_parts(void);
