#include "server/kafka/headers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "assay-";

static rd_kafka_headers_t *take_any(rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_detach_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_headers_new(4);
    return headers;
}

rd_kafka_headers_t *headers_take(rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = take_any(message);
    if (headers)
        headers_strip(headers);
    return headers;
}

/* A longer name is another maker's. */
static bool is_ours(const char *name)
{
    return strncmp(name, prefix, sizeof prefix - 1) == 0 && strlen(name) < 64;
}

/* Removes those that are ours, or those that are not. */
static void remove_where(rd_kafka_headers_t *headers, bool ours)
{
    const char *name;
    const void *value;
    size_t i = 0, size;
    while (rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        char *copy = is_ours(name) == ours ? strdup(name) : NULL; /* header_remove compares with what it frees */
        if (!copy || rd_kafka_header_remove(headers, copy) != RD_KAFKA_RESP_ERR_NO_ERROR)
            i++;
        free(copy);
    }
}

void headers_strip(rd_kafka_headers_t *headers)
{
    remove_where(headers, true);
}

void headers_keep_ours(rd_kafka_headers_t *headers)
{
    remove_where(headers, false);
}

enum status spare_headers_create(struct spare_headers *spare, uint32_t room, struct error *err)
{
    *spare = (struct spare_headers){.list = calloc(room, sizeof *spare->list), .room = room};
    return spare->list ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for the headers of results");
}

void spare_headers_free(struct spare_headers *spare)
{
    while (spare->count > 0)
        rd_kafka_headers_destroy(spare->list[--spare->count]);
    free(spare->list);
    *spare = (struct spare_headers){.list = NULL};
}

void spare_headers_give(struct spare_headers *spare, const rd_kafka_message_t *sent)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_detach_headers((rd_kafka_message_t *)(uintptr_t)sent, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    if (spare->count < spare->room && rd_kafka_header_cnt(headers) == HEADERS_OF_RESULT)
        spare->list[spare->count++] = headers;
    else
        rd_kafka_headers_destroy(headers);
}

rd_kafka_headers_t *spare_headers_take(struct spare_headers *spare)
{
    if (spare->count == 0)
        return NULL;
    rd_kafka_headers_t *headers = spare->list[--spare->count];
    (void)rd_kafka_header_remove(headers, HEADER_SOURCE);
    return headers;
}

enum status headers_add(rd_kafka_headers_t *headers, const char *name, const char *value, size_t len)
{
    rd_kafka_resp_err_t err = rd_kafka_header_add(headers, name, -1, value, (ssize_t)len);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? STATUS_OK : STATUS_NO_MEMORY;
}

static char *append_decimal(char *out, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *out++ = digits[--n];
    return out;
}

size_t headers_source(char *out, const char *topic, size_t topic_len, int32_t partition, int64_t offset)
{
    char *at = out;
    memcpy(at, topic, topic_len);
    at += topic_len;
    *at++ = '/';
    at = append_decimal(at, (uint64_t)partition);
    *at++ = '/';
    at = append_decimal(at, (uint64_t)offset);
    return (size_t)(at - out);
}
