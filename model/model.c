#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/forest.h"
#include "model/import/foreign.h"
#include "model/import/import.h"
#include "model/import/memory.h"
#include "model/network.h"

struct model {
    struct imported imported; /* owns the strings, the forest or network */
    struct model_info info;
};

static const struct importer *const importers[] = {&importer_xgboost_json, &importer_xgboost_ubj, &importer_lightgbm,
                                                  &importer_onnx, &importer_catboost};

static const size_t default_max_bytes = (size_t)4 << 30;

/* Reads exactly the file: one allocation of its size, since loading is bounded by 4 x the file. *out is owned. */
static enum status read_whole(int fd, const char *path, size_t size, char **out, struct error *err)
{
    char *data = malloc(size + 1);
    if (!data)
        return error_set(err, STATUS_NO_MEMORY, "%s: out of memory for %zu bytes", path, size);
    import_use_huge_pages(data, size);
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, data + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            enum status status = error_set(err, STATUS_IO, "%s: %s", path, n < 0 ? strerror(errno) : "it shrank while it was read");
            free(data);
            return status;
        }
        got += (size_t)n;
    }
    *out = data;
    return STATUS_OK;
}

static enum status read_file(const char *path, size_t max_bytes, struct import_file *out, char **data, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%s: %s", path, strerror(errno));
    enum status status = STATUS_OK;
    if (fstat(fd, &st) != 0)
        status = error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        status = error_set(err, STATUS_IO, "%s: is no regular file; a model file is needed", path);
    else if (st.st_size == 0)
        status = error_set(err, STATUS_INVALID, "%s: the file is empty", path);
    else if ((uint64_t)st.st_size > max_bytes)
        status = error_set(err, STATUS_LIMIT, "%s: %lld bytes, above the limit of %zu", path, (long long)st.st_size, max_bytes);
    else
        status = read_whole(fd, path, (size_t)st.st_size, data, err);
    (void)close(fd);
    if (status == STATUS_OK)
        *out = (struct import_file){.path = path, .data = *data, .len = (size_t)st.st_size};
    return status;
}

static const struct importer *find_importer(const struct import_file *file)
{
    for (size_t i = 0; i < sizeof importers / sizeof importers[0]; i++) {
        if (importers[i]->recognises(file))
            return importers[i];
    }
    return NULL;
}

static void fill_info(struct model *model, const struct import_file *file)
{
    const struct imported *in = &model->imported;
    const struct network *n = in->network;
    uint32_t margins = n ? n->outputs : in->forest->outputs;
    enum link link = n ? n->link : in->forest->link;
    model->info = (struct model_info){
        .format = in->format,
        .writer = in->writer ? in->writer : "",
        .objective = in->objective ? in->objective : "",
        .kind = n ? MODEL_NETWORK : MODEL_FOREST,
        .input_type = in->input_type,
        .output_type = in->output_type,
        .features = in->features,
        .feature_names = (const char *const *)in->feature_names,
        .margins = margins,
        .scores = link_scores(link, margins),
        .probability = link_is_probability(link),
        .has_margin = in->has_margin,
        .best_iteration = in->best_iteration,
        .file_bytes = file->len,
    };
}

static enum status import(struct model *model, const struct import_file *file, const struct model_options *options, struct error *err)
{
    const struct importer *importer = find_importer(file);
    if (!importer)
        return foreign_refuse(file, err);
    enum status status = importer->load(file, options, &model->imported, err);
    if (status == STATUS_OK && !model->imported.format) {
        model->imported.format = strdup(importer->name);
        if (!model->imported.format)
            status = error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    if (status == STATUS_OK)
        status = imported_check(&model->imported, err);
    if (status == STATUS_OK)
        fill_info(model, file);
    return status == STATUS_OK ? status : error_prefix(err, status, "%s: %s", file->path, importer->name);
}

enum status model_load(const char *path, const struct model_options *options, struct model **out, struct error *err)
{
    struct model_options used = options ? *options : (struct model_options){.trees = MODEL_TREES_ALL};
    used.max_bytes = used.max_bytes ? used.max_bytes : default_max_bytes;
    struct import_file file = {0};
    char *data = NULL;
    enum status status = read_file(path, used.max_bytes, &file, &data, err);
    if (status != STATUS_OK)
        return status;
    if (used.seen)
        used.seen(used.seen_context, file.data, file.len);
    struct model *model = calloc(1, sizeof *model);
    status = model ? import(model, &file, &used, err) : error_set(err, STATUS_NO_MEMORY, "%s: out of memory", path);
    free(data);
    if (status != STATUS_OK) {
        model_free(model);
        return status;
    }
    *out = model;
    return STATUS_OK;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    imported_free(&model->imported);
    free(model);
}

const struct model_info *model_info(const struct model *model)
{
    return &model->info;
}

const struct forest *model_forest(const struct model *model)
{
    return model->imported.forest;
}

const struct network *model_network(const struct model *model)
{
    return model->imported.network;
}

bool model_names_features(const struct model_info *info)
{
    static const char *const heads[] = {"Column_", "f", ""};
    bool named = info->feature_names != NULL;
    for (size_t k = 0; k < sizeof heads / sizeof heads[0] && named; k++) {
        bool all = true;
        for (uint32_t i = 0; i < info->features && all; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "%s%u", heads[k], i);
            all = strcmp(info->feature_names[i], name) == 0;
        }
        named = !all;
    }
    return named;
}
