/*
 * Log lines on stderr: one line a thing, logfmt or JSON, never one per transaction, never a card number.
 *
 *     log_info("kafka.assigned", LOG_TEXT("topic", topic), LOG_INT("partitions", n));
 *
 * Any thread; a line is written with one write(2). Of one event at most 10 lines a second come out; the rest are counted
 * and reported (log.repeated) with the next line of any event after that second, at the latest at exit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_REAL } kind;
    const char *text;
    int64_t integer;
    double real;
};

#define LOG_TEXT(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_TEXT, .text = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_INT, .integer = (int64_t)(v)})
#define LOG_REAL(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_REAL, .real = (v)})

void log_setup(enum log_level level, enum log_format format);

/* event: a dotted constant such as "http.listening"; kept by pointer, so it must be a literal. fields: an array that ends with a NULL key, or NULL for none; the
 * macros below build it from one or more LOG_… . */
void log_event(enum log_level level, const char *event, const struct log_field *fields);

#define log_error(event, ...) log_event(LOG_ERROR, event, (const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define log_warn(event, ...) log_event(LOG_WARN, event, (const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define log_info(event, ...) log_event(LOG_INFO, event, (const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define log_debug(event, ...) log_event(LOG_DEBUG, event, (const struct log_field[]){__VA_ARGS__, {.key = NULL}})
