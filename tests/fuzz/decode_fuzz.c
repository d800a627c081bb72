/* Any bytes: our decoder and jansson must agree (tests/support/decode_oracle.c). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/decode_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_oracle_open();
    const char *difference = decode_oracle_compare((const char *)data, size);
    if (difference) {
        (void)fprintf(stderr, "decoder and jansson differ: %s\n", difference);
        abort();
    }
    return 0;
}
