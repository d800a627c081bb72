#include "bench/gpu/naive.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/gpu.h"
#include "model/base/clock.h"
#include "model/network.h"

enum { SAMPLES_MOST = 2000 };

struct naive {
    struct naive_net *net;
    naive_score *score;
    naive_rows *rows;
    naive_free *free;
    float *scores;
    uint32_t inputs, rows_max;
};

/* The layer that an operation is; a function alone becomes that of the layer before. false: it is neither. */
static bool add_layer(const struct network *n, const struct network_op *op, uint32_t wire, struct naive_layer *layers, uint32_t *count)
{
    enum naive_function function = op->function == NETWORK_FN_RELU      ? NAIVE_RELU
                                   : op->function == NETWORK_FN_SIGMOID ? NAIVE_SIGMOID
                                                                        : NAIVE_IDENTITY;
    bool plain = op->groups == 1 && op->inputs[0] == wire && (function != NAIVE_IDENTITY || op->function == NETWORK_FN_IDENTITY);
    if (plain && op->kind == NETWORK_DENSE && *count < NAIVE_LAYERS_MAX) {
        uint32_t inputs = network_width(n, wire);
        const float *numbers = n->numbers + op->first;
        layers[(*count)++] = (struct naive_layer){inputs, op->width, numbers, numbers + (size_t)inputs * op->width, function};
        return true;
    }
    if (!plain || op->kind != NETWORK_MAP || *count == 0 || layers[*count - 1].function != NAIVE_IDENTITY)
        return false;
    layers[*count - 1].function = function;
    return true;
}

static uint32_t layers_of(const struct network *n, struct naive_layer *layers)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->op_count; i++) {
        if (!add_layer(n, &n->ops[i], i, layers, &count))
            return 0;
    }
    if (count > 0 && n->link != LINK_IDENTITY && layers[count - 1].function == NAIVE_IDENTITY)
        layers[count - 1].function = NAIVE_SIGMOID;
    return count;
}

static void *symbol(void *library, const char *name, struct error *why)
{
    void *found = dlsym(library, name);
    if (!found)
        (void)error_set(why, STATUS_UNSUPPORTED, "no %s", name);
    return found;
}

bool naive_open(const char *path, const struct subject *s, struct naive **out, struct error *why)
{
    struct naive_layer layers[NAIVE_LAYERS_MAX];
    const struct network *network = model_network(s->model);
    uint32_t count = network ? layers_of(network, layers) : 0;
    if (count == 0)
        return error_set(why, STATUS_UNSUPPORTED, "no plain network of dense layers") == STATUS_OK;
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        return error_set(why, STATUS_UNSUPPORTED, "%s", dlerror()) == STATUS_OK;
    struct naive *n = calloc(1, sizeof *n);
    if (!n)
        return false;
    naive_make *make = NULL;
    *(void **)(&make) = symbol(library, "naive_net_make", why);
    *(void **)(&n->score) = symbol(library, "naive_net_score", why);
    *(void **)(&n->rows) = symbol(library, "naive_net_rows", why);
    *(void **)(&n->free) = symbol(library, "naive_net_free", why);
    const char *named = getenv("ASSAY_CUBLAS"), *names[] = {named ? named : "libcublas.so.13", "libcublas.so.12"};
    n->rows_max = gpu_sizes[SIZES - 1];
    n->inputs = layers[0].inputs;
    n->scores = calloc(n->rows_max, sizeof *n->scores);
    for (size_t i = 0; i < 2 && !n->net && make && n->scores; i++)
        n->net = make(names[i], layers, count, n->rows_max, why->message);
    if (!n->net || !n->score || !n->rows || !n->free) {
        free(n->scores);
        free(n);
        return false;
    }
    *out = n;
    return true;
}

/* The gathering is part of it: a framework is given an array of rows, too. */
static int score(struct naive *n, const struct subject *s, const struct call *call)
{
    float *to = n->rows(n->net);
    for (uint32_t i = 0; i < call->batch.n; i++)
        memcpy(to + (size_t)i * n->inputs, (const char *)s->rows.base + (size_t)call->slots[i] * s->rows.stride, n->inputs * sizeof *to);
    return n->score(n->net, to, call->batch.n, n->scores);
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double naive_us(struct naive *n, struct subject *s, uint32_t rows, double seconds)
{
    struct call call;
    struct error err;
    double us[SAMPLES_MOST];
    uint32_t count = 0;
    if (call_init(&call, s, rows, &err) != STATUS_OK)
        return 0;
    int wrong = 0;
    for (int i = 0; i < 3; i++) {
        call_pick(&call, s, rows, false);
        wrong |= score(n, s, &call);
    }
    int64_t end_ns = clock_monotonic_ns() + (int64_t)(seconds * 1e9);
    while (!wrong && count < SAMPLES_MOST && (count < 3 || clock_monotonic_ns() < end_ns)) {
        call_pick(&call, s, rows, false);
        int64_t start_ns = clock_monotonic_ns();
        wrong |= score(n, s, &call);
        us[count++] = (double)(clock_monotonic_ns() - start_ns) / 1e3;
    }
    call_free(&call);
    qsort(us, count, sizeof *us, by_time);
    return wrong || count == 0 ? 0 : us[count / 2];
}

double naive_difference(struct naive *n, struct subject *s)
{
    enum { ROWS = 1024 };
    struct call call;
    struct error err;
    int64_t ns;
    double most = 0;
    uint32_t width = model_info(s->model)->scores;
    if (call_init(&call, s, ROWS, &err) != STATUS_OK)
        return NAN;
    call_pick(&call, s, ROWS, false);
    if (call_run(&call, s, &ns) != STATUS_OK || score(n, s, &call))
        most = NAN;
    for (uint32_t i = 0; i < ROWS && !isnan(most); i++)
        most = fmax(most, fabs(call.scores[(size_t)i * width] - (double)n->scores[i]));
    call_free(&call);
    return most;
}

void naive_close(struct naive *n)
{
    n->free(n->net);
    free(n->scores);
    free(n);
}
