/* Refusals in words. They name the field and the place, never the value: it may be a card number. */
#include "model/base/check.h"
#include "model/input/decode.h"

static const struct {
    const char *label, *text;
} reasons[] = {
#define REASON(name, label, text) {label, text},
#include "model/input/reasons.def"
#undef REASON
};

const char *decode_reason_label(enum decode_reason reason)
{
    CHECK(reason < DECODE_REASON_COUNT);
    return reasons[reason].label;
}

static const char *needed(const struct field *f)
{
    static const char *const times[] = {
        [TIME_SECONDS] = "a number of seconds since 1970",
        [TIME_MILLISECONDS] = "a number of milliseconds since 1970",
        [TIME_MICROSECONDS] = "a number of microseconds since 1970",
        [TIME_RFC3339] = "a text such as \"2018-04-01T00:00:31Z\"",
    };
    switch (f->type) {
    case FIELD_ID:
    case FIELD_KEY:
        return "a text or an integer";
    case FIELD_TIME:
        return times[f->unit];
    case FIELD_NUMBER:
        return "a number";
    case FIELD_BOOLEAN:
        return "true or false";
    case FIELD_CATEGORY:
        return "a text";
    }
    return "another value";
}

void decode_fault_describe(const struct schema *schema, const struct decode_fault *fault, struct buf *out)
{
    CHECK(fault->reason < DECODE_REASON_COUNT);
    if (fault->field >= 0) {
        const struct field *f = schema_field(schema, (size_t)fault->field);
        buf_format(out, "field \"%s\" (offset %u): %s", f->path, fault->offset, reasons[fault->reason].text);
        if (fault->reason == DECODE_TYPE || fault->reason == DECODE_TIME_FORMAT || fault->reason == DECODE_MISSING)
            buf_format(out, ", %s is needed", needed(f));
    } else {
        buf_format(out, "offset %u: %s", fault->offset, reasons[fault->reason].text);
    }
}
