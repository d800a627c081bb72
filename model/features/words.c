#include "model/features/words.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    int order = words_compare(x->text, y->text);
    if (order != 0)
        return order;
    return x->position < y->position ? -1 : x->position > y->position;
}

struct words *words_create(const struct span *texts, const double *values, uint32_t n)
{
    struct words *w = calloc(1, sizeof *w);
    size_t bytes = 1; /* never an allocation of nothing */
    for (uint32_t i = 0; i < n; i++)
        bytes += texts[i].len;
    if (!w)
        return NULL;
    w->count = n;
    w->bytes = malloc(bytes);
    w->sorted = calloc(n + 1u, sizeof *w->sorted);
    w->values = values ? malloc((n + 1u) * sizeof *values) : NULL;
    if (!w->bytes || !w->sorted || (values && !w->values)) {
        words_free(w);
        return NULL;
    }
    char *to = w->bytes;
    for (uint32_t i = 0; i < n; i++) {
        w->sorted[i] = (struct word){.text = {.data = to, .len = texts[i].len}, .position = i};
        if (texts[i].len)
            memcpy(to, texts[i].data, texts[i].len);
        to += texts[i].len;
    }
    if (values)
        memcpy(w->values, values, (n + 1u) * sizeof *values);
    qsort(w->sorted, n, sizeof *w->sorted, compare);
    return w;
}

void words_free(struct words *words)
{
    if (!words)
        return;
    free(words->sorted);
    free(words->values);
    free(words->bytes);
    free(words);
}

int words_repeated(const struct words *words)
{
    for (uint32_t i = 1; i < words->count; i++)
        if (words_compare(words->sorted[i - 1].text, words->sorted[i].text) == 0)
            return (int)words->sorted[i].position;
    return -1;
}

bool words_equal(const struct words *a, const struct words *b)
{
    if (a->count != b->count || !a->values != !b->values)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->sorted[i].position != b->sorted[i].position || words_compare(a->sorted[i].text, b->sorted[i].text) != 0)
            return false;
    return !a->values || memcmp(a->values, b->values, (a->count + 1u) * sizeof *a->values) == 0;
}
