#include "tests/support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "server/cmd/feature_rows.h"

static double key_of(enum number_type type, double value)
{
    if (type == NUMBER_F32) {
        float narrow = (float)value;
        int32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        return (double)(bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits);
    }
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (double)(bits < 0 ? -(bits & INT64_MAX) : bits);
}

bool golden_same(enum number_type type, double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    float x = (float)a, y = (float)b;
    return type == NUMBER_F32 ? memcmp(&x, &y, sizeof x) == 0 : memcmp(&a, &b, sizeof a) == 0;
}

bool golden_near(enum number_type type, double got, double want, double ulps, double abs, double rel)
{
    if (golden_same(type, got, want))
        return true;
    if (ulps > 0 && fabs(key_of(type, got) - key_of(type, want)) <= ulps) /* large keys of float64 differ by few all the same */
        return true;
    return fabs(got - want) <= fmax(abs, rel * fabs(want));
}

static void must(enum status status, const struct error *err)
{
    if (status != STATUS_OK)
        fail_msg("%s", err->message);
}

static double tolerance(const json_t *root, const char *name)
{
    return json_number_value(json_object_get(json_object_get(root, "tolerance"), name));
}

/* The rows of the file, laid out as a backend takes them. The memory is the caller's. */
static void read_rows(struct golden_case *c, const char *path, const json_t *missing)
{
    struct feature_rows input;
    struct error err;
    size_t width = (c->info->features ? c->info->features : 1) * number_type_bytes(c->info->input_type), capacity = 0;
    c->rows = (struct rows){.stride = (width + 63) / 64 * 64, .columns = c->info->features, .type = c->info->input_type};
    must(feature_rows_open(&input, path, c->info, &err), &err);
    if (json_is_number(missing))
        input.sentinels[input.sentinel_count++] = json_number_value(missing);
    char *memory = NULL;
    for (bool more = true; more;) {
        if (c->row_count == capacity) {
            capacity = capacity ? capacity * 2 : 512;
            char *grown = aligned_alloc(64, capacity * c->rows.stride);
            assert_non_null(grown);
            if (memory)
                memcpy(grown, memory, c->row_count * c->rows.stride);
            free(memory);
            memory = grown;
        }
        must(feature_rows_next(&input, memory + c->row_count * c->rows.stride, &more, &err), &err);
        c->row_count += more;
    }
    feature_rows_close(&input);
    c->rows.base = memory;
}

/* Cases whose rows are float32 values in short form, for a model that takes doubles: "feed float32 rows widened". */
static void widen_rows(const struct golden_case *c, const json_t *notes)
{
    if (c->rows.type != NUMBER_F64 || !json_is_string(notes) || !strstr(json_string_value(notes), "widened"))
        return;
    for (uint32_t i = 0; i < c->row_count; i++) {
        double *row = (double *)(uintptr_t)((const char *)c->rows.base + i * c->rows.stride);
        for (uint32_t k = 0; k < c->rows.columns; k++)
            row[k] = (double)(float)row[k];
    }
}

static double from_bits(struct span cell)
{
    char text[17] = "";
    assert_true(cell.len == 8 || cell.len == 16);
    memcpy(text, cell.data, cell.len);
    uint64_t bits = strtoull(text, NULL, 16);
    uint32_t narrow_bits = (uint32_t)bits;
    float narrow;
    double wide;
    memcpy(&narrow, &narrow_bits, sizeof narrow);
    memcpy(&wide, &bits, sizeof wide);
    return cell.len == 8 ? (double)narrow : wide;
}

/* Column 2 i + 1 of the expected file holds bits: first the margins, where there are any, then the scores. */
static void read_expected(struct golden_case *c, const char *path)
{
    struct csv csv;
    struct error err;
    bool more;
    must(csv_open(&csv, path, &err), &err);
    must(csv_row(&csv, &more, &err), &err);
    uint32_t scores = c->info->scores, margins = (uint32_t)csv.cell_count / 2 - scores;
    assert_true(margins == 0 || margins == c->info->margins);
    c->margins = margins ? calloc((size_t)c->row_count * margins, sizeof(double)) : NULL;
    c->scores = calloc((size_t)c->row_count * scores, sizeof(double));
    assert_non_null(c->scores);
    for (uint32_t row = 0; row < c->row_count; row++) {
        must(csv_row(&csv, &more, &err), &err);
        assert_true(more && csv.cell_count == 2 * ((size_t)margins + scores));
        for (uint32_t i = 0; i < margins; i++)
            c->margins[row * margins + i] = from_bits(csv.cells[2 * i + 1]);
        for (uint32_t i = 0; i < scores; i++)
            c->scores[row * scores + i] = from_bits(csv.cells[2 * (margins + i) + 1]);
    }
    csv_close(&csv);
}

struct visitor {
    void (*visit)(const struct golden_case *c, void *arg);
    void *arg;
    struct golden_counts *counts;
};

/* One case with all its trees, or with the best ones. False: the model was refused. */
static bool visit_model(const struct visitor *v, const char *dir, const char *name, const json_t *root, bool best)
{
    struct golden_case c = {.name = name, .best = best};
    struct error err;
    char path[1024];
    const struct model_options options = {.trees = best ? MODEL_TREES_BEST : MODEL_TREES_ALL};
    (void)snprintf(path, sizeof path, "%s/%s", dir, json_string_value(json_object_get(root, "model")));
    if (model_load(path, &options, &c.model, &err) != STATUS_OK)
        return false;
    c.info = model_info(c.model);
    c.margin_ulps = tolerance(root, "margin_ulps");
    c.score_ulps = tolerance(root, "score_ulps");
    c.score_abs = tolerance(root, "score_abs");
    c.score_rel = tolerance(root, "score_rel");
    (void)snprintf(path, sizeof path, "%s/rows.csv", dir);
    read_rows(&c, path, json_object_get(root, "missing"));
    widen_rows(&c, json_object_get(root, "notes"));
    (void)snprintf(path, sizeof path, "%s/%s", dir, best ? "expected_best_iteration.csv" : "expected.csv");
    read_expected(&c, path);
    v->visit(&c, v->arg);
    free((void *)(uintptr_t)c.rows.base);
    free(c.margins);
    free(c.scores);
    model_free(c.model);
    return true;
}

static void visit_case(const struct visitor *v, const char *dir, const char *name)
{
    char path[1024];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/expected.csv", dir);
    if (stat(path, &st) != 0)
        return; /* a folder of folders, or a case of another kind */
    (void)snprintf(path, sizeof path, "%s/case.json", dir);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    if (!visit_model(v, dir, name, root, false)) {
        v->counts->refused++;
    } else {
        v->counts->cases++;
        (void)snprintf(path, sizeof path, "%s/expected_best_iteration.csv", dir);
        if (stat(path, &st) == 0)
            assert_true(visit_model(v, dir, name, root, true));
    }
    json_decref(root);
}

static bool visit_folder(const struct visitor *v, const char *dir)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[768];
        (void)snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            visit_case(v, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return n >= 0;
}

void golden_visit(void (*visit)(const struct golden_case *c, void *arg), void *arg, struct golden_counts *counts)
{
    const struct visitor v = {visit, arg, counts};
    const char *source = getenv("ASSAY_SOURCE"), *shared = getenv("ASSAY_SHARED");
    char dir[512];
    *counts = (struct golden_counts){0};
    (void)snprintf(dir, sizeof dir, "%s/tests/fixtures/golden", source ? source : ".");
    assert_true(visit_folder(&v, dir));
    (void)snprintf(dir, sizeof dir, "%s/golden", shared ? shared : "../shared");
    counts->shared = visit_folder(&v, dir);
    (void)snprintf(dir, sizeof dir, "%s/golden/fdh", shared ? shared : "../shared");
    (void)visit_folder(&v, dir);
}
