/* HTTP as a source: POST /v1/score and the pages for probes and scrapers. See docs/http.md for what it speaks. */
#pragma once

#include "server/source.h"

extern const struct source source_http;
