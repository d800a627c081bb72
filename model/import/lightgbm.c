/*
 * LightGBM's text files, as its versions 3 and 4 write them ("version=v3", "version=v4"):
 *
 *     tree                        the first line
 *     num_class=1 ...             the header, to the first empty line; average_output is a bare word
 *     Tree=0 ...                  a block a tree: see lightgbm_tree.c
 *     end of trees                then importances and parameters, which no score depends on
 *
 * Rows are doubles here: compared with double thresholds after every |x| <= 1e-35f has become 0, as the library does
 * when it copies a row. Sums are doubles from 0. Tree t adds to output t % num_tree_per_iteration. Random forests
 * (average_output) have the sum as their margin, and the score of the sum over the rounds.
 *
 * Source: the layout is what LightGBM's Booster.save_model writes; the arithmetic is in docs/models.md.
 */
#include "model/import/lightgbm.h"

#include <stdlib.h>
#include <string.h>

#include "model/import/document_format.h"

static bool is(struct span text, const char *word)
{
    return span_equal(text, word, strlen(word));
}

static bool read_version(struct lightgbm *l, struct span value)
{
    if (!is(value, "v3") && !is(value, "v4"))
        return lightgbm_fail(
            l, STATUS_UNSUPPORTED,
            "version=%.*s is not supported, v3 and v4 are; load the model with LightGBM 3 or 4 and save it again",
            value.len > 20 ? 20 : (int)value.len, value.data);
    l->out->writer = strdup(is(value, "v3") ? "LightGBM 3" : "LightGBM 4");
    return l->out->writer || lightgbm_fail(l, STATUS_NO_MEMORY, "out of memory");
}

/* tree_sizes has the bytes of each tree; their number tells whether the file is whole. */
static void count_trees(struct lightgbm *l, struct span value)
{
    struct span word;
    l->declared_trees = 0;
    while (lightgbm_word(&value, &word))
        l->declared_trees++;
}

static bool read_header_line(struct lightgbm *l, struct span line)
{
    struct span key, value;
    bool has_value = lightgbm_split(line, &key, &value);
    if (is(key, "average_output"))
        l->average = true;
    if (!has_value)
        return true;
    if (is(key, "version"))
        return l->out->writer ? true : read_version(l, value);
    if (is(key, "num_class"))
        return lightgbm_whole(l, "num_class", value, 1, FOREST_OUTPUTS_MAX, &l->classes);
    if (is(key, "num_tree_per_iteration"))
        return lightgbm_whole(l, "num_tree_per_iteration", value, 1, FOREST_OUTPUTS_MAX, &l->outputs);
    if (is(key, "max_feature_idx"))
        return lightgbm_whole(l, "max_feature_idx", value, 0, FOREST_FEATURES_MAX - 1, &l->features);
    if (is(key, "objective"))
        l->objective = value;
    else if (is(key, "feature_names"))
        l->feature_names = value;
    else if (is(key, "tree_sizes"))
        count_trees(l, value);
    return true;
}

/* Blanks became '_' when the model was trained, so one stands between two names. */
static bool read_feature_names(struct lightgbm *l)
{
    struct imported *out = l->out;
    size_t capacity = 0, found = 0;
    struct span list = l->feature_names, name;
    char **names = import_grow(&l->memory, NULL, &capacity, (size_t)l->features, sizeof *names);
    if (!names)
        return lightgbm_out_of_memory(l);
    memset(names, 0, capacity * sizeof *names);
    out->feature_names = names;
    out->features = (uint32_t)l->features;
    for (; lightgbm_word(&list, &name); found++) {
        if (found == out->features)
            break;
        if (!utf8_valid(name.data, name.len))
            return lightgbm_fail(l, STATUS_INVALID, "feature_names: name %zu is not UTF-8", found);
        names[found] = import_text(&l->memory, name);
        if (!names[found])
            return lightgbm_out_of_memory(l);
    }
    if (found == out->features && name.len == 0)
        return true;
    return lightgbm_fail(l, STATUS_INVALID, "feature_names has %s than the %u features of max_feature_idx",
                         found < out->features ? "fewer names" : "more names", out->features);
}

static bool read_header(struct lightgbm *l)
{
    struct span line;
    while (lightgbm_line(l, &line) && line.len > 0) {
        if (!read_header_line(l, line))
            return false;
    }
    if (l->status != STATUS_OK)
        return false;
    const char *absent = !l->out->writer          ? "version"
                         : l->outputs < 0         ? "num_tree_per_iteration"
                         : l->features < 0        ? "max_feature_idx"
                         : !l->feature_names.data ? "feature_names"
                                                  : NULL;
    if (absent)
        return lightgbm_fail(l, STATUS_INVALID, "the header has no %s", absent);
    l->features++;
    return read_feature_names(l) && lightgbm_read_objective(l);
}

/* Trees to "end of trees"; a file that was cut never gets there. */
static bool read_trees(struct lightgbm *l)
{
    struct span line, key, value;
    const struct forest *f = l->builder.forest;
    while (lightgbm_line(l, &line)) {
        if (line.len == 0)
            continue;
        if (is(line, "end of trees"))
            return true;
        l->tree_number = -1;
        if (!lightgbm_split(line, &key, &value) || !is(key, "Tree"))
            return lightgbm_fail(l, STATUS_INVALID, "'Tree=%u' or 'end of trees' is expected", f->tree_count);
        if (!lightgbm_whole(l, "Tree", value, f->tree_count, f->tree_count, &l->tree_number) || !lightgbm_read_tree(l))
            return false;
    }
    l->tree_number = -1;
    return lightgbm_fail(l, STATUS_INVALID, "the file ends before 'end of trees', after %u trees: it was cut",
                         f->tree_count);
}

static bool finish(struct lightgbm *l)
{
    struct forest *f = l->builder.forest;
    l->tree_number = -1;
    if (l->declared_trees >= 0 && l->declared_trees != (int64_t)f->tree_count)
        return lightgbm_fail(l, STATUS_INVALID, "the file has %u trees, its tree_sizes names %lld", f->tree_count,
                             (long long)l->declared_trees);
    if (f->tree_count == 0 || f->tree_count % l->outputs != 0)
        return lightgbm_fail(l, STATUS_INVALID, "%u trees do not make whole rounds of num_tree_per_iteration=%lld",
                             f->tree_count, (long long)l->outputs);
    builder_finish(&l->builder);
    f->features = (uint32_t)l->features;
    f->outputs = (uint32_t)l->outputs;
    f->input_type = f->sum_type = NUMBER_F64;
    f->tiny_is_zero = true;
    f->category_rule = FOREST_CATEGORY_LIGHTGBM;
    f->link_divisor = l->average ? (double)(f->tree_count / f->outputs) : 1.0;
    f->base = calloc(f->outputs, sizeof *f->base);
    l->out->input_type = l->out->output_type = NUMBER_F64;
    l->out->has_margin = true;
    l->out->best_iteration = -1;
    return f->base || lightgbm_fail(l, STATUS_NO_MEMORY, "out of memory");
}

static enum status load(const struct import_file *file, const struct model_options *options, struct imported *out,
                        struct error *err)
{
    (void)options; /* the library cuts to the best round when it saves: the file has nothing to choose from */
    struct lightgbm l = {.at = file->data,
                         .end = file->data + file->len,
                         .tree_number = -1,
                         .err = err,
                         .memory = import_memory_of(file->len),
                         .out = out,
                         .classes = -1,
                         .outputs = -1,
                         .features = -1,
                         .declared_trees = -1};
    out->forest = calloc(1, sizeof *out->forest);
    if (!out->forest)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    l.builder = (struct forest_builder){.forest = out->forest, .memory = &l.memory};
    if (read_header(&l) && read_trees(&l))
        (void)finish(&l);
    lightgbm_tree_free(&l.tree);
    return l.status;
}

static bool recognises(const struct import_file *file)
{
    return (file->len > 5 && memcmp(file->data, "tree\n", 5) == 0) ||
           (file->len > 6 && memcmp(file->data, "tree\r\n", 6) == 0);
}

const struct importer importer_lightgbm = {.name = "LightGBM text", .recognises = recognises, .load = load};
