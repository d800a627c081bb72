#include <string.h>

#include "bench/gpu/gpu.h"

static bool same(const struct call *a, const struct call *b, const struct model_info *info)
{
    return memcmp(a->margins, b->margins, (size_t)a->batch.n * info->margins * sizeof *a->margins) == 0 &&
           memcmp(a->scores, b->scores, (size_t)a->batch.n * info->scores * sizeof *a->scores) == 0;
}

static bool check_size(struct subject *s, struct subject *reference, struct call *got, struct call *want, uint32_t n, bool in_a_row)
{
    int64_t ns;
    call_pick(got, s, n, in_a_row);
    memcpy(want->slots, got->slots, n * sizeof *got->slots);
    want->batch.n = n;
    enum status status = call_run(got, s, &ns);
    if (status == STATUS_OK)
        status = call_run(want, reference, &ns);
    if (status != STATUS_OK)
        (void)printf("FAILED  %s: %u rows: %s\n", s->path, n, status_text(status));
    else if (!same(got, want, model_info(s->model)))
        (void)printf("DIFFERS %s: %u rows%s\n", s->path, n, in_a_row ? " in a row" : "");
    else
        return true;
    return false;
}

bool check_subject(struct subject *s, struct subject *reference)
{
    static const uint32_t sizes[] = {1, 2, 31, 32, 33, 257, 1024, 4097};
    struct call got, want;
    struct error err;
    uint32_t most = sizes[sizeof sizes / sizeof sizes[0] - 1], rows = 0;
    bool ok = call_init(&got, s, most, &err) == STATUS_OK && call_init(&want, reference, most, &err) == STATUS_OK;
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0] && ok; i++) {
        ok = check_size(s, reference, &got, &want, sizes[i / 2], i % 2 == 1);
        rows += sizes[i / 2];
    }
    if (ok)
        (void)printf("same    %s: %u rows in 16 batches, margins and scores to the bit\n", s->path, rows);
    call_free(&got);
    call_free(&want);
    return ok;
}
