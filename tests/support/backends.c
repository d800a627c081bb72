#include "tests/support/backends.h"

#include <stddef.h>

#include "kernels/ref/backend_reference.h"

const struct backend *const *backends_under_test(void)
{
    static const struct backend *const backends[] = {&backend_reference, NULL};
    return backends;
}
