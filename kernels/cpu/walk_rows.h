/*
 * walk.c's loops for one type of key; included once for int32 and once for int64, with WALK_KEY, WALK_NODE, WALK_NODES and
 * WALK_NAME(name) defined.
 */

/* Walks eight trees from at[] on, `steps` levels down; at[] becomes their leaves. */
static void WALK_NAME(descend)(const struct WALK_NODE *restrict nodes, const WALK_KEY *restrict keys, uint32_t steps, uint32_t at[8])
{
    uint32_t a = at[0], b = at[1], c = at[2], d = at[3], e = at[4], f = at[5], g = at[6], h = at[7];
    for (uint32_t s = 0; s < steps; s++) {
        a = nodes[a].child + (keys[nodes[a].input] > nodes[a].limit);
        b = nodes[b].child + (keys[nodes[b].input] > nodes[b].limit);
        c = nodes[c].child + (keys[nodes[c].input] > nodes[c].limit);
        d = nodes[d].child + (keys[nodes[d].input] > nodes[d].limit);
        e = nodes[e].child + (keys[nodes[e].input] > nodes[e].limit);
        f = nodes[f].child + (keys[nodes[f].input] > nodes[f].limit);
        g = nodes[g].child + (keys[nodes[g].input] > nodes[g].limit);
        h = nodes[h].child + (keys[nodes[h].input] > nodes[h].limit);
    }
    at[0] = a, at[1] = b, at[2] = c, at[3] = d, at[4] = e, at[5] = f, at[6] = g, at[7] = h;
}

/* Adds trees [from, to) of the order to one row's margins. from is a multiple of 8. */
static void WALK_NAME(trees)(const struct walk *walk, uint32_t from, uint32_t to, const WALK_KEY *keys, const void *row, double *margins)
{
    const struct WALK_NODE *nodes = walk->WALK_NODES;
    for (uint32_t t = from; t < to; t += 8) {
        uint32_t at[8];
        memcpy(at, walk->roots + t, sizeof at);
        for (uint32_t left = walk->steps[t / 8]; left > 0;) {
            uint32_t steps = left < 8 ? left : 8;
            WALK_NAME(descend)(nodes, keys, steps, at);
            left -= steps;
            if (left > 0 && WALK_NAME(all_at_leaves)(walk, at))
                break;
        }
        uint32_t count = to - t < 8 ? to - t : 8;
        for (uint32_t i = 0; i < count; i++)
            WALK_NAME(add)(walk, t + i, &nodes[at[i]], row, margins);
    }
}

/* Rows in chunks whose keys fit the stack, trees in blocks that stay in the cache while the rows of a chunk go by. */
static void WALK_NAME(margins)(const struct walk *walk, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    WALK_KEY keys[SCRATCH_BYTES / sizeof(WALK_KEY)];
    uint32_t outputs = walk->inputs->forest->outputs, width = walk->inputs->count + 1;
    uint32_t chunk = (uint32_t)(sizeof keys / sizeof keys[0]) / width;
    for (uint32_t first = 0; first < n; first += chunk) {
        uint32_t count = n - first < chunk ? n - first : chunk;
        for (uint32_t i = 0; i < count; i++) {
            WALK_KEY *row_keys = keys + (size_t)i * width;
            WALK_NAME(keys)(walk->inputs, rows_at(rows, slots[first + i]), row_keys);
            row_keys[width - 1] = WALK_LOWEST; /* what leaves ask */
            forest_reference_start(walk->inputs->forest, margins + (size_t)(first + i) * outputs);
        }
        for (uint32_t b = 0; b < walk->block_count; b++) {
            for (uint32_t i = 0; i < count; i++)
                WALK_NAME(trees)(walk, walk->blocks[b], walk->blocks[b + 1], keys + (size_t)i * width,
                                 rows_at(rows, slots[first + i]), margins + (size_t)(first + i) * outputs);
        }
        for (uint32_t i = 0; i < count; i++)
            forest_reference_finish(walk->inputs->forest, margins + (size_t)(first + i) * outputs);
    }
}
