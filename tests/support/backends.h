/* The backends that this machine can run, each way a backend can be forced to compute as one of its own. */
#pragma once

#include "model/backend.h"

/* Ended by NULL. */
const struct backend *const *backends_under_test(void);
