/* Any bytes as HTTP answers: in one piece and cut by their own values, the same comes out; nothing beyond them is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "server/load/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds copies of their own size, so that reading past a piece is seen. Returns the state; *used: what the answer took. */
static enum answer_state feed(struct answer *a, const uint8_t *data, size_t size, size_t piece, size_t *used)
{
    enum answer_state state = ANSWER_MORE;
    answer_begin(a);
    for (*used = 0; state == ANSWER_MORE && *used < size;) {
        size_t n, len = size - *used < piece ? size - *used : piece;
        char *copy = malloc(len);
        CHECK(copy);
        memcpy(copy, data + *used, len);
        state = answer_feed(a, copy, len, &n);
        CHECK(n <= len && (state != ANSWER_MORE || n == len));
        free(copy);
        *used += n;
    }
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer whole = {.status = 0}, pieces = {.status = 0};
    size_t used, used_in_pieces, piece = size > 0 ? 1 + data[0] % 9 : 1;
    enum answer_state state = feed(&whole, data, size, size + 1, &used);
    CHECK(feed(&pieces, data, size, piece, &used_in_pieces) == state);
    if (state == ANSWER_DONE) {
        CHECK(used == used_in_pieces && whole.status >= 200 && whole.status <= 599 && whole.status == pieces.status && whole.close == pieces.close);
        CHECK(whole.body.len == pieces.body.len && whole.body.len < size && (whole.body.len == 0 || memcmp(whole.body.data, pieces.body.data, whole.body.len) == 0));
    }
    CHECK(answer_end(&whole) == answer_end(&pieces) || state == ANSWER_BROKEN);
    answer_free(&whole);
    answer_free(&pieces);
    return 0;
}
