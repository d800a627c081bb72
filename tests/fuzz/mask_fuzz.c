/* mask_cards over any bytes: digits become '*' and nothing else changes, three of them at least for each number. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/kafka/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* exactly so large, for AddressSanitizer */
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    size_t masked = mask_cards(text, size), changed = 0;
    for (size_t i = 0; i < size; i++) {
        bool kept = text[i] == (char)data[i], hidden = text[i] == '*' && data[i] >= '0' && data[i] <= '9';
        if (!kept && !hidden)
            abort();
        changed += !kept;
    }
    if (changed < 3 * masked || changed > 9 * masked)
        abort();
    free(text);
    return 0;
}
