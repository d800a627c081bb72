#include "model/state/state.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/state/internal.h"

enum { STRIPES_DEFAULT = 64, STRIPES_MAX = 256 };

#define SMALL_STATE_BYTES (UINT64_C(4) << 20)
#define MEMORY_LEAST (UINT64_C(8) << 20)
/* Ages of events have to fit 48 bits of microseconds, with room for two spans. */
#define KEEP_MAX_US (INT64_C(366) * 86400 * 1000000)

static enum status check_options(const struct state_options *o, struct error *err)
{
    if (o->disorder_us < 0 || o->dedupe_us < 0 || o->future_us < 0 || o->disorder_us > KEEP_MAX_US || o->dedupe_us > KEEP_MAX_US)
        return error_set(err, STATUS_INVALID, "windows: disorder, dedupe and future are not negative and at most a year");
    if (o->stripes > STRIPES_MAX || (o->stripes & (o->stripes - 1)))
        return error_set(err, STATUS_INVALID, "windows: the stripes are a power of two up to %d", STRIPES_MAX);
    if (o->memory_bytes && o->memory_bytes < MEMORY_LEAST)
        return error_set(err, STATUS_INVALID, "windows: a memory limit is at least 8 MiB");
    return STATUS_OK;
}

static enum status init_layouts(struct state *s, const struct state_layout *layout, struct error *err)
{
    int64_t keep = s->options.disorder_us > s->options.dedupe_us ? s->options.disorder_us : s->options.dedupe_us;
    for (size_t i = 0; i < s->key_count; i++) {
        struct key_layout *k = &s->layouts[i];
        enum status status = key_layout_init(k, layout, i, keep, err);
        if (status != STATUS_OK)
            return status;
        if (k->labelled)
            s->label_place[i] = s->ids.labelled++;
        s->labels |= k->labelled;
        if (k->horizon_us > s->ids.horizon_us)
            s->ids.horizon_us = k->horizon_us;
        s->key_secrets[i] = (struct hash_secret){s->options.secret.low ^ ((uint64_t)i + 2) * UINT64_C(0x9e3779b97f4a7c15), s->options.secret.high};
    }
    s->id_secret = (struct hash_secret){s->options.secret.low ^ UINT64_C(0x9e3779b97f4a7c15), s->options.secret.high};
    s->ids.keys = (uint8_t)s->key_count;
    s->ids.dedupe_us = s->options.dedupe_us;
    s->ids.keep_us = s->ids.horizon_us > s->options.dedupe_us ? s->ids.horizon_us : s->options.dedupe_us;
    return STATUS_OK;
}

static enum status init_stripes(struct state *s, struct error *err)
{
    size_t n = (size_t)s->mask + 1;
    struct keys *keys = calloc(n * (s->key_count + 1), sizeof *keys);
    s->stripes = aligned_alloc(64, n * sizeof *s->stripes);
    if (!keys || !s->stripes) {
        free(keys);
        free(s->stripes);
        s->stripes = NULL;
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the state of windows");
    }
    for (size_t i = 0; i < n; i++) {
        s->stripes[i] = (struct stripe){.keys = keys + i * s->key_count};
        (void)pthread_mutex_init(&s->stripes[i].lock, NULL);
        for (size_t k = 0; k < s->key_count; k++)
            keys_init(&s->stripes[i].keys[k]);
    }
    return STATUS_OK;
}

enum status state_create(const struct state_layout *layout, const struct state_options *options, struct state **out, struct error *err)
{
    *out = NULL;
    enum status status = layout_check(layout, err);
    if (status == STATUS_OK)
        status = check_options(options, err);
    if (status != STATUS_OK)
        return status;
    struct state *s = aligned_alloc(64, sizeof *s);
    if (!s)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the state of windows");
    memset(s, 0, sizeof *s);
    s->key_count = layout->keys;
    s->windows_count = layout->windows_count;
    s->options = *options;
    s->small_bytes = SMALL_STATE_BYTES;
    s->mask = (options->stripes ? options->stripes : STRIPES_DEFAULT) - 1;
    status = init_layouts(s, layout, err);
    if (status == STATUS_OK)
        status = arena_init(&s->arena, options->memory_bytes, err);
    if (status == STATUS_OK)
        status = init_stripes(s, err);
    if (status == STATUS_OK)
        status = ids_init(&s->ids, &s->arena, s->mask + 1, err);
    if (status != STATUS_OK) {
        state_free(s);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

void state_free(struct state *state)
{
    if (!state)
        return;
    for (uint32_t i = 0; state->stripes && i <= state->mask; i++) {
        for (size_t k = 0; k < state->key_count; k++)
            keys_free(&state->stripes[i].keys[k], &state->layouts[k], &state->arena);
        (void)pthread_mutex_destroy(&state->stripes[i].lock);
    }
    if (state->stripes)
        free(state->stripes[0].keys);
    free(state->stripes);
    ids_free(&state->ids);
    for (size_t i = 0; i < state->key_count; i++)
        key_layout_free(&state->layouts[i]);
    arena_free_all(&state->arena);
    free(state);
}

uint64_t state_hash(const struct state *state, struct span text)
{
    if (!text.data)
        return 0;
    uint64_t hash = siphash128(&state->options.secret, text.data, text.len).low;
    return hash ? hash : 1;
}

int64_t state_position(const struct state *state, int32_t source)
{
    CHECK(source >= 0 && source < STATE_SOURCES_MAX);
    /* Written by the one thread that applies the source's events; others look at it for the record. */
    return atomic_load_explicit(&state->positions[source], memory_order_acquire);
}

void state_position_set(struct state *state, int32_t source, int64_t next_offset)
{
    CHECK(source >= 0 && source < STATE_SOURCES_MAX);
    atomic_store_explicit(&state->positions[source], next_offset, memory_order_release); /* after the event it is past */
}
