#include "server/record.h"

#include <math.h>
#include <string.h>

#include "model/input/number.h"

void record_write_number(struct buf *out, double value, enum number_type type)
{
    if (!isfinite(value)) {
        buf_append(out, "null", 4);
        return;
    }
    char *to = buf_reserve(out, NUMBER_TEXT_MAX);
    if (to)
        out->len += type == NUMBER_F32 ? number_write_float(to, (float)value) : number_write_double(to, value);
}

static void write_text(struct buf *out, const char *text)
{
    buf_json_string(out, text, strlen(text));
}

#define LITERAL(out, text) buf_append(out, text, sizeof(text) - 1)

enum number_type record_score_type(const struct bundle *bundle)
{
    return bundle->calibration.kind == CALIBRATION_NONE ? model_info(bundle->model)->output_type : NUMBER_F64;
}

void record_write_score(struct buf *out, const struct bundle *bundle, double score)
{
    record_write_number(out, score, record_score_type(bundle));
}

void record_write_verdict(struct buf *out, const struct bundle *bundle, const struct verdict *verdict, uint64_t reasons)
{
    LITERAL(out, "\"score\":");
    record_write_score(out, bundle, verdict->score);
    LITERAL(out, ",\"decision\":\"");
    buf_string(out, decision_name(verdict->decision));
    LITERAL(out, "\",\"reasons\":[");
    const char *comma = "";
    for (uint64_t bits = reasons; bits; bits &= bits - 1) {
        buf_string(out, comma);
        write_text(out, bundle->reasons[__builtin_ctzll(bits)].code);
        comma = ",";
    }
    buf_char(out, ']');
}

void record_write_features(struct buf *out, const struct bundle *bundle, const void *row, enum number_type type)
{
    LITERAL(out, "\"features\":{");
    for (size_t c = 0; c < bundle->features; c++) {
        if (c)
            buf_char(out, ',');
        write_text(out, plan_column_name(bundle->plan, c));
        buf_char(out, ':');
        record_write_number(out, type == NUMBER_F32 ? (double)((const float *)row)[c] : ((const double *)row)[c], type);
    }
    buf_char(out, '}');
}

static void write_stage(struct buf *out, const char *name, int64_t ns, const char *before)
{
    buf_string(out, before);
    buf_string(out, name);
    LITERAL(out, "_us\":");
    record_write_number(out, (double)ns / 1000, NUMBER_F64);
}

static void write_timing(struct buf *out, const struct stage_times *t)
{
    write_stage(out, "decode", t->decode, ",\"timing\":{\"");
    write_stage(out, "features", t->features, ",\"");
    write_stage(out, "wait", t->wait, ",\"");
    write_stage(out, "score", t->score, ",\"");
    write_stage(out, "decide", t->decide, ",\"");
    buf_char(out, '}');
}

void record_write(struct buf *out, const struct txn *txn, const struct rows *rows, const struct record_options *options)
{
    static const char *const states[TXN_STATES] = {"complete", "warming", "late"};
    const struct bundle *bundle = txn->bundle;
    struct span id = txn->input.values[schema_id(bundle->schema)].text;
    LITERAL(out, "{\"transaction_id\":");
    buf_json_string(out, id.data, id.len);
    buf_char(out, ',');
    record_write_verdict(out, bundle, &txn->verdict, txn->reasons);
    LITERAL(out, ",\"model\":");
    write_text(out, bundle->name);
    LITERAL(out, ",\"version\":");
    write_text(out, bundle->version);
    LITERAL(out, ",\"state\":\"");
    buf_string(out, states[txn->state]);
    buf_char(out, '"');
    if (options->features) {
        buf_char(out, ',');
        record_write_features(out, bundle, (const char *)rows->base + (size_t)txn->number * rows->stride, rows->type);
    }
    if (options->timing)
        write_timing(out, &txn->times);
    buf_char(out, '}');
}

void record_write_fallback(struct buf *out, const struct txn *txn)
{
    const struct bundle *bundle = txn->bundle;
    struct span id = txn->input.values[schema_id(bundle->schema)].text;
    LITERAL(out, "{\"transaction_id\":");
    buf_json_string(out, id.data, id.len);
    buf_char(out, ',');
    record_write_verdict(out, bundle, &txn->verdict, 0);
    LITERAL(out, ",\"model\":");
    write_text(out, bundle->name);
    LITERAL(out, ",\"version\":");
    write_text(out, bundle->version);
    LITERAL(out, ",\"state\":\"fallback\"}");
}

void record_write_fault(struct buf *out, const struct schema *schema, const struct decode_fault *fault)
{
    LITERAL(out, "\"detail\":");
    /* The message is written once past where its escaped form will stand, so that no buffer of its own is needed. */
    size_t at = out->len;
    decode_fault_describe(schema, fault, out);
    size_t len = out->len - at, room = 6 * len + 2; /* the longest escaped form */
    if (!buf_reserve(out, room))
        return;
    memmove(out->data + at + room, out->data + at, len);
    out->len = at;
    buf_json_string(out, out->data + at + room, len);
    LITERAL(out, ",\"reason\":");
    write_text(out, decode_reason_label(fault->reason));
    if (fault->field >= 0) {
        LITERAL(out, ",\"field\":");
        write_text(out, schema_field(schema, (size_t)fault->field)->path);
    }
    buf_format(out, ",\"offset\":%u", fault->offset);
}
