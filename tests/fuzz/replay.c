/* Runs a fuzz target over the files of a directory: the kept corpus as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>

#include "model/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        (void)fprintf(stderr, "usage: replay DIRECTORY\n");
        return 2;
    }
    int inputs = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        struct buf path = {0}, content = {0};
        struct error err;
        buf_format(&path, "%s/%s", argv[1], entry->d_name);
        if (buf_read_file(&content, buf_text(&path), 64 << 20, &err) != STATUS_OK) {
            (void)fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&content), content.len);
        buf_free(&path);
        buf_free(&content);
        inputs++;
    }
    (void)closedir(dir);
    (void)printf("replayed %d inputs\n", inputs);
    return inputs == 0; /* an empty corpus tests nothing */
}
