#include "model/state/internal.h"

void state_apply_batch(struct state *state, const struct state_event *events, size_t n, double *out, uint32_t *flags)
{
    for (size_t i = 0; i < n; i++)
        flags[i] = state_apply(state, &events[i], out + i * state->windows_count);
}
