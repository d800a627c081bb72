#if defined(__FMA__)
#include "kernels/cpu/network_scalar.h"

const struct network_kernels network_kernels_fma = {dense, each, affine, layer_norm, softmax, reduce};
#endif
