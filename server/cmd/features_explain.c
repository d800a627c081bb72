/* assay features explain: the plan of a bundle, and what the state keeps for it. */
#include <math.h>
#include <stdio.h>

#include "model/bundle.h"
#include "model/history.h"
#include "server/cmd/args.h"
#include "server/cmd/features_command.h"
#include "server/state_options.h"

static void write_span(int64_t us, struct buf *out)
{
    if (us >= INT64_C(86400000000))
        buf_format(out, "%.4g days", (double)us / 86400e6);
    else
        buf_format(out, "%.4g hours", (double)us / 3600e6);
}

/* One key field: its windows, and its bytes. */
static void write_key(const struct bundle *b, struct history *history, size_t key, struct buf *out)
{
    struct state_key_plan plan;
    size_t n;
    const struct window *windows = plan_windows(b->plan, &n);
    const struct field *field = history_key(history, key);
    state_key_plan(history_state(history), key, &plan);
    buf_format(out, "state of a %s: %zu windows over one ring of its transactions\n", field->name, plan.windows);
    for (size_t i = 0; i < n; i++) {
        if (schema_field(b->schema, windows[i].key) != field)
            continue;
        buf_string(out, "  ");
        plan_window_text(b->plan, b->schema, i, out);
        buf_char(out, '\n');
    }
    buf_format(out, "  a transaction     %5zu bytes, kept for ", plan.entry_bytes);
    write_span(plan.retention_us, out);
    buf_format(out, "\n  a %-15s %5zu bytes more, index included\n", field->name, plan.record_bytes);
    if (plan.running_bytes > 0)
        buf_format(out, "  running totals    %5zu bytes more for one with %zu transactions or more\n", plan.running_bytes, plan.running_from);
    if (plan.forever)
        buf_format(out, "  the time before   %5zu bytes more for what windows without an end hold of older transactions\n", plan.all_bytes);
    buf_format(out, "  an idle one leaves %s\n", plan.forever ? "only where memory is short: it has a window without an end" : "after that time");
}

static void explain(const struct bundle *b, struct history *history, struct buf *out)
{
    plan_explain(b->plan, b->schema, out);
    if (!history) {
        buf_string(out, "state: none, no feature looks at the past\n");
        return;
    }
    for (size_t i = 0; i < history_keys(history); i++)
        write_key(b, history, i, out);
    buf_format(out, "state of a transaction id, for repeats and labels: %zu bytes\n", state_id_bytes(history_state(history)));
}

int features_explain(const struct parts *parts, int argc, char **argv)
{
    const char *dir = NULL;
    const struct args_option options[] = {{.name = NULL}};
    const struct args_spec spec = {
        .usage = "assay features explain BUNDLE",
        .summary = "Prints the compiled plan of a bundle's features and reasons, the windows over each key, and what is kept of a transaction\n"
                   "and of a key in bytes.",
        .examples = "  assay features explain config/bundles/card-fraud",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    (void)parts;
    enum args_result parsed = args_parse(&spec, argc, argv, &dir, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct error err = {""};
    struct bundle *bundle = NULL;
    struct history *history = NULL;
    const struct state_options keep = state_options_default();
    enum status status = bundle_load_features(dir, &bundle, &err);
    if (status == STATUS_OK)
        status = history_create(bundle->schema, bundle->plan, &keep, &history, &err);
    struct buf out = {0};
    if (status == STATUS_OK) {
        explain(bundle, history, &out);
        if (fputs(buf_text(&out), stdout) == EOF || fflush(stdout) != 0)
            status = error_set(&err, STATUS_IO, "writing failed");
    }
    buf_free(&out);
    history_free(history);
    bundle_free(bundle);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    return status == STATUS_OK ? EXIT_DONE : EXIT_FAILED;
}
