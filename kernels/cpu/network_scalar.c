#include "kernels/cpu/network_scalar.h"

const struct network_kernels network_kernels_scalar = {dense, each, affine, layer_norm, softmax, reduce};
