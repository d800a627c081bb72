/*
 * assay config: the effective settings, a check of them, and the reference of all options.
 */
#include <stdio.h>
#include <string.h>

#include "config/settings.h"
#include "model/backend.h"
#include "server/cmd/args.h"
#include "server/decision_log.h"
#include "server/loaded.h"
#include "server/source.h"

static int print_buf(struct buf *text)
{
    bool written = !text->failed && fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
    if (!written)
        (void)fprintf(stderr, "assay: writing the settings failed\n");
    buf_free(text);
    return written ? EXIT_DONE : EXIT_FAILED;
}

static int show(const struct settings *settings)
{
    struct buf text = {0};
    settings_show(settings, &text);
    return print_buf(&text);
}

static int docs(void)
{
    struct buf text = {0};
    settings_docs(&text);
    return print_buf(&text);
}

/* Loads the bundle and prepares its model as the server would, and tells what it is. */
static enum status check_bundle(const struct parts *parts, const struct settings *settings, struct error *err)
{
    struct loaded loaded;
    if (!settings->bundle[0])
        return error_set(err, STATUS_INVALID, "bundle is not set: the directory of the model to serve");
    enum status status = loaded_open(parts, settings->bundle, settings->engine, &loaded, err);
    if (status != STATUS_OK)
        return status;
    (void)printf("bundle: %s version %s, %zu features, engine %s, %llu golden rows\n", loaded.bundle->name, loaded.bundle->version,
                 loaded.bundle->features, loaded.engine.backend->name, (unsigned long long)loaded.golden_rows);
    loaded_close(&loaded);
    return STATUS_OK;
}

static enum status check_sources(const struct parts *parts, const struct settings *settings, struct error *err)
{
    for (const struct source *const *s = parts->sources; *s; s++) {
        enum status status = (*s)->check ? (*s)->check(settings, err) : STATUS_OK;
        if (status != STATUS_OK)
            return error_prefix(err, status, "%s", (*s)->name);
    }
    return STATUS_OK;
}

/* What of devices this machine has, in a line a backend that knows any. */
static void show_devices(const struct parts *parts)
{
    for (const struct backend *const *b = parts->backends; *b; b++) {
        struct error found = {""};
        if (!(*b)->devices)
            continue;
        (void)backend_devices(*b, "", &found);
        (void)printf("%s:%*s%s\n", (*b)->name, (int)(7 - strlen((*b)->name)), "", found.message);
    }
}

/* Says what would run, so that a mistake that is no error (the wrong topic) can be seen too. */
static int check(const struct parts *parts, const struct settings *settings)
{
    struct error err = {{0}};
    enum status status = check_bundle(parts, settings, &err);
    if (status == STATUS_OK)
        status = check_sources(parts, settings, &err);
    if (status == STATUS_OK && settings->decision_log_file[0])
        status = decision_file_check(settings->decision_log_file, &err);
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        return EXIT_FAILED;
    }
    show_devices(parts);
    (void)printf("http:   %s\n", settings->http_listen[0] ? settings->http_listen : "off");
    if (settings->stream_input[0])
        (void)printf("kafka:  %s -> %s, dead letters to %s\n", settings->stream_input, settings->stream_output,
                     settings->stream_dead_letter);
    else
        (void)printf("kafka:  off\n");
    return EXIT_DONE;
}

int cmd_config(const struct parts *parts, int argc, char **argv)
{
    static const char *const verbs[] = {"show", "check", "docs", NULL};
    const char *file = NULL, *verb = NULL;
    struct args_list set = {.size = 0};
    const struct args_option options[] = {
        {"config", ARGS_TEXT, &file, "FILE", "YAML file of settings; without it defaults, environment and --set", 0, 0},
        {"set", ARGS_LIST, &set, "KEY=VALUE", "overrides a setting; may be repeated", 0, 0},
        {NULL, ARGS_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct args_spec spec = {
        .usage = "assay config show|check|docs [--config FILE] [--set KEY=VALUE]...",
        .summary = "show   effective settings as YAML, with where each comes from; secrets are masked\n"
                   "check  reads settings and bundle as `assay serve` would, starts nothing\n"
                   "docs   the reference of all settings as Markdown",
        .examples = "  assay config check --config /etc/assay/assay.yaml\n"
                    "  assay config show --config assay.yaml --set http.listen=127.0.0.1:9000\n"
                    "  assay config docs > settings.md",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, &verb, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    int chosen = args_choice(&spec, "action", verb, verbs);
    if (chosen < 0)
        return EXIT_USAGE;
    if (chosen == 2)
        return docs();
    struct settings settings;
    struct error err = {0};
    enum status status = settings_load(&settings, file, set.items, set.size, &err);
    int code;
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        code = status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
    } else {
        code = chosen == 0 ? show(&settings) : check(parts, &settings);
    }
    settings_free(&settings);
    return code;
}
