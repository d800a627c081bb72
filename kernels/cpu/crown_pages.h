/* Cutting what is below the crown of a tree into pages; see crown.h for what they are. */
#pragma once

#include "kernels/cpu/crown.h"
#include "kernels/cpu/shape.h"

/* The tree at hand, and its pages that wait to be filled. */
struct crown_maker {
    struct crown *crown;
    struct shape shape;
    size_t first_page;
    uint32_t *roots;     /* [splits of the largest tree] subtrees that pages start with, page after page */
    uint32_t *roots_end; /* [likewise] one past the last of page first_page + i */
    uint32_t root_count, first_root; /* of the page at hand */
};

/* Room for the largest tree of the forest. 0, or -1 on no memory; crown_maker_free in any case. */
int crown_maker_make(struct crown_maker *m, const struct forest *forest);
void crown_maker_free(struct crown_maker *m);

/* To be called once m->shape is read. */
void crown_pages_begin(struct crown_maker *m);

/* Gives pages to the n <= 64 subtrees below the splits roots[], those with small ones, shared_max at most, first;
 * entries[n] are where to start in them. 0, or -1 on no memory. */
int crown_pages_place(struct crown_maker *m, const uint32_t *roots, uint32_t n, uint32_t shared_max, uint32_t *entries);

/* Fills all pages of the tree, and adds those below them. 0, or -1 on no memory. */
int crown_pages_fill(struct crown_maker *m);

/* Room for `more` values after value_count. 0, or -1 on no memory. */
int crown_reserve_values(struct crown *crown, size_t more);
void crown_put_value(struct crown *crown, size_t at, double value);
