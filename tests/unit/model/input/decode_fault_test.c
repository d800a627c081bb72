/* The refusals of docs/transactions.md: each example, decoded under the page's schema, is answered as the page says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/input/decode.h"

static const struct field fields[] = {
    {.name = "id", .path = "tx_id", .type = FIELD_ID},
    {.name = "time", .path = "ts", .type = FIELD_TIME, .unit = TIME_SECONDS},
    {.name = "card", .path = "customer_id", .type = FIELD_KEY, .required = true},
    {.name = "amount", .path = "amount", .type = FIELD_NUMBER, .required = true},
    {.name = "online", .path = "online", .type = FIELD_BOOLEAN},
    {.name = "country", .path = "merchant.country", .type = FIELD_CATEGORY},
    {.name = "opened", .path = "merchant.opened", .type = FIELD_TIME, .unit = TIME_RFC3339},
};

static struct schema *schema;
static struct transaction tx;
static struct buf page;

static int setup(void **state)
{
    (void)state;
    struct error err;
    struct buf path = {0};
    const char *root = getenv("ASSAY_SOURCE");
    buf_format(&path, "%s/docs/transactions.md", root ? root : ".");
    bool ready = schema_create(fields, sizeof fields / sizeof fields[0], &schema, &err) == STATUS_OK &&
                 transaction_init(&tx, schema, 0, &err) == STATUS_OK &&
                 buf_read_file(&page, buf_text(&path), 1 << 20, &err) == STATUS_OK;
    buf_free(&path);
    return !ready;
}

static int teardown(void **state)
{
    (void)state;
    transaction_free(&tx);
    schema_free(schema);
    buf_free(&page);
    return 0;
}

/* The page's shorthand: <FF> is that byte, an ellipsis repeats the character before it. */
static void expand(const char *text, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (len - i >= 4 && memcmp(text + i, "<FF>", 4) == 0) {
            buf_char(out, '\xff');
            i += 3;
        } else if (len - i >= 3 && memcmp(text + i, "\xe2\x80\xa6", 3) == 0) {
            for (int k = 0; k < 300; k++)
                buf_char(out, text[i - 1]);
            i += 2;
        } else {
            buf_char(out, text[i]);
        }
    }
}

static struct decode_fault fault_of(const struct buf *document)
{
    struct decode_fault fault;
    size_t consumed;
    if (decode_transaction(schema, document->data, document->len, &tx, &consumed, &fault) == STATUS_OK) {
        consumed += decode_skip_space(document->data + consumed, document->len - consumed);
        if (consumed < document->len)
            fault = (struct decode_fault){DECODE_TRAILING, -1, (uint32_t)consumed};
    }
    return fault;
}

/* A line of the table: | `reason` | `document` | message | */
static bool check_line(const char *line, bool *seen)
{
    const char *reason = strncmp(line, "| `", 3) == 0 ? line + 3 : NULL;
    const char *document = reason ? strstr(reason, "` | `") : NULL;
    const char *message = document ? strstr(document + 5, "` | ") : NULL;
    if (!message)
        return false;
    struct buf text = {0}, said = {0};
    expand(document + 5, (size_t)(message - document - 5), &text);
    struct decode_fault fault = fault_of(&text);
    decode_fault_describe(schema, &fault, &said);
    buf_string(&said, " |");
    const char *label = decode_reason_label(fault.reason);
    if (strlen(label) != (size_t)(document - reason) || memcmp(label, reason, strlen(label)) != 0 || strcmp(buf_text(&said), message + 4) != 0)
        fail_msg("%s\nis answered: %s | %s", line, label, buf_text(&said));
    seen[fault.reason] = true;
    buf_free(&text);
    buf_free(&said);
    return true;
}

static void answers_as_the_page_says(void **state)
{
    (void)state;
    bool seen[DECODE_REASON_COUNT] = {[DECODE_NONE] = true};
    size_t examples = 0;
    (void)buf_text(&page);
    char *line = strstr(page.data, "## Refusals");
    assert_non_null(line);
    while (line) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        examples += check_line(line, seen);
        line = end ? end + 1 : NULL;
    }
    seen[DECODE_FUTURE] = true; /* no document alone is ahead of the clock: server/admit.c refuses it */
    assert_true(examples >= DECODE_REASON_COUNT - 2);
    for (int r = 0; r < DECODE_REASON_COUNT; r++) {
        if (!seen[r])
            fail_msg("the page has no example of '%s'", decode_reason_label((enum decode_reason)r));
    }
}

static void the_page_s_example_is_taken(void **state)
{
    (void)state;
    const char *start = strstr(buf_text(&page), "    {\"tx_id\""), *end = start ? strstr(start, "\n\n") : NULL;
    assert_non_null(end);
    struct decode_fault fault;
    size_t consumed;
    assert_int_equal(decode_transaction(schema, start, (size_t)(end - start), &tx, &consumed, &fault), STATUS_OK);
    assert_true(tx.time_us == INT64_C(1522540831000000) && tx.values[3].number == 57.16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_s_example_is_taken),
        cmocka_unit_test(answers_as_the_page_says),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
