/*
 * assay model predict: margin and score of each row of a CSV file, to the bit.
 *
 *     rows.csv ─► cells to the model's own number type ─► rows of a batch ─► engine ─► one line of text a row
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/input/number.h"
#include "model/model.h"
#include "server/cmd/args.h"
#include "server/cmd/engine_choice.h"
#include "server/cmd/feature_rows.h"
#include "server/cmd/model_command.h"

enum { BATCH_ROWS = 1024 };

struct predict {
    struct feature_rows input;
    struct model *model;
    const struct model_info *info;
    struct engine engine;
    struct prepared *prepared;

    struct rows rows;
    char *memory; /* owned; rows.base lies in it */
    uint32_t slots[BATCH_ROWS];
    uint32_t batch_rows;
    double *margins, *scores;
    bool batch_done;
    enum status batch_status;
    struct buf text;
};

static void write_number(struct buf *b, enum number_type type, double value)
{
    char text[NUMBER_TEXT_MAX];
    if (isnan(value))
        buf_string(b, "nan");
    else if (isinf(value))
        buf_string(b, value < 0 ? "-inf" : "inf");
    else
        buf_append(b, text, type == NUMBER_F32 ? number_write_float(text, (float)value) : number_write_double(text, value));
    if (type == NUMBER_F32) {
        float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        buf_format(b, ",%08x", bits);
    } else {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        buf_format(b, ",%016llx", (unsigned long long)bits);
    }
}

static void write_header(struct predict *p)
{
    const struct { const char *name; uint32_t count; } parts[] = {
        {"margin", p->info->has_margin ? p->info->margins : 0},
        {"score", p->info->scores},
    };
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < parts[i].count; k++) {
            if (p->text.len > 0)
                buf_char(&p->text, ',');
            if (parts[i].count == 1)
                buf_format(&p->text, "%s,%s_bits", parts[i].name, parts[i].name);
            else
                buf_format(&p->text, "%s_%u,%s_%u_bits", parts[i].name, k, parts[i].name, k);
        }
    }
    buf_char(&p->text, '\n');
}

static enum status flush(struct predict *p, struct error *err)
{
    if (p->text.failed)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (fwrite(p->text.data, 1, p->text.len, stdout) != p->text.len || fflush(stdout) != 0)
        return error_set(err, STATUS_IO, "writing to stdout failed");
    buf_clear(&p->text);
    return STATUS_OK;
}

static void on_done(struct batch *batch, enum status status)
{
    struct predict *p = batch->owner;
    p->batch_done = true;
    p->batch_status = status;
}

static enum status run_batch(struct predict *p, uint32_t n, struct error *err)
{
    struct batch batch = {.rows = &p->rows, .slots = p->slots, .n = n, .margins = p->margins, .scores = p->scores, .done = on_done, .owner = p};
    p->batch_done = false;
    enum status status = engine_submit(&p->engine, p->prepared, &batch);
    while (status == STATUS_OK && !p->batch_done)
        (void)engine_poll(&p->engine);
    status = status == STATUS_OK ? p->batch_status : status;
    if (status != STATUS_OK)
        return error_set(err, status, "the engine failed: %s", status_text(status));
    for (uint32_t i = 0; i < n; i++) {
        const double *margins = p->margins + (size_t)i * p->info->margins, *scores = p->scores + (size_t)i * p->info->scores;
        for (uint32_t k = 0; p->info->has_margin && k < p->info->margins; k++) {
            write_number(&p->text, p->info->output_type, margins[k]);
            buf_char(&p->text, ',');
        }
        for (uint32_t k = 0; k < p->info->scores; k++) {
            if (k > 0)
                buf_char(&p->text, ',');
            write_number(&p->text, p->info->output_type, scores[k]);
        }
        buf_char(&p->text, '\n');
    }
    return flush(p, err);
}

/* Rows for a batch, fewer of them where the rows are very wide. */
static enum status make_rows(struct predict *p, struct error *err)
{
    struct backend_limits limits;
    engine_limits(&p->engine, p->prepared, &limits);
    size_t width = (p->info->features ? p->info->features : 1) * number_type_bytes(p->info->input_type);
    p->rows = (struct rows){.stride = (width + 63) / 64 * 64, .columns = p->info->features, .type = p->info->input_type};
    size_t fit = ((size_t)64 << 20) / p->rows.stride;
    p->batch_rows = fit < 1 ? 1 : fit < BATCH_ROWS ? (uint32_t)fit : BATCH_ROWS;
    p->batch_rows = limits.batch_max < p->batch_rows ? limits.batch_max : p->batch_rows;
    p->memory = aligned_alloc(64, p->rows.stride * p->batch_rows);
    p->margins = calloc((size_t)p->batch_rows * p->info->margins, sizeof(double));
    p->scores = calloc((size_t)p->batch_rows * p->info->scores, sizeof(double));
    if (!p->memory || !p->margins || !p->scores)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %u rows", p->batch_rows);
    p->rows.base = p->memory;
    for (uint32_t i = 0; i < p->batch_rows; i++)
        p->slots[i] = i;
    return STATUS_OK;
}

static enum status predict_rows(struct predict *p, struct error *err)
{
    write_header(p);
    for (bool more = true; more;) {
        uint32_t n = 0;
        enum status status = STATUS_OK;
        while (n < p->batch_rows && more && status == STATUS_OK) {
            status = feature_rows_next(&p->input, p->memory + p->rows.stride * n, &more, err);
            n += more;
        }
        if (status == STATUS_OK && n > 0)
            status = run_batch(p, n, err);
        if (status != STATUS_OK)
            return status;
    }
    return flush(p, err);
}

static void predict_free(struct predict *p)
{
    free(p->memory);
    free(p->margins);
    free(p->scores);
    buf_free(&p->text);
    if (p->prepared)
        engine_release(&p->engine, p->prepared);
    engine_close(&p->engine);
    model_free(p->model);
    feature_rows_close(&p->input);
}

static enum status set_sentinels(struct predict *p, const struct args_list *list, struct error *err)
{
    for (size_t i = 0; i < list->size; i++) {
        struct span text = {.data = list->items[i], .len = (uint32_t)strlen(list->items[i])};
        if (!feature_parse(text, NUMBER_F64, &p->input.sentinels[i]))
            return error_set(err, STATUS_USAGE, "--missing cannot be '%s', a number is needed", list->items[i]);
    }
    p->input.sentinel_count = list->size;
    return STATUS_OK;
}

struct request {
    const char *model, *rows, *engine;
    struct model_options load;
    struct args_list sentinels;
};

static enum status predict(struct predict *p, const struct parts *parts, const struct request *request, struct error *err)
{
    enum status status = model_load(request->model, &request->load, &p->model, err);
    if (status != STATUS_OK)
        return status;
    p->info = model_info(p->model);
    if (p->info->best_iteration >= 0)
        (void)fprintf(stderr, "assay: the model has best_iteration %lld; %s (see --trees)\n", (long long)p->info->best_iteration,
                      request->load.trees == MODEL_TREES_BEST ? "the rounds up to it are used" : "all its trees are used");
    status = engine_choose(parts, request->engine, p->model, &p->engine, &p->prepared, err);
    if (status == STATUS_OK)
        status = feature_rows_open(&p->input, request->rows, p->info, err);
    if (status == STATUS_OK)
        status = set_sentinels(p, &request->sentinels, err);
    if (status == STATUS_OK)
        status = make_rows(p, err);
    return status == STATUS_OK ? predict_rows(p, err) : status;
}

static const char examples[] = "  assay model predict model.ubj rows.csv > scores.csv\n"
                               "  assay model predict model.json rows.csv --missing -999     # as XGBoost's missing=-999\n"
                               "  assay model predict model.json rows.csv --trees best       # as XGBoost's scikit-learn wrapper";

int model_predict(const struct parts *parts, int argc, char **argv)
{
    static const char *const which[] = {"all", "best", NULL};
    struct request request = {.engine = "auto"};
    const char *trees = "all", *operands[2];
    size_t n;
    const struct args_option options[] = {
        {.name = "missing", .kind = ARGS_LIST, .out = &request.sentinels, .value = "V", .help = "a value that means missing, besides empty cells and nan; may be repeated"},
        {.name = "trees", .kind = ARGS_TEXT, .out = &trees, .value = "all|best", .help = "best: rounds 0 .. best_iteration, after early stopping"},
        {.name = "engine", .kind = ARGS_TEXT, .out = &request.engine, .value = "NAME", .help = "what computes: auto, cpu, reference"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay model predict MODEL ROWS.csv [--missing V] [--trees all|best] [--engine NAME]",
        .summary = "Scores the rows of a CSV file (- for stdin) whose header names the features, and writes CSV to stdout: margin, its bits in\n"
                   "hexadecimal, score, its bits; numbered from 0 where the model has several outputs.",
        .examples = examples,
        .options = options,
        .operands_min = 2,
        .operands_max = 2,
    };
    switch (args_parse(&spec, argc, argv, operands, &n)) {
    case ARGS_EXIT_DONE:
        return EXIT_DONE;
    case ARGS_EXIT_USAGE:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    struct predict p = {0};
    int best = args_choice(&spec, "choice of --trees", trees, which);
    if (best < 0)
        return EXIT_USAGE;
    struct error err = {{0}};
    request.model = operands[0];
    request.rows = operands[1];
    request.load.trees = best ? MODEL_TREES_BEST : MODEL_TREES_ALL;
    enum status status = predict(&p, parts, &request, &err);
    predict_free(&p);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
