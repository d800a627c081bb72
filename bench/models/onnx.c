/*
 * ONNX Runtime by its C API. Its functions come in one table whose order is fixed for ever (new ones are appended), so the
 * few used here are named by their places; run.py checks the scores before it believes the times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/models/contenders.h"

enum place {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_THREADS = 24,
    SET_INTER_OP_THREADS = 25,
    CREATE_TENSOR_WITH_DATA = 49,
    GET_TENSOR_DATA = 51,
    CREATE_CPU_MEMORY_INFO = 69,
    RELEASE_VALUE = 96,
};

enum { API_VERSION = 14, LOG_ERRORS = 3, FLOAT32 = 1 };
typedef void *handle; /* also a status: NULL is success */

struct api_base {
    void **(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

struct functions {
    const char *(*message)(handle status);
    handle (*create_env)(int log_level, const char *name, handle *out);
    handle (*create_session)(handle env, const char *path, handle options, handle *out);
    handle (*run)(handle session, handle options, const char *const *input_names, const handle *inputs, size_t input_count,
                  const char *const *output_names, size_t output_count, handle *outputs);
    handle (*create_options)(handle *out);
    handle (*set_intra_threads)(handle options, int n);
    handle (*set_inter_threads)(handle options, int n);
    handle (*create_tensor)(handle memory, void *data, size_t bytes, const int64_t *shape, size_t rank, int type, handle *out);
    handle (*tensor_data)(handle value, void **out);
    handle (*create_memory_info)(int allocator, int type, handle *out);
    void (*release_value)(handle value);
};

struct onnx {
    struct contender contender;
    struct functions functions;
    handle env, options, session, memory;
    const char *output; /* the tensor of scores [rows][columns], and which of its columns counts */
    uint32_t columns, column;
};

static int run(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    static const char *const inputs[] = {"input"};
    struct onnx *o = (struct onnx *)contender;
    const struct contender_rows *rows = contender->rows;
    int64_t shape[] = {n, rows->columns};
    handle input = NULL, output = NULL;
    float *scores = NULL;
    float *data = (float *)(uintptr_t)(rows->f32 + (size_t)first * rows->columns);
    if (o->functions.create_tensor(o->memory, data, (size_t)n * rows->columns * sizeof *data, shape, 2, FLOAT32, &input))
        return -1;
    handle status = o->functions.run(o->session, NULL, inputs, &input, 1, &o->output, 1, &output);
    if (!status)
        status = o->functions.tensor_data(output, (void **)(void *)&scores);
    for (uint32_t i = 0; i < n && !status; i++)
        out[i] = (double)scores[(size_t)i * o->columns + o->column];
    if (output)
        o->functions.release_value(output);
    o->functions.release_value(input);
    return status ? -1 : 0;
}

static void close_onnx(struct contender *contender)
{
    free(contender); /* session and environment live as long as the process */
}

static int find_functions(struct functions *f, const char *library, char *error, size_t error_bytes)
{
    static const char *const names[] = {"OrtGetApiBase"};
    const struct api_base *(*get_base)(void);
    if (contender_load(library, names, (void **)(void *)&get_base, 1, error, error_bytes) != 0)
        return -1;
    void **table = get_base()->get_api(API_VERSION);
    if (!table) {
        (void)snprintf(error, error_bytes, "%s has no API of version %d", library, API_VERSION);
        return -1;
    }
    static const enum place places[] = {GET_ERROR_MESSAGE,    CREATE_ENV,           CREATE_SESSION,          RUN,
                                        CREATE_SESSION_OPTIONS, SET_INTRA_OP_THREADS, SET_INTER_OP_THREADS,    CREATE_TENSOR_WITH_DATA,
                                        GET_TENSOR_DATA,      CREATE_CPU_MEMORY_INFO, RELEASE_VALUE};
    _Static_assert(sizeof *f == sizeof places / sizeof places[0] * sizeof(void *), "a place for each function");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        ((void **)(void *)f)[i] = table[places[i]];
    return 0;
}

struct contender *contender_onnx(const struct contender_rows *rows, const char *library, const char *model, const char *output,
                                 uint32_t columns, uint32_t column, char *error, size_t error_bytes)
{
    struct onnx *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->contender = (struct contender){.rows = rows, .run = run, .close = close_onnx};
    o->output = strdup(output); /* lives as long as the process, as the session does */
    o->columns = columns;
    o->column = column;
    if (find_functions(&o->functions, library, error, error_bytes) != 0) {
        free(o);
        return NULL;
    }
    const struct functions *f = &o->functions;
    handle status = f->create_env(LOG_ERRORS, "bench", &o->env);
    status = status ? status : f->create_options(&o->options);
    status = status ? status : f->set_intra_threads(o->options, 1);
    status = status ? status : f->set_inter_threads(o->options, 1);
    status = status ? status : f->create_session(o->env, model, o->options, &o->session);
    status = status ? status : f->create_memory_info(0, 0, &o->memory);
    if (status) {
        (void)snprintf(error, error_bytes, "%s", f->message(status));
        free(o);
        return NULL;
    }
    return &o->contender;
}
