/*
 * Forests, few rows: a block computes one row, each thread walks trees of its own. What the leaves add is kept in shared memory
 * and added in the forest's order by one thread an output, while the row's other threads are done; 500 additions take about a
 * microsecond, and no other order gives the library's bits.
 */
#include "kernels/cuda/forest.cuh"

/* From the root to the leaf. */
template <class Nodes>
static __device__ __forceinline__ typename Nodes::node walk(const typename Nodes::node *tree, const typename Nodes::key *keys)
{
    typename Nodes::node node = Nodes::load(tree);
    while (node.child != 0) {
        bool passes = keys[node.input] > node.limit;
        node = Nodes::load(tree + node.child + passes);
    }
    return node;
}

template <class Nodes, class Leaf> static __device__ __forceinline__ void forest_few(const cuda_args &args)
{
    typedef typename Nodes::key Key;
    typedef typename Leaf::Sum Sum;
    typedef typename Leaf::Kept Kept;
    CUDA_SHARED(shared);
    const char *row = row_at(args, blockIdx.x);
    uint32_t rows = rows_of(args);
    if (blockIdx.x >= rows)
        return;
    const void *image = args.image;
    const forest_image *f = at<forest_image>(image, 0);
    const forest_shared place = forest_shared_few(f, widths<Nodes, Leaf>());
    Key *keys = reinterpret_cast<Key *>(shared);
    Kept *kept = reinterpret_cast<Kept *>(reinterpret_cast<char *>(shared) + place.kept);
    Sum *sums = reinterpret_cast<Sum *>(reinterpret_cast<char *>(shared) + place.sums);

    for (uint32_t part = threadIdx.x; part < row_parts(f); part += blockDim.x)
        put_part(image, f, row, part, keys, 1);
    for (uint32_t o = threadIdx.x; o < f->outputs; o += blockDim.x)
        sums[o] = first_sum<Sum>(image, f, o);
    const uint32_t *roots = at<uint32_t>(image, f->roots);
    const typename Nodes::node *nodes = at<typename Nodes::node>(image, f->nodes);
    for (uint32_t first = 0; first < f->trees; first += place.chunk) {
        uint32_t count = forest_lesser(f->trees - first, place.chunk);
        __syncthreads(); /* keys are there, and the chunk before is added */
        for (uint32_t t = threadIdx.x; t < count; t += blockDim.x)
            kept[t] = Leaf::keep(image, f, row, walk<Nodes>(nodes + roots[first + t], keys));
        __syncthreads();
        for (uint32_t o = threadIdx.x; o < f->outputs; o += blockDim.x)
            sums[o] = Leaf::add(image, f, o, first, count, kept, 1, sums[o]);
    }
    Sum *margins = static_cast<Sum *>(args.margins) + static_cast<uint64_t>(blockIdx.x) * f->outputs;
    for (uint32_t o = threadIdx.x; o < f->outputs; o += blockDim.x)
        margins[o] = last_sum(image, f, o, sums[o]);
    finish(args, rows);
}

#define FOREST_FEW(name, Nodes, Leaf)                                                                                            \
    extern "C" __global__ void __launch_bounds__(512, 2) cuda_forest_few_##name(const __grid_constant__ cuda_args args)             \
    {                                                                                                                            \
        forest_few<Nodes, Leaf>(args);                                                                                           \
    }
FOREST_FEW(n8_f32, nodes8, one_number<float>)
FOREST_FEW(n8_f64, nodes8, one_number<double>)
FOREST_FEW(n16_f32, nodes16, one_number<float>)
FOREST_FEW(n16_f64, nodes16, one_number<double>)
FOREST_FEW(n8_f32_vector, nodes8, many_numbers<float>)
FOREST_FEW(n8_f64_vector, nodes8, many_numbers<double>)
FOREST_FEW(n16_f32_vector, nodes16, many_numbers<float>)
FOREST_FEW(n16_f64_vector, nodes16, many_numbers<double>)
