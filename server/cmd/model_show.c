/*
 * assay model show: what is in a model file, for people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/forest.h"
#include "model/model.h"
#include "model/network.h"
#include "server/cmd/args.h"
#include "server/cmd/engine_choice.h"
#include "server/cmd/model_command.h"

enum { FEATURES_SHOWN = 40, BAR = 30, DEPTH_ROWS = 16 };

static const char *const link_names[LINK_COUNT] = {
    [LINK_IDENTITY] = "the margin itself",
    [LINK_SIGMOID_F32] = "sigmoid, float32",
    [LINK_SIGMOID_F64] = "sigmoid, float64",
    [LINK_SIGMOID_ONNX] = "sigmoid of ONNX, float32",
    [LINK_EXP_F32] = "exponential, float32",
    [LINK_EXP_F64] = "exponential, float64",
    [LINK_STEP] = "1 where the margin is above 0",
    [LINK_SOFTMAX_XGBOOST] = "softmax, float32",
    [LINK_SOFTMAX_F64] = "softmax, float64",
    [LINK_SOFTMAX_ONNX] = "softmax of ONNX, float32",
    [LINK_SOFTMAX_SECOND_ONNX] = "softmax of ONNX, float32, of class 1",
    [LINK_IDENTITY_F32] = "the margin, or its average, rounded to float32",
    [LINK_ARGMAX] = "number of the class with the largest margin",
    [LINK_SORT] = "the margins in ascending order",
    [LINK_LOG1P_EXP] = "log(1 + exp(margin)), float64",
    [LINK_SIGNED_SQUARE] = "margin squared, its sign kept",
};

/* Names come from the file: a control character must not reach the terminal. */
static void print_name(struct buf *out, const char *name)
{
    for (; *name; name++)
        buf_char(out, (unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
}

static void bar(struct buf *out, uint64_t part, uint64_t whole)
{
    uint64_t n = whole ? (part * BAR + whole - 1) / whole : 0;
    for (uint64_t i = 0; i < n; i++)
        buf_char(out, '#');
    buf_char(out, '\n');
}

static void show_head(struct buf *out, const char *path, const struct model_info *info)
{
    buf_format(out, "file              %s, %llu bytes\n", path, (unsigned long long)info->file_bytes);
    buf_format(out, "kind              %s, %s%s%s\n", info->kind == MODEL_NETWORK ? "network" : "forest", info->format, info->writer[0] ? ", written by " : "", info->writer);
    buf_string(out, "objective         ");
    print_name(out, info->objective[0] ? info->objective : "(the file names none)");
    buf_format(out, "\ninputs            %u features, %s\n", info->features, info->input_type == NUMBER_F32 ? "float32" : "float64");
    buf_format(out, "outputs           %u margin%s, %u score%s, %s\n", info->margins, info->margins == 1 ? "" : "s", info->scores,
               info->scores == 1 ? "" : "s", info->output_type == NUMBER_F32 ? "float32" : "float64");
}

static void show_trees(struct buf *out, const struct forest *f, const struct model_info *info)
{
    uint64_t leaves = 0, depths = 0, categories = 0;
    uint32_t deepest = 0;
    for (uint32_t t = 0; t < f->tree_count; t++) {
        leaves += f->trees[t].leaves;
        depths += f->trees[t].depth;
        deepest = f->trees[t].depth > deepest ? f->trees[t].depth : deepest;
    }
    for (uint32_t n = 0; n < f->node_count; n++)
        categories += f->nodes[n].op == FOREST_MEMBER;
    buf_format(out, "trees             %u", f->tree_count);
    if (info->best_iteration >= 0)
        buf_format(out, ", of all rounds; best_iteration is %lld", (long long)info->best_iteration);
    buf_format(out, "\nnodes             %llu splits", (unsigned long long)(leaves - f->tree_count));
    if (categories > 0)
        buf_format(out, " (%llu by category)", (unsigned long long)categories);
    buf_format(out, ", %llu leaves%s\n", (unsigned long long)leaves, f->linear_count ? " (linear)" : "");
    buf_format(out, "depth             %u at most, %.1f on average\n", deepest, (double)depths / f->tree_count);
}

static void show_depths(struct buf *out, const struct forest *f)
{
    uint64_t rows[DEPTH_ROWS] = {0}, most = 0;
    uint32_t deepest = 0;
    for (uint32_t t = 0; t < f->tree_count; t++)
        deepest = f->trees[t].depth > deepest ? f->trees[t].depth : deepest;
    uint32_t width = deepest / DEPTH_ROWS + 1; /* depths in one row */
    for (uint32_t t = 0; t < f->tree_count; t++) {
        uint64_t count = ++rows[f->trees[t].depth / width];
        most = count > most ? count : most;
    }
    buf_string(out, "\n  depth        trees\n");
    for (uint32_t r = 0; r < DEPTH_ROWS; r++) {
        char range[24];
        if (rows[r] == 0)
            continue;
        if (width == 1)
            (void)snprintf(range, sizeof range, "%u", r);
        else
            (void)snprintf(range, sizeof range, "%u-%u", r * width, r * width + width - 1);
        buf_format(out, "  %-9s %8llu  ", range, (unsigned long long)rows[r]);
        bar(out, rows[r], most);
    }
}

struct usage {
    uint64_t splits;
    uint32_t feature;
};

static int by_splits(const void *a, const void *b)
{
    const struct usage *x = a, *y = b;
    if (x->splits != y->splits)
        return x->splits < y->splits ? 1 : -1;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

static void show_features(struct buf *out, const struct forest *f, const struct model_info *info, bool all)
{
    struct usage *use = calloc((size_t)f->features + 1, sizeof *use);
    if (!use) {
        out->failed = true;
        return;
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < f->features; i++)
        use[i].feature = i;
    for (uint32_t n = 0; n < f->node_count; n++) {
        if (f->nodes[n].op == FOREST_LEAF)
            continue;
        use[f->nodes[n].feature].splits++;
        total++;
    }
    qsort(use, f->features, sizeof *use, by_splits);
    uint32_t shown = all || f->features < FEATURES_SHOWN ? f->features : FEATURES_SHOWN;
    buf_format(out, "\n  feature    splits  share  name%s\n", info->feature_names ? "" : "s: the file has none");
    for (uint32_t i = 0; i < shown; i++) {
        buf_format(out, "  %7u  %8llu %5.1f%%  ", use[i].feature, (unsigned long long)use[i].splits,
                   total ? 100.0 * (double)use[i].splits / (double)total : 0.0);
        if (info->feature_names)
            print_name(out, info->feature_names[use[i].feature]);
        buf_char(out, '\n');
    }
    if (shown < f->features)
        buf_format(out, "  ... and %u more (--all)\n", f->features - shown);
    free(use);
}

/* "key: value" lines of the engine, in our columns. */
static void show_described(struct buf *out, const char *lines)
{
    while (*lines) {
        const char *end = strchrnul(lines, '\n'), *colon = memchr(lines, ':', (size_t)(end - lines));
        int key = colon ? (int)(colon - lines) : 0;
        const char *value = colon ? colon + 1 + (colon[1] == ' ') : lines;
        buf_format(out, "%-17.*s %.*s\n", key, lines, (int)(end - value), value);
        lines = *end ? end + 1 : end;
    }
}

size_t model_forest_bytes(const struct forest *f)
{
    return f->node_count * sizeof *f->nodes + f->tree_count * sizeof *f->trees + f->entry_count * sizeof *f->leaf_values +
           (f->leaf_outputs ? f->entry_count * sizeof *f->leaf_outputs : 0) + f->set_count * sizeof *f->sets +
           f->set_word_count * sizeof *f->set_words + f->linear_count * sizeof *f->linear +
           f->linear_term_count * (sizeof *f->linear_features + sizeof *f->linear_coefficients);
}

static enum status show_engine(const struct parts *parts, const char *name, const struct model *model, struct buf *out, struct error *err)
{
    struct engine engine = {0};
    struct prepared *prepared = NULL;
    enum status status = engine_choose(parts, name, model, &engine, &prepared, err);
    if (status != STATUS_OK)
        return status;
    struct buf lines = {0};
    buf_format(out, "\nengine            %s: %s\n", engine.backend->name, engine.backend->summary);
    engine_describe(&engine, prepared, &lines);
    show_described(out, buf_text(&lines));
    buf_free(&lines);
    model_measure(&engine, prepared, model, out);
    engine_release(&engine, prepared);
    engine_close(&engine);
    return STATUS_OK;
}

static enum status show(const struct parts *parts, const char *path, const char *engine, bool all, struct buf *out, struct error *err)
{
    struct model *model = NULL;
    enum status status = model_load(path, NULL, &model, err);
    if (status != STATUS_OK)
        return status;
    const struct model_info *info = model_info(model);
    const struct forest *f = model_forest(model);
    show_head(out, path, info);
    const struct network *network = model_network(model);
    buf_format(out, "score             %s\n", network && network->link == LINK_IDENTITY ? "what the network's last operation gives" : link_names[network ? network->link : f->link]);
    if (network) {
        model_show_network(network, all, out);
    } else {
        show_trees(out, f, info);
        buf_format(out, "memory            %zu bytes as read\n", model_forest_bytes(f));
        show_depths(out, f);
        show_features(out, f, info, all);
    }
    status = show_engine(parts, engine, model, out, err);
    model_free(model);
    return status;
}

int model_show(const struct parts *parts, int argc, char **argv)
{
    const char *engine = "auto", *operands[1];
    bool all = false;
    size_t n;
    const struct args_option options[] = {
        {.name = "all", .kind = ARGS_FLAG, .out = &all, .help = "list every feature or layer, however many there are"},
        {.name = "engine", .kind = ARGS_TEXT, .out = &engine, .value = "NAME", .help = "what computes: auto, cpu, reference"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay model show PATH [--all] [--engine NAME]",
        .summary = "Shows what is in a model file: writer, objective; trees and their depths, and how often each feature splits, or\n"
                   "the layers of a network with shapes, parameters and floating-point operations a row (FLOP); and how\n"
                   "the engine computes it here: memory prepared, the kernel chosen, microseconds of batches of 1, 2, 4 ... 1024 on\n"
                   "one thread, median and 95th percentile, and whether the server would score it inline or in batches.",
        .examples = "  assay model show model.ubj",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    switch (args_parse(&spec, argc, argv, operands, &n)) {
    case ARGS_EXIT_DONE:
        return EXIT_DONE;
    case ARGS_EXIT_USAGE:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    struct buf out = {0};
    struct error err = {{0}};
    enum status status = show(parts, operands[0], engine, all, &out, &err);
    if (status == STATUS_OK && out.failed)
        status = error_set(&err, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK && fwrite(out.data, 1, out.len, stdout) != out.len)
        status = error_set(&err, STATUS_IO, "writing to stdout failed");
    buf_free(&out);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
