#include "server/load/field.h"

#include <string.h>

#include "model/input/scan.h"

struct span field_text(struct span json, const char *name)
{
    struct scan s = {.at = json.data, .start = json.data, .end = json.data + json.len};
    size_t name_len = strlen(name);
    bool more = scan_take(&s, '{') && scan_peek(&s) == '"';
    while (more) {
        struct scan_text key, text;
        if (!scan_string(&s, &key) || !scan_take(&s, ':'))
            break;
        bool wanted = key.len == name_len && memcmp(key.data, name, name_len) == 0;
        char first = scan_peek(&s);
        const char *begin = s.at;
        if (wanted && first == '"')
            return scan_string(&s, &text) ? (struct span){text.data, (uint32_t)text.len} : (struct span){NULL, 0};
        if (!scan_skip_value(&s, 1))
            break;
        if (wanted)
            return first == '{' || first == '[' ? (struct span){NULL, 0} : (struct span){begin, (uint32_t)(s.at - begin)};
        more = scan_peek(&s) == ',' && scan_take(&s, ',') && scan_peek(&s) == '"';
    }
    return (struct span){NULL, 0};
}
