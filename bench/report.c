#include "bench/report.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "model/base/check.h"

enum { FIGURES_MAX = 128 };

struct figure {
    char name[64], unit[24], note[160];
    double value;
    int decimals;
};

struct report {
    char bench[32];
    uint64_t seed;
    bool json;
    size_t count;
    struct figure figures[FIGURES_MAX];
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double report_quantile(double *values, size_t n, double q)
{
    CHECK(n > 0);
    qsort(values, n, sizeof *values, compare_doubles);
    size_t rank = (size_t)(q * (double)n);
    return values[rank < n ? rank : n - 1];
}

double report_median(double *values, size_t n)
{
    return report_quantile(values, n, 0.5);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double report_cpu_s(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

double report_thread_cpu_s(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

struct report *report_begin(const char *bench, uint64_t seed, bool json)
{
    struct report *r = calloc(1, sizeof *r);
    CHECK(r);
    (void)snprintf(r->bench, sizeof r->bench, "%s", bench);
    r->seed = seed;
    r->json = json;
    return r;
}

void report_add(struct report *report, const char *name, double value, const char *unit, int decimals, const char *note)
{
    CHECK(report->count < FIGURES_MAX);
    struct figure *f = &report->figures[report->count++];
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    (void)snprintf(f->unit, sizeof f->unit, "%s", unit);
    (void)snprintf(f->note, sizeof f->note, "%s", note);
    f->value = value;
    f->decimals = decimals;
}

void report_goal(struct report *report, const char *name, double value, const char *unit, int decimals, bool at_most, double limit)
{
    char note[160];
    bool met = at_most ? value <= limit : value >= limit;
    (void)snprintf(note, sizeof note, "goal: %s %g, %s", at_most ? "at most" : "at least", limit, met ? "met" : "MISSED");
    report_add(report, name, value, unit, decimals, note);
}

static void cpu_model(char *out, size_t size)
{
    (void)snprintf(out, size, "unknown processor");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f)
        return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (colon) {
            (void)snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    (void)fclose(f);
}

/* clang calls itself a gcc 4.2 too, so it is asked first. */
#ifdef __clang__
#define TEXT(x) #x
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)
#define COMPILER "clang " VERSION(__clang_major__, __clang_minor__, __clang_patchlevel__)
#else
#define COMPILER "gcc " __VERSION__
#endif

static void print_json(const struct report *r, const char *cpu)
{
    json_t *figures = json_object();
    for (size_t i = 0; i < r->count; i++)
        (void)json_object_set_new(figures, r->figures[i].name, json_real(r->figures[i].value));
    json_t *root = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:I, s:o}", "bench", r->bench, "version", ASSAY_VERSION, "cpu",
                             cpu, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "compiler", COMPILER, "librdkafka", rd_kafka_version_str(),
                             "libmicrohttpd", MHD_get_version(), "jansson", jansson_version_str(), "seed", (json_int_t)r->seed,
                             "figures", figures);
    CHECK(root);
    (void)json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    (void)putchar('\n');
    json_decref(root);
}

void report_end(struct report *report)
{
    char cpu[128];
    cpu_model(cpu, sizeof cpu);
    if (report->json) {
        print_json(report, cpu);
    } else {
        (void)printf("assay " ASSAY_VERSION " bench %s, seed %llu\n%s, %ld cores; " COMPILER "; librdkafka %s, libmicrohttpd %s, jansson %s\n",
                     report->bench, (unsigned long long)report->seed, cpu, sysconf(_SC_NPROCESSORS_ONLN), rd_kafka_version_str(),
                     MHD_get_version(), jansson_version_str());
        for (size_t i = 0; i < report->count; i++) {
            const struct figure *f = &report->figures[i];
            (void)printf("  %-28s %12.*f %-8s %s\n", f->name, f->decimals, f->value, f->unit, f->note);
        }
    }
    free(report);
}
