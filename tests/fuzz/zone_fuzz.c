/* tzdata files of hostile origin: no crash, and a table that is in order. */
#include <stdint.h>

#include "model/base/check.h"
#include "model/features/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *zone = NULL;
    struct error err = {{0}};
    if (zone_parse("fuzz", data, size, &zone, &err) != STATUS_OK) {
        CHECK(!zone && err.message[0] != '\0');
        return 0;
    }
    CHECK(zone->count > 0 && zone->from[0] == INT64_MIN);
    for (uint32_t i = 1; i < zone->count; i++)
        CHECK(zone->from[i] > zone->from[i - 1] && zone_offset_at(zone, zone->from[i]) == zone->offset[i]);
    (void)zone_local(zone, 1524087015);
    zone_free(zone);
    return 0;
}
