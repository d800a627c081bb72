/* The reference backend: forest_reference.c behind the interface of model/backend.h. Slow, and always right. */
#pragma once

#include "model/backend.h"

extern const struct backend backend_reference;
