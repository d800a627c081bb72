/* The two floating-point types that models compute in. */
#pragma once

#include <stddef.h>

enum number_type { NUMBER_F32, NUMBER_F64 };

static inline size_t number_type_bytes(enum number_type type)
{
    return type == NUMBER_F32 ? 4 : 8;
}
