#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/settings.h"

static char folder[] = "/tmp/assay_settings_XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/assay.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(folder);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* Settings of a file with this text and at most one override (NULL: none). */
static enum status load(struct settings *out, const char *text, const char *override, struct error *err)
{
    write_file(file, text);
    *err = (struct error){0};
    return settings_load(out, file, &override, override ? 1 : 0, err);
}

static void defaults_hold_without_a_file(void **state)
{
    (void)state;
    struct settings s;
    struct error err = {0};
    assert_int_equal(settings_load(&s, NULL, NULL, 0, &err), STATUS_OK);
    assert_string_equal(s.http_listen, "127.0.0.1:8080");
    assert_int_equal(s.http_body_bytes, 8388608);
    assert_string_equal(s.bundle, "");
    assert_false(s.result_timing);
    assert_int_equal(s.log_level, 2);
    assert_int_equal(s.kafka_count, 0);
    settings_free(&s);
}

static void dots_and_levels_are_the_same(void **state)
{
    (void)state;
    struct settings s;
    struct error err;
    assert_int_equal(load(&s,
                          "bundle: bundles/card\n"
                          "http:\n  listen: '[::1]:0'\n  threads: 3\n"
                          "stream.input: in\nstream: {output: out, dead_letter: dead}\n"
                          "result: {timing: yes}\n"
                          "log:\n  # level: debug\n"
                          "engine: reference\n"
                          "kafka:\n  bootstrap.servers: a:1,b:2\n  producer: {linger.ms: 5}\n  consumer:\n    fetch: {min.bytes: 1}\n",
                          NULL, &err),
                     STATUS_OK);
    char bundle[128];
    (void)snprintf(bundle, sizeof bundle, "%s/bundles/card", folder);
    assert_string_equal(s.bundle, bundle);
    assert_string_equal(s.http_listen, "[::1]:0");
    assert_int_equal(s.http_threads, 3);
    assert_string_equal(s.stream_input, "in");
    assert_string_equal(s.stream_output, "out");
    assert_true(s.result_timing);
    assert_string_equal(s.engine, "reference");
    assert_int_equal(s.kafka_count, 3);
    assert_string_equal(settings_kafka(&s, "bootstrap.servers"), "a:1,b:2");
    assert_string_equal(settings_kafka(&s, "producer.linger.ms"), "5");
    assert_string_equal(settings_kafka(&s, "consumer.fetch.min.bytes"), "1");
    assert_null(settings_kafka(&s, "linger.ms"));
    settings_free(&s);
}

static void a_file_of_comments_sets_nothing(void **state)
{
    (void)state;
    struct settings s;
    struct error err;
    assert_int_equal(load(&s, "# nothing\n\n", NULL, &err), STATUS_OK);
    settings_free(&s);
    assert_int_equal(load(&s, "http:\nkafka:\n  consumer:\n", NULL, &err), STATUS_OK);
    assert_string_equal(s.http_listen, "127.0.0.1:8080");
    settings_free(&s);
}

static void the_last_one_wins(void **state)
{
    (void)state;
    struct settings s;
    struct error err;
    const char *text = "http: {threads: 1, connections: 10}\nlog.level: warn\nkafka: {client.id: file, retries: 1}\n";
    (void)setenv("ASSAY_HTTP_THREADS", "2", 1);
    (void)setenv("ASSAY_LOG_LEVEL", "error", 1);
    (void)setenv("ASSAY_KAFKA_CLIENT_ID", "environment", 1);
    (void)setenv("ASSAY_KAFKA_SERVICE_HOST", "10.0.0.1", 1); /* of Kubernetes, not ours */
    (void)setenv("ASSAY_KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092", 1);
    (void)setenv("ASSAY_NOT_OURS", "1", 1);
    assert_int_equal(load(&s, text, "http.threads=3", &err), STATUS_OK);
    assert_int_equal(s.http_threads, 3);
    assert_int_equal(s.http_connections, 10);
    assert_int_equal(s.log_level, 0);
    assert_string_equal(settings_kafka(&s, "client.id"), "environment");
    assert_string_equal(settings_kafka(&s, "retries"), "1");
    assert_int_equal(s.kafka_count, 2);
    struct buf out = {0};
    settings_show(&s, &out);
    const char *shown = buf_text(&out);
    assert_non_null(strstr(shown, "  threads: 3  # --set\n"));
    assert_non_null(strstr(shown, "  connections: 10  # line 1\n"));
    assert_non_null(strstr(shown, "  level: error  # ASSAY_LOG_LEVEL\n"));
    assert_non_null(strstr(shown, "  body_bytes: 8388608\n"));
    buf_free(&out);
    settings_free(&s);
    assert_int_equal(load(&s, text, "kafka.client.id=override", &err), STATUS_OK);
    assert_string_equal(settings_kafka(&s, "client.id"), "override");
    settings_free(&s);
    (void)setenv("ASSAY_HTTP_THREADS", "many", 1);
    assert_int_equal(load(&s, "", NULL, &err), STATUS_INVALID);
    assert_string_equal(err.message, "ASSAY_HTTP_THREADS: http.threads: 'many' is no whole number");
    settings_free(&s);
    (void)unsetenv("ASSAY_HTTP_THREADS");
    (void)unsetenv("ASSAY_LOG_LEVEL");
    (void)unsetenv("ASSAY_KAFKA_CLIENT_ID");
    (void)unsetenv("ASSAY_KAFKA_SERVICE_HOST");
    (void)unsetenv("ASSAY_KAFKA_PORT_9092_TCP");
    (void)unsetenv("ASSAY_NOT_OURS");
}

static void secrets_come_from_files_and_are_masked(void **state)
{
    (void)state;
    struct settings s;
    struct error err;
    char secret[64], text[256];
    (void)snprintf(secret, sizeof secret, "%s/password", folder);
    write_file(secret, "s3cr3t\n");
    (void)snprintf(text, sizeof text, "kafka: {sasl.password: \"file:%s\", ssl.key.pem: abc, client.id: \"file:x\", sasl.username: u}\n", secret);
    assert_int_equal(load(&s, text, NULL, &err), STATUS_OK);
    assert_string_equal(settings_kafka(&s, "sasl.password"), "s3cr3t");
    assert_string_equal(settings_kafka(&s, "client.id"), "file:x"); /* no secret: the text itself */
    struct buf out = {0};
    settings_show(&s, &out);
    assert_non_null(strstr(buf_text(&out), "  sasl.password: \"***\"\n"));
    assert_non_null(strstr(buf_text(&out), "  ssl.key.pem: \"***\"\n"));
    assert_non_null(strstr(buf_text(&out), "  sasl.username: \"u\"\n"));
    assert_null(strstr(buf_text(&out), "s3cr3t"));
    buf_free(&out);
    settings_free(&s);
    (void)unlink(secret);
    assert_int_equal(load(&s, text, NULL, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "assay.yaml:1: kafka.sasl.password: "));
    settings_free(&s);
}

/* What is shown can be read back, and gives the same. */
static void shown_settings_load_again(void **state)
{
    (void)state;
    struct settings s;
    struct error err;
    struct buf first = {0}, second = {0};
    assert_int_equal(load(&s, "bundle: /a \"b\"\nresult.features: true\nengine: cpu*2 reference\nbatch.mode: batched\nkafka: {client.id: \"x: y\"}\n", NULL, &err), STATUS_OK);
    settings_show(&s, &first);
    settings_free(&s);
    assert_int_equal(load(&s, buf_text(&first), NULL, &err), STATUS_OK);
    assert_string_equal(s.bundle, "/a \"b\"");
    assert_true(s.result_features);
    assert_string_equal(s.engine, "cpu*2 reference");
    assert_int_equal(s.batch_mode, 2);
    assert_string_equal(settings_kafka(&s, "client.id"), "x: y");
    settings_show(&s, &second);
    settings_free(&s);
    buf_free(&first);
    buf_free(&second);
}

static const struct slip {
    const char *text, *override;
    const char *message; /* after the file's name, or all of it with an override */
} slips[] = {
    {"http:\n  listne: x\n", NULL, ":2: unknown key 'http.listne', did you mean 'http.listen'?; `assay config docs` lists all"},
    {"entirely.strange: 1\n", NULL, ":1: unknown key 'entirely.strange'; `assay config docs` lists all"},
    {"http: 8080\n", NULL, ":1: http is a group of settings, not one; `assay config docs` lists them"},
    {"bundle: {dir: x}\n", NULL, ":1: bundle needs a single value, found a map"},
    {"\nbundle: [a, b]\n", NULL, ":2: bundle needs a single value, found a list"},
    {"kafka: {bootstrap.servers: [a, b]}\n", NULL, ":1: kafka.bootstrap.servers needs a single value, found a list"},
    {"kafka: x\n", NULL, ":1: kafka is a group of settings, not one; `assay config docs` lists them"},
    {"bundle:\n", NULL, ":1: bundle has no value; write \"\" for an empty text"},
    {"log.level: null\n", NULL, ":1: log.level has no value; write \"\" for an empty text"},
    {"http.threads: 4x\n", NULL, ":1: http.threads: '4x' is no whole number"},
    {"http.threads: 1.5\n", NULL, ":1: http.threads: '1.5' is no whole number"},
    {"http.threads: \"\"\n", NULL, ":1: http.threads: '' is no whole number"},
    {"http.threads: -1\n", NULL, ":1: http.threads: -1 is outside 0 to 256"},
    {"drain_s: 99999\n", NULL, ":1: drain_s: 99999 is outside 0 to 3600 s"},
    {"drain_s: 99999999999999999999\n", NULL, ":1: drain_s: 99999999999999999999 is outside 0 to 3600 s"},
    {"result.timing: maybe\n", NULL, ":1: result.timing: 'maybe' is neither true nor false"},
    {"batch.mode: gpu\n", NULL, ":1: batch.mode: 'gpu' is none of auto|inline|batched"},
    {"batch.mode: aut\n", NULL, ":1: batch.mode: 'aut' is none of auto|inline|batched"},
    {"http: {listen: a}\nhttp.listen: b\n", NULL, ":2: http.listen is set twice, first on line 1"},
    {"kafka: {a.b: 1}\nkafka.a.b: 2\n", NULL, ":2: kafka.a.b is set twice"},
    {"- a\n- b\n", NULL, ":1: a map of settings is needed"},
    {"", "http.threads", "--set 'http.threads': key=value is needed"},
    {"", "=3", "--set '=3': key=value is needed"},
    {"", "htp.threads=3", "--set: unknown key 'htp.threads', did you mean 'http.threads'?; `assay config docs` lists all"},
    {"", "http.threads=300", "--set: http.threads: 300 is outside 0 to 256"},
    {"", "kafka=1", "--set: kafka is a group of settings, not one; `assay config docs` lists them"},
    {"http.listen: \"\"\n", NULL, "neither http.listen nor stream.input is set: nothing would come in"},
    {"stream.input: a\n", NULL, "stream.input is set, so stream.output is needed: the topic for results"},
    {"stream: {input: a, output: b}\n", NULL,
     "stream.input is set, so stream.dead_letter is needed: the topic for records that can't be scored"},
    {"stream: {input: a, output: b, dead_letter: c}\n", NULL, "stream.input is set, so kafka.bootstrap.servers is needed: host:port,…"},
    {"stream: {input: a, output: b, dead_letter: c}\nkafka.bootstrap.servers: \" \"\n", NULL,
     "stream.input is set, so kafka.bootstrap.servers is needed: host:port,…"},
    {"decision_log.topic: a\n", NULL, "decision_log.topic is set, so kafka.bootstrap.servers is needed: host:port,…"},
    {"stream: {input: a, output: a, dead_letter: c}\nkafka.bootstrap.servers: x\n", NULL,
     "stream.output is the same topic as stream.input: the server would read what it writes"},
    {"stream: {input: a, output: b, dead_letter: a}\nkafka.bootstrap.servers: x\n", NULL,
     "stream.dead_letter is the same topic as stream.input: the server would read what it writes"},
};

static void slips_are_named_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        struct settings s;
        struct error err;
        char want[600];
        assert_int_equal(load(&s, slips[i].text, slips[i].override, &err), slips[i].override ? STATUS_USAGE : STATUS_INVALID);
        (void)snprintf(want, sizeof want, "%s%s", slips[i].message[0] == ':' ? file : "", slips[i].message);
        assert_string_equal(err.message, want);
        settings_free(&s);
    }
}

static void bad_files_are_named(void **state)
{
    (void)state;
    struct settings s;
    struct error err = {0};
    assert_int_equal(settings_load(&s, "/nonexistent/assay.yaml", NULL, 0, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/assay.yaml"));
    settings_free(&s);
    assert_int_equal(settings_load(&s, folder, NULL, 0, &err), STATUS_IO);
    settings_free(&s);
    assert_int_equal(load(&s, "http: {listen: [\n", NULL, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "assay.yaml:"));
    settings_free(&s);
}

static void docs_name_every_option(void **state)
{
    (void)state;
    static const char *const keys[] = {
#define OPTION_TEXT(key, field, def, flags, help) key,
#define OPTION_PATH(key, field, def, flags, help) key,
#define OPTION_BOOL(key, field, def, flags, help) key,
#define OPTION_INT(key, field, def, min, max, unit, flags, help) key,
#define OPTION_REAL(key, field, def, min, max, unit, flags, help) key,
#define OPTION_CHOICE(key, field, def, choices, flags, help) key,
#include "config/options.def"
#include "config/options_undef.h"
    };
    struct buf out = {0};
    settings_docs(&out);
    const char *text = buf_text(&out);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char cell[80];
        (void)snprintf(cell, sizeof cell, "\n| `%s` | ", keys[i]);
        assert_non_null(strstr(text, cell));
    }
    assert_non_null(strstr(text, "| `http.threads` | whole number | `0` | 0 to 256 | "));
    assert_non_null(strstr(text, "| `batch.mode` | choice | `auto` | auto\\|inline\\|batched | "));
    assert_non_null(strstr(text, "| `ASSAY_DECISION_LOG_FILE` |\n"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_without_a_file),
        cmocka_unit_test(dots_and_levels_are_the_same),
        cmocka_unit_test(a_file_of_comments_sets_nothing),
        cmocka_unit_test(the_last_one_wins),
        cmocka_unit_test(secrets_come_from_files_and_are_masked),
        cmocka_unit_test(shown_settings_load_again),
        cmocka_unit_test(slips_are_named_with_their_place),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(docs_name_every_option),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
