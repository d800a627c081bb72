#include "tests/support/window_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 whole;

void window_model_init(struct model *m, const struct state_layout *layout, const struct state_options *options)
{
    memset(m, 0, sizeof *m);
    m->layout = layout;
    m->options = options;
    m->keep_us = options->dedupe_us;
    for (size_t i = 0; i < layout->windows_count; i++) {
        const struct state_window *w = &layout->windows[i];
        if (w->function == STATE_RISK && w->span_us + w->delay_us > m->horizon_us)
            m->horizon_us = w->span_us + w->delay_us;
    }
    if (m->horizon_us > m->keep_us)
        m->keep_us = m->horizon_us;
}

void window_model_free(struct model *m)
{
    free(m->events);
}

static void put_label(struct model_event *e, struct model_label label)
{
    for (size_t i = 0; i < e->label_count; i++) {
        if (e->labels[i].since_us == label.since_us) {
            e->labels[i] = label;
            return;
        }
    }
    e->labels[e->label_count++] = label;
}

/* 0: not known, 1: legitimate, 2: fraud, at time t. */
static int status_at(const struct model_event *e, int64_t t)
{
    int status = 0;
    int64_t since = INT64_MIN;
    for (size_t i = 0; i < e->label_count; i++) {
        if (e->labels[i].since_us <= t && e->labels[i].since_us >= since) {
            since = e->labels[i].since_us;
            status = e->labels[i].fraud ? 2 : 1;
        }
    }
    return status;
}

/* The incarnation of an id that is still known. */
static struct model_event *known(const struct model *m, uint32_t id, int64_t newest_us)
{
    for (size_t i = m->count; id && i-- > 0;)
        if (m->events[i].id == id)
            return newest_us - m->events[i].time_us <= m->keep_us ? &m->events[i] : NULL;
    return NULL;
}

/* The members of a window for event number `self`: those before its place, in order of time, and itself unless there is a delay. */
static size_t members(const struct model *m, const struct state_window *w, size_t self, size_t *out)
{
    const struct model_event *e = &m->events[self];
    size_t n = 0;
    int64_t t = e->time_us;
    for (size_t i = 0; i < m->count; i++) {
        const struct model_event *o = &m->events[i];
        bool before = o->time_us < t || (o->time_us == t && i < self);
        if (o->keys[w->key] != e->keys[w->key] || !(i == self || (o->kept[w->key] && before)))
            continue;
        if (o->time_us > t - w->delay_us || (w->span_us != STATE_ALL && o->time_us <= t - w->delay_us - w->span_us))
            continue;
        if (w->filter != STATE_NO_FILTER && !(o->filters >> w->filter & 1))
            continue;
        size_t at = n++;
        for (; at > 0 && m->events[out[at - 1]].time_us > o->time_us; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return n;
}

static double number_feature(const struct model *m, const struct state_window *w, size_t self, const size_t *list, size_t n)
{
    whole sum = 0, squares = 0;
    double least = NAN, greatest = NAN, last = NAN;
    int64_t values = 0;
    for (size_t i = 0; i < n; i++) {
        double x = m->events[list[i]].numbers[w->value];
        if (isnan(x))
            continue;
        whole fixed = (whole)nearbyint(x * 4294967296.0);
        values++;
        sum += fixed;
        squares += fixed * fixed;
        least = isnan(least) || x < least ? x : least;
        greatest = isnan(greatest) || x > greatest ? x : greatest;
        if (list[i] != self)
            last = x;
    }
    switch (w->function) {
    case STATE_SUM:
        return (double)sum / 4294967296.0;
    case STATE_MEAN:
        return values ? (double)sum / 4294967296.0 / (double)values : NAN;
    case STATE_STD:
        return values > 1 ? sqrt((double)(squares * values - sum * sum) / ((double)values * (double)(values - 1))) / 4294967296.0 : NAN;
    case STATE_MIN:
        return least;
    case STATE_MAX:
        return greatest;
    default:
        return last;
    }
}

static double risk_feature(const struct model *m, const struct state_window *w, int64_t t, const size_t *list, size_t n)
{
    size_t frauds = 0, labelled = 0;
    for (size_t i = 0; i < n; i++) {
        int status = status_at(&m->events[list[i]], t);
        frauds += status == 2;
        labelled += status != 0;
    }
    size_t of = w->of_labelled ? labelled : n;
    return of ? (double)frauds / (double)of : w->prior;
}

static double feature(const struct model *m, const struct state_window *w, size_t self, const size_t *list, size_t n)
{
    int64_t t = m->events[self].time_us;
    size_t different = 0;
    switch (w->function) {
    case STATE_COUNT:
        return (double)n;
    case STATE_RISK:
        return risk_feature(m, w, t, list, n);
    case STATE_FIRST_SEEN:
        return n ? (double)(t - m->events[list[0]].time_us) / 1e6 : NAN;
    case STATE_SINCE:
        while (n > 0 && list[n - 1] == self)
            n--;
        return n ? (double)(t - m->events[list[n - 1]].time_us) / 1e6 : NAN;
    case STATE_DISTINCT:
        for (size_t i = 0; i < n; i++) {
            uint64_t value = m->events[list[i]].hashes[w->value];
            bool fresh = value != 0;
            for (size_t j = 0; j < i; j++)
                fresh &= m->events[list[j]].hashes[w->value] != value;
            different += fresh;
        }
        return (double)different;
    default:
        return number_feature(m, w, self, list, n);
    }
}

/* The newest event kept under a key, but for event `self`; INT64_MIN: none. */
static int64_t newest_of(const struct model *m, size_t key, uint32_t value, size_t self)
{
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < m->count; i++)
        if (i != self && m->events[i].kept[key] && m->events[i].keys[key] == value && m->events[i].time_us > newest)
            newest = m->events[i].time_us;
    return newest;
}

/* How far back the state has to keep the events of a key. */
static int64_t retention(const struct model *m, size_t key)
{
    int64_t most = 0, keep = m->options->disorder_us > m->options->dedupe_us ? m->options->disorder_us : m->options->dedupe_us;
    for (size_t i = 0; i < m->layout->windows_count; i++) {
        const struct state_window *w = &m->layout->windows[i];
        int64_t reach = w->delay_us + (w->span_us == STATE_ALL ? 0 : w->span_us);
        if (w->key == key && reach > most)
            most = reach;
    }
    return most + keep;
}

static void features(const struct model *m, size_t self, double *out, bool *certain)
{
    const struct model_event *e = &m->events[self];
    size_t *list = malloc((m->count + 1) * sizeof *list);
    for (size_t i = 0; i < m->layout->windows_count; i++) {
        const struct state_window *w = &m->layout->windows[i];
        out[i] = NAN;
        certain[i] = true;
        if (!e->keys[w->key])
            continue;
        int64_t newest = newest_of(m, w->key, e->keys[w->key], SIZE_MAX);
        int64_t from = e->time_us - w->delay_us - (w->span_us == STATE_ALL ? 0 : w->span_us);
        certain[i] = newest == INT64_MIN || from >= newest - retention(m, w->key);
        if (certain[i])
            out[i] = feature(m, w, self, list, members(m, w, self, list));
    }
    free(list);
}

static void take_waiting(struct model *m, struct model_event *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->waiting_count; i++) {
        if (m->waiting[i].label.since_us < m->newest_us - m->horizon_us)
            continue; /* no window can see it any more */
        if (m->waiting[i].id == e->id)
            put_label(e, m->waiting[i].label);
        else
            m->waiting[kept++] = m->waiting[i];
    }
    m->waiting_count = kept;
}

/* A key that no window is over is not looked at. */
static bool used(const struct model *m, size_t key)
{
    for (size_t i = 0; i < m->layout->windows_count; i++)
        if (m->layout->windows[i].key == key)
            return true;
    return false;
}

uint32_t window_model_apply(struct model *m, const struct model_event *event, double *out, bool *certain)
{
    if (event->id && event->time_us > m->newest_us)
        m->newest_us = event->time_us;
    const struct model_event *before = known(m, event->id, m->newest_us);
    if (before) {
        features(m, (size_t)(before - m->events), out, certain);
        return STATE_REPEAT | (m->newest_us - before->time_us > m->options->dedupe_us ? STATE_LATE : 0);
    }
    if (m->count == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->events = realloc(m->events, m->cap * sizeof *m->events);
    }
    size_t self = m->count++;
    struct model_event *e = &m->events[self];
    *e = *event;
    e->label_count = 0;
    uint32_t flags = 0;
    for (size_t key = 0; key < m->layout->keys; key++) {
        int64_t newest = newest_of(m, key, e->keys[key], self);
        e->kept[key] = e->keys[key] != 0 && used(m, key);
        if (!e->kept[key] || newest == INT64_MIN || e->time_us >= newest)
            continue;
        e->kept[key] = newest - e->time_us <= m->options->disorder_us;
        flags |= e->kept[key] ? STATE_DISORDER : STATE_LATE;
    }
    if (e->id)
        take_waiting(m, e);
    features(m, self, out, certain);
    return flags;
}

bool window_model_label(struct model *m, uint32_t id, bool fraud, int64_t since_us)
{
    struct model_event *e = known(m, id, m->newest_us);
    struct model_label label = {.since_us = since_us, .fraud = fraud};
    if (e) {
        if (e->label_count == MODEL_LABELS)
            return false;
        put_label(e, label);
        return true;
    }
    size_t waits = 0;
    for (size_t i = 0; i < m->waiting_count; i++) {
        waits += m->waiting[i].id == id;
        if (m->waiting[i].id == id && m->waiting[i].label.since_us == since_us) {
            m->waiting[i].label.fraud = fraud;
            return true;
        }
    }
    if (waits == 6 || m->waiting_count == sizeof m->waiting / sizeof m->waiting[0])
        return false;
    m->waiting[m->waiting_count].id = id;
    m->waiting[m->waiting_count++].label = label;
    return true;
}
