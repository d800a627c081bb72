#include "server/engine/queue.h"

#include <stdbool.h>
#include <stdlib.h>

#include "model/base/check.h"

enum status queue_init(struct queue *queue, uint32_t size, struct error *err)
{
    *queue = (struct queue){.size = size};
    queue->rows = calloc(size ? size : 1, sizeof *queue->rows);
    return queue->rows ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for a queue of %u rows", size);
}

void queue_free(struct queue *queue)
{
    free(queue->rows);
    *queue = (struct queue){.rows = NULL};
}

static bool before(const struct row *a, const struct row *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->arrived_ns < b->arrived_ns;
}

void queue_push(struct queue *queue, struct row row)
{
    CHECK(queue->count < queue->size);
    uint32_t at = queue->count++;
    while (at > 0 && before(&row, &queue->rows[(at - 1) / 2])) {
        queue->rows[at] = queue->rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->rows[at] = row;
}

struct row queue_pop(struct queue *queue)
{
    CHECK(queue->count > 0);
    struct row first = queue->rows[0], last = queue->rows[--queue->count];
    uint32_t at = 0, child = 1;
    while (child < queue->count) {
        if (child + 1 < queue->count && before(&queue->rows[child + 1], &queue->rows[child]))
            child++;
        if (!before(&queue->rows[child], &last))
            break;
        queue->rows[at] = queue->rows[child];
        at = child;
        child = 2 * at + 1;
    }
    queue->rows[at] = last;
    return first;
}
