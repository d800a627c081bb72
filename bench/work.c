#include "bench/work.h"

#include <string.h>

#include "model/base/check.h"
#include "server/gen/gen.h"

enum status work_transactions(uint64_t seed, struct gen **out, struct error *err)
{
    const struct gen_options options = {.seed = seed, .start_s = 1735689600, .per_day = 1e6, .cards = 50000, .terminals = 10000,
                                        .fraud = {[GEN_SPREE] = 0.002, [GEN_TERMINAL] = 0.002, [GEN_TESTING] = 0.002, [GEN_TAKEOVER] = 0.002}};
    return gen_create(&options, out, err);
}

size_t work_next(struct gen *gen, char *out, size_t size)
{
    char text[GEN_TEXT_MAX];
    struct gen_transaction tx;
    gen_next(gen, &tx);
    size_t len = gen_write_transaction(gen, &tx, text) - 1;
    CHECK(len <= size);
    memcpy(out, text, len);
    return len;
}
