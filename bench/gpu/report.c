#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/gpu/gpu.h"

double bus_bound_us(const struct results *r, uint32_t n)
{
    return r->bus_bytes_per_s > 0 ? n * r->bytes_a_row / r->bus_bytes_per_s * 1e6 : 0;
}

void report_table(FILE *out, const struct results *r)
{
    (void)fprintf(out, "\n%s\n%s", r->path, r->engine);
    (void)fprintf(out, "%8s  %10s %10s %10s  %12s  %10s  %10s  %8s\n", "rows", "p50 us", "p99 us", "p99.9 us", "rows/s", "cpu p50 us", "naive us", "of bus");
    for (uint32_t i = 0; i < r->count; i++) {
        const struct latency *g = &r->gpu[i];
        char share[16] = "-", naive[16] = "-";
        if (r->bus_bytes_per_s > 0)
            (void)snprintf(share, sizeof share, "%.1f %%", 100 * bus_bound_us(r, gpu_sizes[i]) / g->p50_us);
        if (r->naive_us[i] > 0)
            (void)snprintf(naive, sizeof naive, "%.1f", r->naive_us[i]);
        (void)fprintf(out, "%8u  %10.2f %10.2f %10.2f  %12.0f  %10.2f  %10s  %8s\n", gpu_sizes[i], g->p50_us, g->p99_us, g->p999_us,
                      gpu_sizes[i] / g->p50_us * 1e6, r->cpu[i].p50_us, naive, share);
    }
    (void)fprintf(out, "pipeline full: %.1f M rows/s", r->rows_per_s / 1e6);
    if (r->bus_bytes_per_s > 0)
        (void)fprintf(out, ", %.1f %% of the bus (%.1f GB/s)", 100 * r->rows_per_s * r->bytes_a_row / r->bus_bytes_per_s, r->bus_bytes_per_s / 1e9);
    if (r->crossover_rows > 0)
        (void)fprintf(out, "; faster than one CPU core from %.0f rows on\n", r->crossover_rows);
    else
        (void)fprintf(out, "; never faster than one CPU core\n");
    if (r->naive_us[0] > 0)
        (void)fprintf(out, "the naive chain takes %.1f times as long for one row, and its scores differ by up to %.1e\n", r->naive_us[0] / r->gpu[0].p50_us,
                      r->naive_difference);
}

/* Text of ours and file names: nothing that JSON escapes but quotes, backslashes and line ends. */
static void put_text(FILE *out, const char *text)
{
    (void)putc('"', out);
    for (; *text; text++) {
        if (*text == '\n')
            (void)fputs("\\n", out);
        else if (*text == '"' || *text == '\\')
            (void)fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text >= 0x20)
            (void)putc(*text, out);
    }
    (void)putc('"', out);
}

static void put_latency(FILE *out, const char *name, const struct latency *l)
{
    (void)fprintf(out, ",\"%s\":{\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"samples\":%u}", name, l->p50_us, l->p99_us, l->p999_us, l->samples);
}

static void put_model(FILE *out, const struct results *r)
{
    (void)fputs("{\"model\":", out);
    put_text(out, r->path);
    (void)fputs(",\"engine\":", out);
    put_text(out, r->engine);
    (void)fprintf(out, ",\"bytes_a_row\":%.0f,\"bus_bytes_per_s\":%.0f,\"rows_per_s\":%.0f,\"crossover_rows\":%.0f,\"sizes\":[", r->bytes_a_row,
                  r->bus_bytes_per_s, r->rows_per_s, r->crossover_rows);
    for (uint32_t i = 0; i < r->count; i++) {
        (void)fprintf(out, "%s{\"rows\":%u", i ? "," : "", gpu_sizes[i]);
        put_latency(out, "gpu", &r->gpu[i]);
        put_latency(out, "cpu", &r->cpu[i]);
        if (r->naive_us[i] > 0)
            (void)fprintf(out, ",\"naive_us\":%.3f", r->naive_us[i]);
        if (r->bus_bytes_per_s > 0)
            (void)fprintf(out, ",\"of_bus\":%.4f", bus_bound_us(r, gpu_sizes[i]) / r->gpu[i].p50_us);
        (void)putc('}', out);
    }
    (void)fputs("]}", out);
}

void report_json(FILE *out, const struct results *results, size_t n, const char *device)
{
    char host[64] = "";
    (void)gethostname(host, sizeof host - 1);
    (void)fprintf(out, "{\"at\":%lld,\"host\":", (long long)time(NULL));
    put_text(out, host);
    (void)fputs(",\"device\":", out);
    put_text(out, device);
    (void)fputs(",\"models\":[", out);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            (void)putc(',', out);
        put_model(out, &results[i]);
    }
    (void)fputs("]}\n", out);
}
