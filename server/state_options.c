#include "server/state_options.h"

struct state_options state_options_of(const struct settings *settings)
{
    const int64_t second_us = 1000000;
    return (struct state_options){
        .memory_bytes = (uint64_t)settings->state_memory_bytes,
        .disorder_us = settings->state_disorder_s * second_us,
        .dedupe_us = settings->state_dedupe_s * second_us,
        .future_us = settings->state_future_s * second_us,
        .secret = hash_secret_random(),
    };
}

struct state_options state_options_default(void)
{
    /* Not settings_load: what a golden row gives may not depend on the environment. */
    static const struct settings defaults = {
#define OPTION_TEXT(key, field, def, flags, help)
#define OPTION_PATH(key, field, def, flags, help)
#define OPTION_BOOL(key, field, def, flags, help)
#define OPTION_INT(key, field, def, min, max, unit, flags, help) .field = def,
#define OPTION_REAL(key, field, def, min, max, unit, flags, help)
#define OPTION_CHOICE(key, field, def, choices, flags, help)
#include "config/options.def"
#include "config/options_undef.h"
    };
    return state_options_of(&defaults);
}
