/*
 * What loading a model file may allocate: at most 4 x the file + 64 MB in all, the file itself included. Every importer
 * draws its arrays from one such account, so a file that describes its nodes in fewer bytes than any real one is refused
 * before the memory is asked for, not after it is gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/span.h"

struct import_memory {
    size_t used, limit; /* bytes */
};

/* The account for a file of this size, the file's own bytes already charged. */
struct import_memory import_memory_of(size_t file_bytes);

/* An array with room for at least `need` items: `array` (owned, NULL allowed) itself, or grown by half and moved. NULL: the
 * account or the heap has no more; array is then unchanged. Adds to *capacity and to what is used. */
void *import_grow(struct import_memory *memory, void *array, size_t *capacity, size_t need, size_t item_bytes);

/* Gives back what a finished array did not use. Returns the array, NULL only where capacity becomes 0. */
void *import_shrink(struct import_memory *memory, void *array, size_t *capacity, size_t size, size_t item_bytes);

/* Charges a block of the heap that is no such array; false where the account has no more. */
bool import_charge(struct import_memory *memory, size_t bytes);
/* An owned copy of a text, such as a name, with a NUL behind it, charged; NULL: the account or the heap has no more. */
char *import_text(struct import_memory *memory, struct span text);

/* Asks for huge pages where the memory is large: half of the time of loading a large model goes into page faults else. */
void import_use_huge_pages(void *memory, size_t bytes);
