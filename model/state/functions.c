#include <string.h>

#include "model/base/check.h"
#include "model/state/state.h"

static const struct {
    const char *word;
    enum state_reads reads;
} functions[] = {
#define STATE_FUNCTION(name, word, reads, gives) {word, STATE_READS_##reads},
#include "model/state/functions.def"
#undef STATE_FUNCTION
};

const char *state_function_word(enum state_function function)
{
    CHECK(function < STATE_FUNCTION_COUNT);
    return functions[function].word;
}

int state_function_find(const char *word, size_t len)
{
    for (int i = 0; i < STATE_FUNCTION_COUNT; i++)
        if (strlen(functions[i].word) == len && memcmp(functions[i].word, word, len) == 0)
            return i;
    return -1;
}

enum state_reads state_function_reads(enum state_function function)
{
    CHECK(function < STATE_FUNCTION_COUNT);
    return functions[function].reads;
}
