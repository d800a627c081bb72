#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/gpu.h"
#include "kernels/cpu/backend_cpu.h"
#include "kernels/cuda/backend_cuda.h"
#include "kernels/ref/backend_reference.h"

static const char usage[] =
    "usage: gpu_bench [--check] [--options OPTIONS] [--seconds S] [--json FILE] [--naive LIBRARY] MODEL...\n\n"
    "Scores each model file on a GPU. --check: compares margins and scores of many batches with the reference, to the bit. Else\n"
    "measures: microseconds from submit to scores being visible, on fresh random rows, at 1 to 65536 rows; rows a second with the\n"
    "pipeline full; the same on one CPU core; a naive chain of cuBLAS products where --naive names libgpu-naive.so.\n"
    "OPTIONS are the CUDA engine's (device=, module=, streams= ...). A model that the GPU does not compute is named and skipped.\n";

struct arguments {
    bool check;
    const char *options, *json, *naive;
    double seconds; /* for each figure */
};

static bool read_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option known[] = {{"check", no_argument, NULL, 'c'}, {"options", required_argument, NULL, 'o'}, {"json", required_argument, NULL, 'j'},
                                          {"naive", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    *out = (struct arguments){.options = "", .seconds = 1};
    for (int c = getopt_long(argc, argv, "", known, NULL); c != -1; c = getopt_long(argc, argv, "", known, NULL)) {
        switch (c) {
        case 'c': out->check = true; break;
        case 'o': out->options = optarg; break;
        case 'j': out->json = optarg; break;
        case 'n': out->naive = optarg; break;
        case 's': out->seconds = strtod(optarg, NULL); break;
        default: return false;
        }
    }
    return optind < argc && out->seconds > 0;
}

/* True: it is as it should be, or not for the GPU. */
static bool check_one(const struct arguments *with, const char *path)
{
    struct subject s, reference;
    struct error err = {""};
    enum status status = subject_open(&backend_cuda, with->options, path, NULL, &s, &err);
    if (status == STATUS_UNSUPPORTED)
        (void)printf("SKIPPED %s: %s\n", path, err.message);
    if (status != STATUS_OK && status != STATUS_UNSUPPORTED)
        (void)printf("FAILED  %s: %s\n", path, err.message);
    if (status != STATUS_OK)
        return status == STATUS_UNSUPPORTED;
    bool ok = subject_open(&backend_reference, "", path, &s, &reference, &err) == STATUS_OK && check_subject(&s, &reference);
    reference.model = NULL; /* they are the first one's */
    reference.rows.base = NULL;
    if (reference.engine.backend)
        subject_close(&reference);
    subject_close(&s);
    return ok;
}

static void measure_naive(const struct arguments *with, struct subject *gpu, struct results *out)
{
    struct naive *naive;
    struct error why = {""};
    if (!with->naive)
        return;
    if (!naive_open(with->naive, gpu, &naive, &why)) {
        (void)printf("SKIPPED the naive chain for %s: %s\n", gpu->path, why.message);
        return;
    }
    for (uint32_t i = 0; i < out->count; i++)
        out->naive_us[i] = naive_us(naive, gpu, gpu_sizes[i], with->seconds / 2);
    out->naive_difference = naive_difference(naive, gpu);
    naive_close(naive);
}

/* GPU and CPU in turn, so that both see the same machine. */
static enum status measure_sizes(const struct arguments *with, struct subject *gpu, struct subject *cpu, struct results *out, struct error *err)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < SIZES && gpu_sizes[i] <= gpu->batch_max && status == STATUS_OK; i++) {
        status = measure_latency(gpu, gpu_sizes[i], with->seconds, &out->gpu[i], err);
        if (status == STATUS_OK)
            status = measure_latency(cpu, gpu_sizes[i], with->seconds / 2, &out->cpu[i], err);
        out->count = i + 1;
    }
    uint32_t most = gpu->batch_max < 16384 ? gpu->batch_max : 16384;
    return status == STATUS_OK ? measure_rate(gpu, most, 2 * with->seconds, &out->rows_per_s, err) : status;
}

static enum status measure_one(const struct arguments *with, const char *path, struct results *out, char *device, size_t device_size, struct error *err)
{
    struct subject gpu, cpu = {.path = NULL};
    struct engine_state state;
    struct buf text = {0};
    enum status status = subject_open(&backend_cuda, with->options, path, NULL, &gpu, err);
    if (status != STATUS_OK)
        return status;
    const struct model_info *info = model_info(gpu.model);
    *out = (struct results){.path = path, .bytes_a_row = info->features * (double)number_type_bytes(info->input_type)};
    (void)engine_state(&gpu.engine, &state);
    (void)snprintf(device, device_size, "%s", state.device);
    out->bus_bytes_per_s = bus_bytes_per_s(state.bus);
    engine_describe(&gpu.engine, gpu.prepared, &text);
    (void)snprintf(out->engine, sizeof out->engine, "%s", buf_text(&text));
    buf_free(&text);
    status = subject_open(&backend_cpu, "", path, &gpu, &cpu, err);
    if (status == STATUS_OK)
        status = measure_sizes(with, &gpu, &cpu, out, err);
    if (status == STATUS_OK)
        measure_naive(with, &gpu, out);
    out->crossover_rows = crossover(out->gpu, out->cpu, out->count);
    cpu.model = NULL;
    cpu.rows.base = NULL;
    if (cpu.engine.backend)
        subject_close(&cpu);
    subject_close(&gpu);
    return status;
}

static int measure_all(const struct arguments *with, char **paths, size_t n)
{
    struct results *results = calloc(n, sizeof *results);
    char device[96] = "";
    size_t count = 0;
    int code = results ? 0 : 1;
    for (size_t i = 0; i < n && results; i++) {
        struct error err = {""};
        enum status status = measure_one(with, paths[i], &results[count], device, sizeof device, &err);
        if (status == STATUS_OK)
            report_table(stdout, &results[count++]);
        else
            (void)printf("%s %s: %s\n", status == STATUS_UNSUPPORTED ? "SKIPPED" : "FAILED ", paths[i], err.message);
        code = status == STATUS_OK || status == STATUS_UNSUPPORTED ? code : 1;
        (void)fflush(stdout);
    }
    FILE *json = with->json && results ? fopen(with->json, "w") : NULL;
    if (json) {
        report_json(json, results, count, device);
        code = fclose(json) == 0 ? code : 1;
    }
    free(results);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments with;
    struct error found = {""};
    if (!read_arguments(argc, argv, &with)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    uint32_t devices = backend_devices(&backend_cuda, with.options, &found);
    (void)printf("%s\n", found.message);
    if (devices == 0)
        return 1;
    if (!with.check)
        return measure_all(&with, argv + optind, (size_t)(argc - optind));
    bool ok = true;
    for (int i = optind; i < argc; i++) {
        ok = check_one(&with, argv[i]) && ok;
        (void)fflush(stdout);
    }
    return ok ? 0 : 1;
}
