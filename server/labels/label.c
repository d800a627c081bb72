#include "server/labels/label.h"

enum { LABEL_ID, LABEL_FRAUD, LABEL_TIME, LABEL_FIELDS };

enum status label_reader_init(struct label_reader *reader, const struct schema *transactions, struct error *err)
{
    const struct field fields[LABEL_FIELDS] = {
        [LABEL_ID] = {.name = "transaction_id", .path = "transaction_id", .type = FIELD_ID, .required = true},
        [LABEL_FRAUD] = {.name = "fraud", .path = "fraud", .type = FIELD_BOOLEAN, .required = true},
        [LABEL_TIME] = {.name = "time", .path = "time", .type = FIELD_TIME, .unit = schema_field(transactions, schema_time(transactions))->unit,
                        .required = true},
    };
    *reader = (struct label_reader){.schema = NULL};
    enum status status = schema_create(fields, LABEL_FIELDS, &reader->schema, err);
    return status == STATUS_OK ? transaction_init(&reader->tx, reader->schema, 0, err) : status;
}

void label_reader_free(struct label_reader *reader)
{
    transaction_free(&reader->tx);
    schema_free(reader->schema);
    *reader = (struct label_reader){.schema = NULL};
}

enum status label_read(struct label_reader *reader, const char *json, size_t len, struct label *out, size_t *consumed,
                       struct decode_fault *fault)
{
    enum status status = decode_transaction(reader->schema, json, len, &reader->tx, consumed, fault);
    if (status == STATUS_OK)
        *out = (struct label){.id = reader->tx.values[LABEL_ID].text, .fraud = reader->tx.values[LABEL_FRAUD].number != 0,
                              .time_us = reader->tx.time_us};
    return status;
}

enum status label_read_whole(struct label_reader *reader, const char *json, size_t len, struct label *out, struct decode_fault *fault)
{
    size_t consumed;
    enum status status = label_read(reader, json, len, out, &consumed, fault);
    size_t after = status == STATUS_OK ? consumed + decode_skip_space(json + consumed, len - consumed) : len;
    if (after == len)
        return status;
    *fault = (struct decode_fault){.reason = DECODE_TRAILING, .field = -1, .offset = (uint32_t)after};
    return STATUS_INVALID;
}
