/* What became of a label, as a word for answers and metrics: "applied". */
#pragma once

#include "model/history.h"
#include "server/labels/label.h"
#include "server/slot.h"

/* Tells the history, which may be NULL where no window looks at labels. Any thread. */
enum state_labelled label_tell(struct history *history, const struct label *label);
const char *label_outcome(enum state_labelled outcome);
/* The position in METRIC_LABELS of a label from HTTP or Kafka; rejected: it was none. */
uint32_t label_metric(enum source_kind source, enum state_labelled outcome);
uint32_t label_metric_rejected(enum source_kind source);
