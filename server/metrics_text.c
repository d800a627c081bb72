/*
 * The text exposition of metrics: families of metrics.def, build and model, the process, then what collectors add.
 *
 * Format: "Prometheus text-based exposition format", version 0.0.4. HELP and TYPE once a family, its samples together;
 * buckets cumulative with le="+Inf" last; durations in seconds. Process metrics have the names that the Prometheus client
 * guidelines give them and are read from /proc/self (proc(5)).
 */
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/metrics_layout.h"

/* In HELP a quote stands for itself, in a label value it is escaped; backslash and newline are escaped in both. */
static void put_escaped(struct buf *out, const char *text, size_t len, bool quotes)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' || (quotes && text[i] == '"'))
            buf_char(out, '\\');
        if (text[i] == '\n')
            buf_string(out, "\\n");
        else
            buf_char(out, text[i]);
    }
}

static void put_label(struct buf *out, char before, const char *name, size_t name_len, const char *value, size_t value_len)
{
    buf_char(out, before);
    buf_append(out, name, name_len);
    buf_string(out, "=\"");
    put_escaped(out, value, value_len, true);
    buf_char(out, '"');
}

void metrics_write_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_format(out, "# HELP %s ", name);
    put_escaped(out, help, strlen(help), false);
    buf_format(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_write_sample(struct buf *out, const char *name, const struct metrics_label *labels, size_t n, double value)
{
    buf_string(out, name);
    for (size_t i = 0; i < n; i++)
        put_label(out, i ? ',' : '{', labels[i].name, strlen(labels[i].name), labels[i].value, strlen(labels[i].value));
    if (n)
        buf_char(out, '}');
    if (isnan(value))
        buf_string(out, " NaN\n");
    else if (isinf(value))
        buf_string(out, value > 0 ? " +Inf\n" : " -Inf\n");
    else
        buf_format(out, " %.15g\n", value);
}

/* `le`: NULL for none. */
static void put_series(struct buf *out, const struct metric_family *family, const char *suffix, uint32_t combination, const char *le)
{
    char before = '{';
    buf_string(out, family->name);
    buf_string(out, suffix);
    uint32_t rest = family->combinations;
    for (uint32_t i = 0; i < family->label_count; i++) {
        const struct metric_label *label = &family->labels[i];
        rest /= label->count;
        struct span value = label->values[combination / rest % label->count];
        put_label(out, before, label->name.data, label->name.len, value.data, value.len);
        before = ',';
    }
    if (le) {
        put_label(out, before, "le", 2, le, strlen(le));
        before = ',';
    }
    buf_string(out, before == '{' ? " " : "} ");
}

static void put_histogram(struct buf *out, const struct metrics *metrics, const struct metric_family *family, uint32_t combination)
{
    uint32_t cell = family->first + combination * family->width;
    bool seconds = family->kind == METRIC_KIND_SECONDS;
    uint64_t count = 0;
    for (uint32_t i = 0; i <= family->scale->count; i++) {
        char le[32] = "+Inf";
        if (i < family->scale->count)
            (void)snprintf(le, sizeof le, "%.15g", (double)family->scale->bounds[i] / (seconds ? 1e9 : 1));
        count += metrics_cell_sum(metrics, cell + i);
        put_series(out, family, "_bucket", combination, le);
        buf_format(out, "%" PRIu64 "\n", count);
    }
    uint64_t sum = metrics_cell_sum(metrics, cell + family->width - 1);
    put_series(out, family, "_sum", combination, NULL);
    if (seconds)
        buf_format(out, "%" PRIu64 ".%09" PRIu64 "\n", sum / 1000000000, sum % 1000000000);
    else
        buf_format(out, "%" PRIu64 "\n", sum);
    put_series(out, family, "_count", combination, NULL);
    buf_format(out, "%" PRIu64 "\n", count);
}

static bool is_hidden(const struct metric_family *family, uint32_t combination)
{
    uint32_t rest = family->combinations;
    for (uint32_t i = 0; i < family->label_count; i++) {
        rest /= family->labels[i].count;
        if (family->labels[i].values[combination / rest % family->labels[i].count].data[0] == '-')
            return true;
    }
    return false;
}

static void put_family(struct buf *out, const struct metrics *metrics, const struct metric_family *family)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "histogram"};
    metrics_write_family(out, family->name, types[family->kind], family->help);
    for (uint32_t i = 0; i < family->combinations; i++) {
        if (is_hidden(family, i))
            continue;
        if (family->scale) {
            put_histogram(out, metrics, family, i);
            continue;
        }
        uint64_t sum = metrics_cell_sum(metrics, family->first + i);
        put_series(out, family, "", i, NULL);
        if (family->kind == METRIC_KIND_GAUGE)
            buf_format(out, "%" PRId64 "\n", (int64_t)sum);
        else
            buf_format(out, "%" PRIu64 "\n", sum);
    }
}

static void put_value(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    metrics_write_family(out, name, type, help);
    metrics_write_sample(out, name, NULL, 0, value);
}

static void put_info(struct buf *out, const struct metrics *metrics)
{
    const struct metrics_label build[] = {{"version", ASSAY_VERSION}, {"compiler", __VERSION__}};
    metrics_write_family(out, "assay_build_info", "gauge", "What runs; always 1.");
    metrics_write_sample(out, "assay_build_info", build, 2, 1);
    if (!metrics->model_name)
        return;
    const struct metrics_label model[] = {
        {"name", metrics->model_name}, {"version", metrics->model_version}, {"digest", metrics->model_digest}};
    metrics_write_family(out, "assay_model_info", "gauge", "The bundle that is served, with its SHA-256; always 1.");
    metrics_write_sample(out, "assay_model_info", model, 3, 1);
}

/* The value of field `number` (from 1, as proc(5) counts) of /proc/self/stat; the second one may hold spaces and brackets. */
static double stat_field(const char *stat, int number)
{
    const char *at = strrchr(stat, ')');
    for (int i = 2; at && i < number; i++)
        at = strchr(at + 1, ' ');
    return at ? strtod(at, NULL) : NAN;
}

static double start_time_seconds(const char *stat)
{
    double start = NAN;
    struct buf text = {0};
    if (buf_read_file(&text, "/proc/stat", 1 << 20, NULL) == STATUS_OK) {
        const char *boot = strstr(buf_text(&text), "\nbtime ");
        start = boot ? strtod(boot + 7, NULL) + stat_field(stat, 22) / (double)sysconf(_SC_CLK_TCK) : NAN;
    }
    buf_free(&text);
    return start;
}

static double open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return NAN;
    double n = -3; /* ".", ".." and the directory itself */
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

static void put_process_stat(struct buf *out, const char *stat)
{
    put_value(out, "process_threads", "gauge", "Threads of the process.", stat_field(stat, 20));
    put_value(out, "process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes.", stat_field(stat, 23));
    put_value(out, "process_resident_memory_bytes", "gauge", "Resident memory, in bytes.",
              stat_field(stat, 24) * (double)sysconf(_SC_PAGESIZE));
    put_value(out, "process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970 UTC.",
              start_time_seconds(stat));
}

static void put_process(struct buf *out)
{
    struct rusage usage;
    struct rlimit files;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        put_value(out, "process_cpu_seconds_total", "counter", "User and system CPU time, in seconds.", seconds);
    }
    double open = open_files();
    if (!isnan(open))
        put_value(out, "process_open_fds", "gauge", "Open file descriptors.", open);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        put_value(out, "process_max_fds", "gauge", "Most file descriptors that may be open.",
                  files.rlim_cur == RLIM_INFINITY ? INFINITY : (double)files.rlim_cur);
    struct buf stat = {0};
    if (buf_read_file(&stat, "/proc/self/stat", 65536, NULL) == STATUS_OK)
        put_process_stat(out, buf_text(&stat));
    buf_free(&stat);
}

void metrics_expose(struct metrics *metrics, struct buf *out)
{
    (void)pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        put_family(out, metrics, &metrics->families[i]);
    put_info(out, metrics);
    put_process(out);
    for (size_t i = 0; i < metrics->collector_count; i++)
        metrics->collectors[i].collect(metrics->collectors[i].context, out);
    (void)pthread_mutex_unlock(&metrics->lock);
}
