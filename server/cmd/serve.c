#include <stdio.h>

#include "config/settings.h"
#include "model/base/check.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/log.h"
#include "server/server.h"

int cmd_serve(const struct parts *parts, int argc, char **argv)
{
    const char *file = NULL;
    struct args_list overrides = {.size = 0};
    const struct args_option options[] = {
        {.name = "config", .kind = ARGS_TEXT, .out = &file, .value = "FILE", .help = "settings in YAML; see assay config docs"},
        {.name = "set", .kind = ARGS_LIST, .out = &overrides, .value = "KEY=VALUE", .help = "a setting, over the file's; may be repeated"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay serve [--config FILE] [--set KEY=VALUE]...",
        .summary = "Scores transactions from HTTP and Kafka until SIGTERM or SIGINT, then finishes what is in flight and ends.",
        .examples = "  assay serve --config config/assay.yaml\n"
                    "  assay serve --set bundle=config/bundles/card-fraud --set http.listen=127.0.0.1:8080",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct settings settings;
    struct error err = {""};
    server_block_signals();
    enum status status = settings_load(&settings, file, overrides.items, overrides.size, &err);
    struct running *running = NULL;
    if (status == STATUS_OK) {
        log_setup((enum log_level)settings.log_level, (enum log_format)settings.log_format);
        status = server_start(parts, &settings, &running, &err);
    }
    int code = EXIT_FAILED;
    if (status == STATUS_OK) {
        code = server_wait(running);
        if (!server_stop(running))
            code = EXIT_FAILED;
        log_info("server.stopped", LOG_INT("exit_code", code));
    } else {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        code = status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    settings_free(&settings);
    return code;
}
