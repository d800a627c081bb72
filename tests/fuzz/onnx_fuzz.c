/* Any bytes: the ONNX importer refuses them, or gives a forest or a network that passes the checks and can be scored. */
#include <stdint.h>

#include "tests/fuzz/importer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    importer_fuzz(&importer_onnx, data, size);
    return 0;
}
