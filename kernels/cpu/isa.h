/* The instruction sets that the CPU kernels come in. */
#pragma once

#include <stdbool.h>

enum isa {
    ISA_SCALAR, /* C alone */
    ISA_AVX2,
    ISA_AVX512, /* F, BW, DQ, VL, VBMI: Ice Lake and Zen 4 onwards; where VBMI is missing AVX2 is used */
};

/* The best one that this processor and its operating system offer. */
enum isa isa_best(void);
const char *isa_name(enum isa isa);
