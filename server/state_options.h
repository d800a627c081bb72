/* How the past of a bundle's keys is kept: from the settings of the server, or as they are unless set. */
#pragma once

#include "config/settings.h"
#include "model/state/state.h"

struct state_options state_options_of(const struct settings *settings);
/* For history in files: golden rows, `assay features`, `assay backtest`. */
struct state_options state_options_default(void);
