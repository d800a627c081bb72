/* HTTP as a source; server/main.c names it. */
#pragma once

#include "server/source.h"

extern const struct source source_http;
