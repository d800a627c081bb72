/*
 * Forests, many rows: a block computes 32 rows, one in each lane of its warps; a warp walks one tree at a time, so that its
 * lanes share the tree's cache lines. Keys lie [input][row]: whichever inputs the lanes ask, they never meet in a bank.
 *
 * Trees go by in chunks, with one barrier each. Between two of them a block walks a chunk, adds what the leaves of the one
 * before gave (a warp an output, a lane a row, in the forest's order), and has the top nodes of the next one come to shared
 * memory.
 */
#include "kernels/cuda/forest.cuh"

enum { WARP = FOREST_MANY_ROWS, LINE = 8 /* lanes that load 128 bytes of a row */ };

static __device__ __forceinline__ void copy_node(forest_node8 *to, const forest_node8 *from)
{
    copy_async8(to, from);
}

static __device__ __forceinline__ void copy_node(forest_node16 *to, const forest_node16 *from)
{
    copy_async16(to, from);
}

/* From the root to the leaf, the first nodes in shared memory. keys: of the lane's row. */
template <class Nodes>
static __device__ __forceinline__ typename Nodes::node walk(const typename Nodes::node *top, const typename Nodes::node *tree,
                                                            const typename Nodes::key *keys)
{
    typename Nodes::node node = top[0];
    while (node.child != 0) {
        bool passes = keys[node.input * FOREST_MANY_ROWS] > node.limit;
        uint32_t next = node.child + passes;
        node = next < FOREST_TOP ? top[next] : Nodes::load(tree + next);
    }
    return node;
}

template <class Nodes, class Leaf> struct many {
    typedef typename Nodes::node Node;
    typedef typename Nodes::key Key;
    typedef typename Leaf::Sum Sum;
    typedef typename Leaf::Kept Kept;

    const void *image;
    const forest_image *f;
    forest_shared place;
    char *shared;

    __device__ __forceinline__ Key *keys() const
    {
        return reinterpret_cast<Key *>(shared);
    }

    __device__ __forceinline__ Sum *sums() const
    {
        return reinterpret_cast<Sum *>(shared + place.sums);
    }

    /* Of chunk number `chunk`, one of two buffers. */
    __device__ __forceinline__ Kept *kept(uint32_t chunk) const
    {
        return reinterpret_cast<Kept *>(shared + place.kept) + chunk % 2 * place.chunk * FOREST_MANY_ROWS;
    }

    __device__ __forceinline__ Node *tops(uint32_t chunk) const
    {
        return reinterpret_cast<Node *>(shared + place.tops) + chunk % 2 * place.chunk * FOREST_TOP;
    }

    __device__ __forceinline__ uint32_t trees_of(uint32_t chunk) const
    {
        return forest_lesser(f->trees - chunk * place.chunk, place.chunk);
    }

    __device__ __forceinline__ const uint32_t *roots(uint32_t chunk) const
    {
        return at<uint32_t>(image, f->roots) + chunk * place.chunk;
    }

    __device__ __forceinline__ void start_tops(uint32_t chunk) const
    {
        const Node *nodes = at<Node>(image, f->nodes);
        for (uint32_t item = threadIdx.x; item < trees_of(chunk) * FOREST_TOP; item += blockDim.x) {
            uint32_t from = roots(chunk)[item / FOREST_TOP] + item % FOREST_TOP;
            if (from < roots(chunk)[item / FOREST_TOP + 1])
                copy_node(tops(chunk) + item, nodes + from);
        }
    }

    __device__ __forceinline__ void walk_chunk(uint32_t chunk, const char *row) const
    {
        const Node *nodes = at<Node>(image, f->nodes);
        const uint32_t lane = threadIdx.x % WARP, count = trees_of(chunk);
        for (uint32_t t = threadIdx.x / WARP; t < count; t += blockDim.x / WARP) {
            Node leaf = walk<Nodes>(tops(chunk) + t * FOREST_TOP, nodes + roots(chunk)[t], keys() + lane);
            kept(chunk)[t * FOREST_MANY_ROWS + lane] = Leaf::keep(image, f, row, leaf);
        }
    }

    /* Which warp adds an output changes from chunk to chunk, so that the work of a single one goes round. */
    __device__ __forceinline__ void add_chunk(uint32_t chunk) const
    {
        const uint32_t lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
        for (uint32_t o = (threadIdx.x / WARP + chunk) % warps; o < f->outputs; o += warps) {
            Sum &sum = sums()[o * FOREST_MANY_ROWS + lane];
            sum = Leaf::add(image, f, o, chunk * place.chunk, trees_of(chunk), kept(chunk) + lane, FOREST_MANY_ROWS, sum);
        }
    }
};

template <class Nodes, class Leaf> static __device__ __forceinline__ void forest_many(const cuda_args &args)
{
    typedef typename Leaf::Sum Sum;
    CUDA_SHARED(shared);
    const uint32_t rows = rows_of(args), first = blockIdx.x * FOREST_MANY_ROWS, lane = threadIdx.x % WARP;
    if (first >= rows)
        return;
    const uint32_t here = forest_lesser(rows - first, FOREST_MANY_ROWS);
    const forest_image *f = at<forest_image>(args.image, 0);
    const many<Nodes, Leaf> m = {args.image, f, forest_shared_many(f, widths<Nodes, Leaf>()), reinterpret_cast<char *>(shared)};
    m.start_tops(0);
    for (uint32_t r = threadIdx.x / LINE; r < FOREST_MANY_ROWS; r += blockDim.x / LINE) {
        const char *row = row_at(args, first + forest_lesser(r, here - 1)); /* lanes without a row repeat the last one */
        for (uint32_t part = threadIdx.x % LINE; part < row_parts(f); part += LINE)
            put_part(args.image, f, row, part, m.keys() + r, FOREST_MANY_ROWS);
    }
    for (uint32_t at = threadIdx.x; at < f->outputs * FOREST_MANY_ROWS; at += blockDim.x)
        m.sums()[at] = first_sum<Sum>(args.image, f, at / FOREST_MANY_ROWS);

    const char *row = row_at(args, first + forest_lesser(lane, here - 1));
    const uint32_t chunks = (f->trees + m.place.chunk - 1) / m.place.chunk;
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        copy_async_wait();
        __syncthreads(); /* the tops are there; the chunk before is walked, the one before that is added */
        if (chunk + 1 < chunks)
            m.start_tops(chunk + 1);
        if (chunk > 0)
            m.add_chunk(chunk - 1);
        m.walk_chunk(chunk, row);
    }
    __syncthreads();
    m.add_chunk(chunks - 1);
    __syncthreads();
    Sum *margins = static_cast<Sum *>(args.margins) + static_cast<uint64_t>(first) * f->outputs;
    for (uint32_t at = threadIdx.x; at < here * f->outputs; at += blockDim.x) {
        uint32_t o = at % f->outputs;
        margins[at] = last_sum(args.image, f, o, m.sums()[o * FOREST_MANY_ROWS + at / f->outputs]);
    }
    finish(args, (rows + FOREST_MANY_ROWS - 1) / FOREST_MANY_ROWS);
}

#define FOREST_MANY(name, Nodes, Leaf)                                                                                           \
    extern "C" __global__ void __launch_bounds__(1024, 1) cuda_forest_many_##name(const __grid_constant__ cuda_args args)        \
    {                                                                                                                            \
        forest_many<Nodes, Leaf>(args);                                                                                          \
    }
FOREST_MANY(n8_f32, nodes8, one_number<float>)
FOREST_MANY(n8_f64, nodes8, one_number<double>)
FOREST_MANY(n16_f32, nodes16, one_number<float>)
FOREST_MANY(n16_f64, nodes16, one_number<double>)
FOREST_MANY(n8_f32_vector, nodes8, many_numbers<float>)
FOREST_MANY(n8_f64_vector, nodes8, many_numbers<double>)
FOREST_MANY(n16_f32_vector, nodes16, many_numbers<float>)
FOREST_MANY(n16_f64_vector, nodes16, many_numbers<double>)
