/*
 * What windows mean, in the plainest words: every event is kept for ever, and each feature is counted anew over all of them. Written
 * without the state's code, to be held against it.
 *
 * Only for tests: 64 keys a field at most, values whose squares fit 128 bits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/state/state.h"

enum { MODEL_KEYS = 2, MODEL_NUMBERS = 2, MODEL_HASHES = 1, MODEL_LABELS = 16 };

struct model_label {
    int64_t since_us;
    bool fraud;
};

struct model_event {
    int64_t time_us;
    uint32_t id;               /* 0: none */
    uint32_t keys[MODEL_KEYS]; /* 0: absent */
    bool kept[MODEL_KEYS];
    double numbers[MODEL_NUMBERS];
    uint64_t hashes[MODEL_HASHES];
    uint32_t filters;
    struct model_label labels[MODEL_LABELS];
    size_t label_count;
};

struct model {
    const struct state_layout *layout;
    const struct state_options *options;
    struct model_event *events; /* [count], in order of arrival */
    size_t count, cap;
    int64_t newest_us; /* of events with an id */
    int64_t keep_us;   /* of ids */
    int64_t horizon_us; /* of labels */
    struct {
        uint32_t id;
        struct model_label label;
    } waiting[256]; /* labels without their event */
    size_t waiting_count;
};

void window_model_init(struct model *m, const struct state_layout *layout, const struct state_options *options);
void window_model_free(struct model *m);

/* What state_apply has to give: the flags, and out[windows]. certain[window]: false where an event is so late that the state need not
 * reach back far enough. */
uint32_t window_model_apply(struct model *m, const struct model_event *event, double *out, bool *certain);
/* false: the label may not be used by this model (too many of one event). */
bool window_model_label(struct model *m, uint32_t id, bool fraud, int64_t since_us);
