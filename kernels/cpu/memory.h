/* Memory of prepared models: aligned to cache lines, zeroed, on huge pages where it is large. Freed with free(). */
#pragma once

#include <stddef.h>

/* NULL on no memory. bytes may be 0. */
void *prepared_alloc(size_t bytes);

/* Grows an array of prepared_alloc to hold `need` elements (at least doubling), new ones zeroed. 0 or -1 on no memory; the
 * old array is then untouched. */
int prepared_grow(void **array, size_t *capacity, size_t need, size_t element_bytes);
