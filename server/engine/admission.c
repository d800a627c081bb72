#include "server/engine/admission.h"

int64_t admission_finish_ns(const struct admission *a, int64_t now_ns, uint32_t ahead)
{
    int64_t start_ns = a->free_ns > now_ns ? a->free_ns : now_ns;
    if (ahead == 0 && start_ns == now_ns)
        return now_ns + a->one_ns + a->reply_ns;
    /* Whole batches go before it, and others join its own while it waits, so that is taken to be a full one too. Anything more
     * hopeful lets in rows that leave their batch so little time that it must be small, which costs the rows behind it. */
    if (ahead >= a->next)
        start_ns += a->next_ns + (ahead - a->next) / a->full * (int64_t)a->full * a->row_ns;
    return start_ns + a->full_ns + a->reply_ns;
}
