#include "server/labels/told.h"

#include "model/base/check.h"

enum state_labelled label_tell(struct history *history, const struct label *label)
{
    return history ? state_label(history_state(history), label->id, label->fraud, label->time_us) : STATE_LABEL_UNUSED;
}

enum { OUTCOMES = STATE_LABEL_UNUSED + 1 }; /* and one more, rejected */

uint32_t label_metric(enum source_kind source, enum state_labelled outcome)
{
    CHECK(source == SOURCE_HTTP || source == SOURCE_KAFKA);
    return (uint32_t)source * (OUTCOMES + 1) + (uint32_t)outcome;
}

uint32_t label_metric_rejected(enum source_kind source)
{
    return label_metric(source, STATE_LABEL_APPLIED) + OUTCOMES;
}

const char *label_outcome(enum state_labelled outcome)
{
    static const char *const words[] = {
        [STATE_LABEL_APPLIED] = "applied", [STATE_LABEL_REPEATED] = "repeated", [STATE_LABEL_PENDING] = "pending",
        [STATE_LABEL_EXPIRED] = "expired", [STATE_LABEL_DROPPED] = "dropped",   [STATE_LABEL_UNUSED] = "unused",
    };
    CHECK((unsigned)outcome < sizeof words / sizeof *words);
    return words[outcome];
}
