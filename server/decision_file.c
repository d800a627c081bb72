/*
 * The decision log's file: appended to in large writes. The file may be renamed at any time (logrotate): the next lines after
 * a second see that the name no longer leads to it and go to a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/base/clock.h"
#include "server/decision_log.h"

struct file {
    char *path;
    int fd;
    size_t written; /* of the lines that are offered again because a write failed in their middle */
    bool torn;      /* the rest of them was dropped: a line may lack its end */
    int64_t checked_ns;
};

static enum status open_file(struct file *f, struct error *err)
{
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return error_set(err, STATUS_IO, "decision_log.file %s: %s", f->path, strerror(errno));
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = fd;
    return STATUS_OK;
}

/* Once a second, between lines: is the name still that of the open file? Where a new one can't be opened, the old one goes
 * on: rather the renamed file than none. */
static void follow_rename(struct file *f)
{
    int64_t now = clock_monotonic_ns();
    if (f->written > 0 || f->torn || now - f->checked_ns < 1000000000)
        return;
    f->checked_ns = now;
    struct stat named, opened;
    bool same = stat(f->path, &named) == 0 && fstat(f->fd, &opened) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
    if (!same)
        (void)open_file(f, NULL);
}

static enum status write_lines(void *context, const char *lines, size_t len, struct error *err)
{
    struct file *f = context;
    follow_rename(f);
    if (f->torn && write(f->fd, "\n", 1) != 1)
        return error_set(err, STATUS_BUSY, "decision_log.file %s: %s", f->path, strerror(errno));
    f->torn = false;
    while (f->written < len) {
        ssize_t n = write(f->fd, lines + f->written, len - f->written);
        if (n < 0 && errno != EINTR)
            return error_set(err, STATUS_BUSY, "decision_log.file %s: %s", f->path, strerror(errno));
        f->written += n > 0 ? (size_t)n : 0;
    }
    f->written = 0;
    return STATUS_OK;
}

static void drop_lines(void *context)
{
    struct file *f = context;
    f->torn = f->torn || f->written > 0;
    f->written = 0;
}

static void close_file(void *context)
{
    struct file *f = context;
    if (f->fd >= 0) {
        (void)fsync(f->fd);
        (void)close(f->fd);
    }
    free(f->path);
    free(f);
}

enum status decision_file_check(const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd >= 0)
        return close(fd) == 0 ? STATUS_OK : error_set(err, STATUS_IO, "decision_log.file %s: %s", path, strerror(errno));
    if (errno != ENOENT)
        return error_set(err, STATUS_IO, "decision_log.file %s: %s", path, strerror(errno));
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!folder)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = access(folder, W_OK | X_OK) == 0 ? STATUS_OK : error_set(err, STATUS_IO, "decision_log.file %s: %s", path, strerror(errno));
    free(folder);
    return status;
}

enum status decision_file_open(const char *path, struct decision_writer *out, struct error *err)
{
    struct file *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    f->fd = -1;
    f->path = strdup(path);
    enum status status = f->path ? open_file(f, err) : error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    if (status != STATUS_OK) {
        close_file(f);
        return status;
    }
    *out = (struct decision_writer){.write = write_lines, .drop = drop_lines, .close = close_file, .context = f};
    return STATUS_OK;
}
