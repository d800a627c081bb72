/* Any bytes as the rows of `assay model predict`: every cell of every row is a number of the model's, or is refused. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/base/check.h"
#include "server/cmd/feature_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const char *path, const struct model_info *info)
{
    struct feature_rows rows;
    struct error err;
    double row[3]; /* as wide as the widest type needs */
    bool more = true;
    enum status status = feature_rows_open(&rows, path, info, &err);
    while (status == STATUS_OK && more)
        status = feature_rows_next(&rows, row, &more, &err);
    feature_rows_close(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"amount", "a,b", "night"};
    const struct model_info named = {.features = 3, .feature_names = names, .input_type = NUMBER_F32};
    const struct model_info unnamed = {.features = 2, .input_type = NUMBER_F64};
    char path[64];
    int fd = memfd_create("csv", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_all(path, &named);
    read_all(path, &unnamed);
    (void)close(fd);
    return 0;
}
