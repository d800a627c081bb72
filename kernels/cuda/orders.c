#include "kernels/cuda/engine_private.h"

#include <errno.h>
#include <time.h>

/* For the driver to come back; longest where it has much to do. */
enum { LOAD_S = 60, OTHER_S = 5 };

/* Waits until the order is done, or nobody has taken it for so long; e->lock is held. */
static bool wait_for(struct engine_cuda *e, const struct order *order)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    time_t patience_s = order->kind == ORDER_OPEN || order->kind == ORDER_PREPARE ? LOAD_S : OTHER_S;
    until.tv_sec += patience_s;
    while (!order->done) {
        if (pthread_cond_timedwait(&e->answered, &e->lock, &until) != ETIMEDOUT || order->done)
            continue;
        struct order *expected = (struct order *)(uintptr_t)order;
        if (atomic_compare_exchange_strong(&e->order, &expected, NULL))
            return false;
        until.tv_sec += patience_s; /* it is being carried out */
    }
    return true;
}

enum status engine_order(struct engine_cuda *e, struct order *order)
{
    order->done = false;
    (void)pthread_mutex_lock(&e->lock);
    atomic_store(&e->order, order);
    wake_now(&e->wake);
    bool answered = wait_for(e, order);
    (void)pthread_mutex_unlock(&e->lock);
    return answered ? order->status : error_set(order->err, STATUS_TIMEOUT, "the GPU's driver does not answer");
}

static enum status carry_out(struct engine_cuda *e, const struct order *order)
{
    switch (order->kind) {
    case ORDER_OPEN:
        return world_open(e, order->err);
    case ORDER_PREPARE:
        return world_add(e, order->prepared, order->err);
    case ORDER_ATTACH:
        return world_attach(e, order->region, order->err);
    case ORDER_RELEASE:
        world_remove(e, order->prepared);
        break;
    }
    return STATUS_OK;
}

bool engine_take_order(struct engine_cuda *e)
{
    if (!atomic_load_explicit(&e->order, memory_order_relaxed))
        return false;
    struct order *order = atomic_exchange(&e->order, NULL);
    if (!order)
        return false;
    enum status status = carry_out(e, order);
    if (status == STATUS_UNAVAILABLE && e->device) {
        world_blame(e, order->err->message);
        world_down(e);
    }
    (void)pthread_mutex_lock(&e->lock);
    order->status = status;
    order->done = true;
    (void)pthread_cond_broadcast(&e->answered);
    (void)pthread_mutex_unlock(&e->lock);
    return true;
}
