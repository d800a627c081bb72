/* Any bytes: the CatBoost importer refuses them, or gives a forest that passes the checks and can be scored. */
#include <stdint.h>

#include "tests/fuzz/importer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    importer_fuzz(&importer_catboost, data, size);
    return 0;
}
