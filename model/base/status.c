#include "model/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/base/check.h"

enum status error_set(struct error *err, enum status code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

enum status error_prefix(struct error *err, enum status code, const char *format, ...)
{
    if (!err)
        return code;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = strlen(err->message);
    (void)snprintf(err->message + used, sizeof err->message - used, ": %s", old);
    return code;
}

const char *status_name(enum status code)
{
    static const char *const names[] = {
#define STATUS(name, text) #name,
#include "model/base/status.def"
#undef STATUS
    };
    CHECK(code < STATUS_COUNT);
    return names[code];
}

const char *status_text(enum status code)
{
    static const char *const texts[] = {
#define STATUS(name, text) text,
#include "model/base/status.def"
#undef STATUS
    };
    CHECK(code < STATUS_COUNT);
    return texts[code];
}
