#include <math.h>

#include "model/state/layout.h"

static enum status check_window(const struct state_layout *layout, size_t i, struct error *err)
{
    const struct state_window *w = &layout->windows[i];
    if (w->key >= layout->keys)
        return error_set(err, STATUS_INVALID, "window %zu: key %u of %zu", i, w->key, layout->keys);
    if (w->function >= STATE_FUNCTION_COUNT)
        return error_set(err, STATUS_INVALID, "window %zu: there is no function %d", i, (int)w->function);
    enum state_reads reads = state_function_reads(w->function);
    size_t values = reads == STATE_READS_NUMBER ? layout->numbers : reads == STATE_READS_HASH ? layout->hashes : SIZE_MAX;
    if (w->value >= values)
        return error_set(err, STATUS_INVALID, "window %zu: value %u of %zu", i, w->value, values);
    if (w->span_us != STATE_ALL && (w->span_us < 1 || w->span_us > STATE_SPAN_MAX_US))
        return error_set(err, STATUS_INVALID, "window %zu: a span is longer than nothing and at most three years", i);
    if (w->delay_us < 0 || w->delay_us > STATE_SPAN_MAX_US)
        return error_set(err, STATUS_INVALID, "window %zu: a delay is not negative and at most three years", i);
    if (w->filter != STATE_NO_FILTER && (w->filter < 0 || (size_t)w->filter >= layout->filters))
        return error_set(err, STATUS_INVALID, "window %zu: filter %d of %zu", i, w->filter, layout->filters);
    if (w->function == STATE_RISK && !isfinite(w->prior))
        return error_set(err, STATUS_INVALID, "window %zu: the prior must be a finite number", i);
    if (w->span_us == STATE_ALL && (w->function == STATE_DISTINCT || w->function == STATE_RISK))
        return error_set(err, STATUS_UNSUPPORTED, "window %zu: %s needs a span, since its members have to be kept", i,
                         state_function_word(w->function));
    return STATUS_OK;
}

enum status layout_check(const struct state_layout *layout, struct error *err)
{
    if (layout->keys > STATE_KEYS_MAX || layout->numbers > STATE_NUMBERS_MAX || layout->hashes > STATE_HASHES_MAX ||
        layout->filters > STATE_FILTERS_MAX || layout->windows_count > STATE_WINDOWS_MAX)
        return error_set(err, STATUS_INVALID, "windows: at most %d keys, %d numbers, %d texts to count, %d filters and %d windows",
                         STATE_KEYS_MAX, STATE_NUMBERS_MAX, STATE_HASHES_MAX, STATE_FILTERS_MAX, STATE_WINDOWS_MAX);
    for (size_t i = 0; i < layout->windows_count; i++) {
        enum status status = check_window(layout, i, err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}
