#include "server/engine/route.h"

#include "model/base/check.h"

static const int64_t GRACE_NS = 2000000;         /* any machine may pause for so long */
static const double OVERDUE = 3;                 /* times the tail: not late but stuck */
static const int64_t RETRY_NS = 50000000, RETRY_MOST_NS = 2000000000;

enum route_health route_health(const struct route_engine *e, int64_t now_ns)
{
    for (uint32_t i = 0; i < e->in_flight_max; i++) {
        if (e->batches[i].n > 0 && now_ns > e->batches[i].overdue_ns)
            return ROUTE_OVERDUE;
    }
    return e->failures > 0 ? ROUTE_FAILING : ROUTE_GOOD;
}

bool route_is_free(const struct route_engine *e, int64_t now_ns)
{
    if (e->in_flight >= e->in_flight_max || route_health(e, now_ns) == ROUTE_OVERDUE)
        return false;
    /* One trial at a time shows whether it has healed. */
    return e->failures == 0 || (now_ns >= e->retry_ns && e->in_flight == 0);
}

/* by_tail: as late as it is usually, or as it may well be */
static int64_t free_ns(const struct route_engine *e, bool by_tail, int64_t now_ns)
{
    if (route_is_free(e, now_ns))
        return now_ns;
    if (route_health(e, now_ns) == ROUTE_OVERDUE && !by_tail)
        return INT64_MAX;
    if (e->failures > 0)
        return e->in_flight == 0 ? e->retry_ns : INT64_MAX;
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < e->in_flight_max; i++) {
        int64_t back_ns = by_tail ? e->batches[i].tail_ns : e->batches[i].expected_ns;
        if (e->batches[i].n > 0 && back_ns < first)
            first = back_ns;
    }
    if (first > now_ns)
        return first;
    /* It should be back: any moment. What is surely to be reckoned with is that a stall goes on for as long as it has lasted. */
    return now_ns + (by_tail && now_ns > first ? now_ns - first : 1);
}

int64_t route_free_ns(const struct route_engine *e, int64_t now_ns)
{
    return free_ns(e, false, now_ns);
}

int64_t route_surely_free_ns(const struct route_engine *e, int64_t now_ns)
{
    return free_ns(e, true, now_ns);
}

uint32_t route_most(const struct route_engine *e)
{
    return e->failures > 0 || e->cost.doubt ? 1 : e->cap;
}

void route_refresh(struct route_engine *e, double budget_ns, uint32_t batch_max, int64_t now_ns)
{
    cost_relax(&e->cost, now_ns);
    uint32_t most = e->batch_max < batch_max ? e->batch_max : batch_max;
    e->cap = cost_fit(&e->cost, budget_ns, most);
    if (e->cap == 0)
        e->cap = 1;
}

uint32_t route_begin(struct route_engine *e, uint32_t n, int64_t now_ns)
{
    CHECK(e->in_flight < e->in_flight_max && n > 0);
    uint32_t place = 0;
    while (e->batches[place].n > 0)
        place++;
    e->batches[place] = (struct route_batch){.sent_ns = now_ns, .n = n,
                                             .expected_ns = now_ns + (int64_t)cost_mean_ns(&e->cost, n),
                                             .tail_ns = now_ns + (int64_t)cost_tail_ns(&e->cost, n),
                                             .overdue_ns = now_ns + GRACE_NS + (int64_t)(OVERDUE * cost_tail_ns(&e->cost, n))};
    e->in_flight++;
    return place;
}

void route_end(struct route_engine *e, uint32_t place, bool ok, int64_t now_ns)
{
    struct route_batch *batch = &e->batches[place];
    CHECK(place < e->in_flight_max && batch->n > 0);
    if (ok) {
        e->failures = 0;
        cost_observe(&e->cost, batch->n, now_ns - batch->sent_ns, now_ns);
    } else {
        int64_t wait_ns = RETRY_NS << (e->failures < 8 ? e->failures : 8);
        e->failures++;
        e->retry_ns = now_ns + (wait_ns < RETRY_MOST_NS ? wait_ns : RETRY_MOST_NS);
    }
    batch->n = 0;
    e->in_flight--;
}

static uint32_t at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int route_pick(const struct route_engine *engines, uint32_t count, uint32_t waiting, int64_t tail_ns_left, int64_t now_ns)
{
    int best = -1;
    double best_ns = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct route_engine *e = &engines[i];
        if (!route_is_free(e, now_ns))
            continue;
        uint32_t n = at_most(waiting, route_most(e));
        /* A trial is worth a row's risk, and is made as soon as it may be. */
        double ns = n < at_most(waiting, e->cap) ? 0 : cost_mean_ns(&e->cost, n);
        if (best < 0 || ns < best_ns) {
            best = (int)i;
            best_ns = ns;
        }
    }
    if (best < 0)
        return -1;
    /* Busy engines that would still be done with the same rows before: how many they take off the queue. */
    uint64_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct route_engine *e = &engines[i];
        int64_t free_ns = route_free_ns(e, now_ns);
        if (route_is_free(e, now_ns) || free_ns == INT64_MAX)
            continue;
        uint32_t n = at_most(waiting, route_most(e));
        if ((double)(free_ns - now_ns) + cost_mean_ns(&e->cost, n) < best_ns)
            taken += n;
    }
    if (taken >= waiting)
        return -1;
    /* With more waiting than those take it helps, unless the first in line would be late with it. */
    if (taken > 0 && cost_tail_ns(&engines[best].cost, 1) > (double)tail_ns_left)
        return -1;
    return best;
}
