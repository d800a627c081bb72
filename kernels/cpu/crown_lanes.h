/*
 * What the crown kernels of all instruction sets have in common, in terms of a few operations of their own: through the crown,
 * from page to page, and the sum. Included once by each, after these are defined:
 *
 *     LANES, lanes              trees in a vector, and the vector: a byte a tree
 *     row_ranks                 how a row's ranks are held; `width`, a constant, says how many registers they take
 *     lanes exit_1(tests, position, row, width)                      1 where the tree passes at the position, else 0
 *     lanes fork(fail, pass, bit, tests, position, row, width)       pass + bit where it passes, else fail
 *     void lanes_store(lanes, uint8_t *to)
 *     uint32_t page_code(page, split, row, width, deep)              the exit that a walk which enters at a split leaves by
 */

/* exit_N: the exits of the N levels below a position, by each tree's way: a bit a level, the topmost highest. */
#define EXIT_LEVEL(levels, below)                                                                                                \
    ALWAYS lanes exit_##levels(const uint8_t *tests, int position, const row_ranks *row, int width)                              \
    {                                                                                                                            \
        lanes fail = exit_##below(tests, 2 * position + 1, row, width);                                                          \
        lanes pass = exit_##below(tests, 2 * position + 2, row, width);                                                          \
        return fork(fail, pass, 1 << below, tests, position, row, width);                                                        \
    }
EXIT_LEVEL(2, 1)
EXIT_LEVEL(3, 2)
EXIT_LEVEL(4, 3)
EXIT_LEVEL(5, 4)
EXIT_LEVEL(6, 5)

ALWAYS lanes exits_of(const uint8_t *tests, uint32_t depth, const row_ranks *row, int width)
{
    switch (depth) {
    case 1:
        return exit_1(tests, 0, row, width);
    case 2:
        return exit_2(tests, 0, row, width);
    case 3:
        return exit_3(tests, 0, row, width);
    case 4:
        return exit_4(tests, 0, row, width);
    case 5:
        return exit_5(tests, 0, row, width);
    default:
        return exit_6(tests, 0, row, width);
    }
}

/* From an entry to where its page is left for. */
ALWAYS uint32_t leave_page(const struct crown *crown, uint32_t entry, const row_ranks *row, int width)
{
    const struct crown_page *page = &crown->pages[entry >> 4];
    uint32_t code = page_code(page, entry & 15, row, width, true);
    uint32_t leaf = (crown->page_values[entry >> 4] + (code & 31)) | CROWN_LEAF;
    uint32_t after = code >= CROWN_PAGE_SHARED ? code & 63 : (code & 31) << 4;
    return code < CROWN_PAGE_PAGE ? leaf : (page->first << 4) + after;
}

/* Lists the trees of the group that are not at a leaf yet; returns how many. */
ALWAYS uint32_t list_walking(const uint32_t at[CROWN_TREES], uint8_t walking[CROWN_TREES])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < CROWN_TREES; i++) {
        walking[n] = (uint8_t)i;
        n += !(at[i] & CROWN_LEAF);
    }
    return n;
}

/* Walks the group's trees through their pages, all together; at[] becomes values. */
ALWAYS void walk_pages(const struct crown *crown, uint32_t at[CROWN_TREES], const row_ranks *row, int width)
{
    uint8_t walking[CROWN_TREES];
    uint32_t n = list_walking(at, walking);
    while (n > 0) {
        uint32_t left = 0;
        for (uint32_t j = 0; j < n; j++) {
            uint8_t i = walking[j];
            uint32_t to = leave_page(crown, at[i], row, width);
            at[i] = to;
            walking[left] = i;
            left += !(to & CROWN_LEAF);
        }
        n = left;
    }
}

/* The same where every page is a last one. */
ALWAYS void walk_last_pages(const struct crown *crown, uint32_t at[CROWN_TREES], const row_ranks *row, int width)
{
    uint8_t walking[CROWN_TREES];
    uint32_t n = list_walking(at, walking);
    for (uint32_t j = 0; j < n; j++) {
        uint8_t i = walking[j];
        const struct crown_page *page = &crown->pages[at[i] >> 4];
        at[i] = page->first + (page_code(page, at[i] & 15, row, width, false) & 31);
    }
}

/* Adds the values of the trees from `first` on, one after the other, to the outputs that they belong to. at[i]: number of the
 * value of tree first + i; the top bit is ignored. */
static inline void add_values(const struct crown *crown, uint32_t first, const uint32_t at[CROWN_TREES], double *margins)
{
    const struct tree_order *order = crown->order;
    uint32_t end = first + CROWN_TREES < order->count ? first + CROWN_TREES : order->count;
    for (uint32_t t = first; t < end;) {
        uint32_t output = order->output[t], run_end = order->output_end[output];
        run_end = run_end < end ? run_end : end;
        if (crown->values32) {
            float sum = (float)margins[output];
            for (; t < run_end; t++)
                sum += crown->values32[at[t - first] & ~CROWN_LEAF];
            margins[output] = (double)sum;
        } else {
            double sum = margins[output];
            for (; t < run_end; t++)
                sum += crown->values64[at[t - first] & ~CROWN_LEAF];
            margins[output] = sum;
        }
    }
}

ALWAYS void groups(const struct crown *crown, const row_ranks *row, uint32_t from, uint32_t to, double *margins, int width)
{
    size_t group_bytes = (((size_t)1 << crown->depth) - 1) * 2 * CROWN_TREES;
    for (uint32_t g = from; g < to; g++) {
        uint8_t exits[CROWN_TREES] __attribute__((aligned(64)));
        uint32_t at[CROWN_TREES], first = g * CROWN_TREES;
        const uint8_t *tests = crown->tests + g * group_bytes;
        for (int lane = 0; lane < CROWN_TREES; lane += LANES)
            lanes_store(exits_of(tests + lane, crown->depth, row, width), exits + lane);
        for (uint32_t i = 0; i < CROWN_TREES; i++)
            at[i] = (first + i) << crown->depth | exits[i];
        if (crown->exits) {
            for (uint32_t i = 0; i < CROWN_TREES; i++)
                at[i] = crown->exits[at[i]];
            if (crown->page_values)
                walk_pages(crown, at, row, width);
            else
                walk_last_pages(crown, at, row, width);
        }
        add_values(crown, first, at, margins);
    }
}
