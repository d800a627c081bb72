/* Bundles: the one of tests/fixtures as it is, and with one thing changed at a time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/bundle.h"
#include "model/input/decode.h"

static char *basic;                               /* directory of the fixture */
static struct buf basic_yaml;                     /* its bundle.yaml */
static char place[] = "/tmp/assay-bundle-XXXXXX"; /* a directory for changed ones, with its model */

/* a, between, b in one text; owned. */
static char *joined(const char *a, const char *between, const char *b)
{
    struct buf out = {0};
    buf_format(&out, "%s%s%s", a, between, b);
    (void)buf_text(&out);
    return out.data;
}

static void write_file(const char *name, const char *text, size_t len)
{
    char *path = joined(place, "/", name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* bundle.yaml in `place`: the fixture's with the first `old` replaced. */
static void change(const char *old, const char *new)
{
    const char *text = buf_text(&basic_yaml), *at = strstr(text, old);
    if (!at)
        fail_msg("the fixture has no '%s'", old);
    struct buf out = {0};
    buf_append(&out, text, (size_t)(at - text));
    buf_string(&out, new);
    buf_string(&out, at + strlen(old));
    write_file("bundle.yaml", out.data, out.len);
    buf_free(&out);
}

/* The changed bundle is refused; the message, from "bundle.yaml:" or the file's name on, begins so. */
static void refused(const char *old, const char *new, enum status code, const char *message)
{
    change(old, new);
    struct bundle *bundle = (struct bundle *)&bundle;
    struct error err = {{0}};
    enum status status = bundle_load(place, &bundle, &err);
    if (status != code)
        fail_msg("status %s: %s", status_name(status), err.message);
    assert_null(bundle);
    assert_memory_equal(err.message, place, strlen(place));
    const char *rest = err.message + strlen(place) + 1;
    if (strncmp(rest, message, strlen(message)) != 0)
        fail_msg("%s\ninstead of\n%s", rest, message);
}

static struct bundle *changed(const char *old, const char *new)
{
    change(old, new);
    struct bundle *bundle = NULL;
    struct error err = {{0}};
    if (bundle_load(place, &bundle, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return bundle;
}

static void everything_is_read(void **state)
{
    (void)state;
    struct bundle *b;
    struct error err = {{0}};
    if (bundle_load(basic, &b, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    assert_string_equal(b->name, "basic");
    assert_string_equal(b->version, "1");
    assert_int_equal(schema_size(b->schema), 9);
    assert_int_equal(b->features, 8);
    assert_int_equal(b->reason_count, 4);
    assert_int_equal(plan_columns(b->plan), 12);
    assert_string_equal(plan_column_name(b->plan, 4), "channel_web");
    assert_string_equal(b->reasons[0].code, "night_online");
    assert_string_equal(b->reasons[0].text, "Online at night");
    assert_int_equal(model_info(b->model)->features, 8);
    assert_int_equal(b->output, 0);
    assert_int_equal(b->calibration.kind, CALIBRATION_NONE);
    assert_true(b->policy.review == 0.3 && b->policy.decline == 0.7);
    assert_int_equal(strlen(b->digest), 64);
    assert_int_equal(strlen(b->model_digest), 64);
    bundle_free(b);
}

static void a_transaction_becomes_its_row(void **state)
{
    (void)state;
    static const char json[] =
        "{\"tx_id\":\"a\",\"ts\":1525490000,\"customer_id\":7,\"amount\":612.5,\"channel\":\"web\","
        "\"country\":\"US\",\"home_country\":\"DE\",\"new_device\":true}"; /* Saturday 2018-05-05 03:13 */
    struct bundle *b;
    struct error err;
    struct transaction tx;
    struct decode_fault fault;
    size_t used;
    assert_int_equal(bundle_load(basic, &b, &err), STATUS_OK);
    assert_int_equal(transaction_init(&tx, b->schema, 0, &err), STATUS_OK);
    assert_int_equal(decode_transaction(b->schema, json, sizeof json - 1, &tx, &used, &fault), STATUS_OK);
    double row[12];
    plan_run(b->plan, &tx, NUMBER_F64, row);
    const double want[] = {log1p(612.5), 1, 1, 0, 1, 0, 1, 1, /* reasons: */ 1, 1, 1, 1};
    assert_memory_equal(row, want, sizeof row);
    transaction_free(&tx);
    bundle_free(b);
}

static void the_version_may_be_the_directory(void **state)
{
    (void)state;
    struct bundle *b = changed("version: \"1\"\n", "");
    assert_string_equal(b->version, strrchr(place, '/') + 1);
    bundle_free(b);
    char *slashes = joined(place, "//", "/");
    struct error err;
    assert_int_equal(bundle_load(slashes, &b, &err), STATUS_OK);
    assert_string_equal(b->version, strrchr(place, '/') + 1);
    assert_string_equal(b->dir, place);
    bundle_free(b);
    free(slashes);
}

/* The digest tells two bundles apart whatever file differs, and is the same for the same files. */
static void digests_follow_the_files(void **state)
{
    (void)state;
    const char *isotonic = "calibration: {kind: isotonic, file: table.csv}";
    struct bundle *a = changed("calibration: {kind: none}", isotonic),
                  *b = changed("calibration: {kind: none}", isotonic);
    assert_string_equal(a->digest, b->digest);
    bundle_free(b);
    write_file("table.csv", "0.1,0.0\n0.9,0.9\n", 16);
    b = changed("calibration: {kind: none}", isotonic);
    assert_string_equal(a->model_digest, b->model_digest);
    assert_string_not_equal(a->digest, b->digest);
    bundle_free(b);
    write_file("table.csv", "x,y\r\n0.1,0.0\r\n0.5,0.25\r\n\r\n0.9,1\r\n", 33);
    b = changed("name: basic", "name: basic2");
    assert_string_not_equal(a->digest, b->digest);
    bundle_free(a);
    bundle_free(b);
}

static void calibrations(void **state)
{
    (void)state;
    struct bundle *b = changed("{kind: none}", "{kind: platt, a: -1.2, b: 0.3}");
    assert_int_equal(b->calibration.kind, CALIBRATION_PLATT);
    assert_true(b->calibration.a == -1.2 && b->calibration.b == 0.3);
    bundle_free(b);
    b = changed("{kind: none}", "{kind: isotonic, points: [[0.1, 0.0], [0.5, 0.25]]}");
    assert_int_equal(b->calibration.points, 2);
    assert_true(calibrate(&b->calibration, 0, 0.5) == 0.25);
    bundle_free(b);
    b = changed("{kind: none}", "{kind: isotonic, file: table.csv}");
    assert_int_equal(b->calibration.points, 3);
    assert_true(b->calibration.x[1] == 0.5 && b->calibration.y[1] == 0.25);
    bundle_free(b);
    b = changed("calibration: {kind: none}\n", "");
    assert_int_equal(b->calibration.kind, CALIBRATION_NONE);
    bundle_free(b);

    refused("{kind: none}", "{kind: plat}", STATUS_INVALID,
            "bundle.yaml:27: kind: there is no 'plat'; did you mean 'platt'?");
    refused("{kind: none}", "{kind: beta}", STATUS_INVALID,
            "bundle.yaml:27: kind: there is no 'beta'; one of these is needed: none, platt, isotonic");
    refused("{kind: none}", "{a: 1}", STATUS_INVALID, "bundle.yaml:27: calibration: 'kind' is missing");
    refused("{kind: none}", "{kind: none, a: 1}", STATUS_INVALID, "bundle.yaml:27:27: unknown key 'a'");
    refused("{kind: none}", "{kind: platt, a: -1}", STATUS_INVALID, "bundle.yaml:27: calibration: 'b' is missing");
    refused("{kind: none}", "{kind: platt, a: 1, b: 0}", STATUS_INVALID,
            "bundle.yaml:27: calibration: platt: a is 1 but must be below 0");
    refused("{kind: none}", "{kind: platt, a: x, b: 0}", STATUS_INVALID,
            "bundle.yaml:27: a: a number is needed, found 'x'");
    refused("{kind: none}", "{kind: isotonic}", STATUS_INVALID,
            "bundle.yaml:27: an isotonic calibration needs its table: either 'points' or a CSV 'file'");
    refused("{kind: none}", "{kind: isotonic, points: [[1, 2]], file: table.csv}", STATUS_INVALID,
            "bundle.yaml:27: an isotonic");
    refused("{kind: none}", "{kind: isotonic, points: [[0.1, 0.5], [0.2, 0.4]]}", STATUS_INVALID,
            "bundle.yaml:27: calibration: isotonic: point 2: y is 0.4, below the 0.5 before it");
    refused("{kind: none}", "{kind: isotonic, points: [0.1]}", STATUS_INVALID,
            "bundle.yaml:27: points: each is [score, calibrated score]");
    refused("{kind: none}", "{kind: isotonic, points: []}", STATUS_INVALID,
            "bundle.yaml:27: calibration: isotonic: the table has no points");
    refused("{kind: none}", "{kind: isotonic, file: ../table.csv}", STATUS_INVALID,
            "bundle.yaml:27: file: '../table.csv' lies outside the bundle: copy it in");
    refused("{kind: none}", "{kind: isotonic, file: none.csv}", STATUS_NOT_FOUND, "none.csv: No such file");
    write_file("bad.csv", "x,y\n0.1,0.2\n0.3;0.4\n", 20);
    refused("{kind: none}", "{kind: isotonic, file: bad.csv}", STATUS_INVALID, "bad.csv:3: two numbers are needed");
    write_file("bad.csv", "x,y\n", 4);
    refused("{kind: none}", "{kind: isotonic, file: bad.csv}", STATUS_INVALID,
            "bundle.yaml:27: calibration: isotonic: the table has no points");
}

static void policies(void **state)
{
    (void)state;
    struct bundle *b = changed("{review: 0.3, decline: 0.7}", "{decline: 0.7}");
    assert_true(b->policy.review == 0.7 && b->policy.decline == 0.7);
    bundle_free(b);
    b = changed("{review: 0.3, decline: 0.7}", "{review: 0.3}");
    assert_true(b->policy.review == 0.3 && isinf(b->policy.decline));
    bundle_free(b);
    refused("policy: {review: 0.3, decline: 0.7}", "", STATUS_INVALID, "bundle.yaml:2: 'policy' is missing");
    refused("{review: 0.3, decline: 0.7}", "{}", STATUS_INVALID, "bundle.yaml:28: 'policy' is missing");
    refused("{review: 0.3, decline: 0.7}", "{review: 0.8, decline: 0.7}", STATUS_INVALID,
            "bundle.yaml:28: policy: review (0.8) must not lie above decline (0.7)");
    refused("{review: 0.3, decline: 0.7}", "{review: '0.3'}", STATUS_INVALID,
            "bundle.yaml:28: review: a number is needed, found '0.3' in quotes");
    refused("{review: 0.3, decline: 0.7}", "{revue: 0.3}", STATUS_INVALID,
            "bundle.yaml:28:10: unknown key 'revue'; did you mean 'review'?");
}

static void fields(void **state)
{
    (void)state;
    refused("type: number", "type: nubmer", STATUS_INVALID,
            "bundle.yaml:9: type: there is no 'nubmer'; did you mean 'number'?");
    refused("type: number, ", "", STATUS_INVALID, "bundle.yaml:9: amount: 'type' is missing");
    refused("required: true", "required: 1", STATUS_INVALID,
            "bundle.yaml:9: required: true or false is needed, found '1'");
    refused("required: true", "needed: true", STATUS_INVALID, "bundle.yaml:9:53: unknown key 'needed'");
    refused(", unit: s", "", STATUS_INVALID, "bundle.yaml:6: time: a time needs its 'unit': s, ms, us or rfc3339");
    refused("unit: s", "unit: h", STATUS_INVALID, "bundle.yaml:6: unit: there is no 'h'; did you mean 's'?");
    refused("type: number", "type: number, unit: s", STATUS_INVALID, "bundle.yaml:9: amount: only a time has a unit");
    refused("  amount: ", "  my-amount: ", STATUS_INVALID, "bundle.yaml:9: 'my-amount' can't be the name of a field");
    refused("  amount: ", "  and: ", STATUS_INVALID, "bundle.yaml:9: 'and' can't be the name of a field");
    refused("type: id", "type: key", STATUS_INVALID,
            "bundle.yaml:5: transaction: exactly one field of type id is needed");
    refused("transaction:", "transactions:", STATUS_INVALID,
            "bundle.yaml:4:1: unknown key 'transactions'; did you mean 'transaction'?");
}

static void features(void **state)
{
    (void)state;
    refused("hour(time)", "hour(tme)", STATUS_INVALID,
            "bundle.yaml:16:22: night: unknown name 'tme'; did you mean 'time'?\n    hour(tme) <= 5\n         ^");
    refused("hour(time) <= 5", "\"hour(tme) <= 5\"", STATUS_INVALID, "bundle.yaml:16:23: night: unknown name 'tme'");
    refused("  - night:      hour", "  - night: 1\n    hour: hour", STATUS_INVALID,
            "bundle.yaml:16: a feature is one line");
    refused("when: night and", "when: nihgt and", STATUS_INVALID,
            "bundle.yaml:22:57: night_online: unknown name 'nihgt'; did you mean 'night'?");
    refused("code: abroad", "code: new_device", STATUS_INVALID,
            "bundle.yaml:24:53: new_device: there is already one with the name 'new_device'");
    refused("when: abroad", "why: abroad", STATUS_INVALID, "bundle.yaml:24:43: unknown key 'why'");
    refused(", when: abroad", "", STATUS_INVALID, "bundle.yaml:24: 'when' is missing");
    struct buf many = {0};
    buf_string(&many, "reasons:\n");
    for (int i = 0; i < 61; i++)
        buf_format(&many, "  - {code: r%d, when: amount > %d}\n", i, i);
    refused("reasons:\n", buf_text(&many), STATUS_INVALID, "bundle.yaml:22: 65 reasons, at most 64 are possible");
    buf_free(&many);
}

/* What the model was trained on and what it would get: a difference must not go unseen. */
static void the_model_must_fit(void **state)
{
    (void)state;
    refused("  - weekend:    weekday(time) >= 5\n", "", STATUS_MISMATCH,
            "bundle.yaml:15: the features give 7 columns, the model takes 8: the model's 'weekend' is missing");
    refused("  - night: ", "  - more: 1\n  - night: ", STATUS_MISMATCH,
            "bundle.yaml:15: the features give 9 columns, the model takes 8: 'more' is not the model's");
    refused(
        "\"pos\", \"web\"", "\"web\", \"pos\"", STATUS_MISMATCH,
        "bundle.yaml:18: column 4 is 'channel_web', the model's is 'channel_pos': they are the same in another order");
    refused("- weekend: ", "- weekday: ", STATUS_MISMATCH,
            "bundle.yaml:17: column 3 is 'weekday', the model's is 'weekend': the model's 'weekend' is missing, "
            "'weekday' is not the model's");
}

static void model_files(void **state)
{
    (void)state;
    refused("{file: model.json}", "{file: other.json}", STATUS_NOT_FOUND, "bundle.yaml:26: model: ");
    refused("{file: model.json}", "{file: /etc/passwd}", STATUS_INVALID,
            "bundle.yaml:26: file: '/etc/passwd' lies outside the bundle: copy it in");
    refused("{file: model.json}", "{file: a/../../model.json}", STATUS_INVALID,
            "bundle.yaml:26: file: 'a/../../model.json' lies outside");
    refused("{file: model.json}", "{file: ..}", STATUS_INVALID, "bundle.yaml:26: file: '..' lies outside");
    refused("{file: model.json}", "{file: bundle.yaml}", STATUS_INVALID, "bundle.yaml:26: model: ");
    refused("{file: model.json}", "{}", STATUS_INVALID, "bundle.yaml:26: 'file' is missing");
    refused("{file: model.json}", "model.json", STATUS_INVALID,
            "bundle.yaml:26: 'model' is missing: {file: model.json}");
    refused("{file: model.json}", "{file: model.json, trees: bets}", STATUS_INVALID,
            "bundle.yaml:26: trees: there is no 'bets'; did you mean 'best'?");
    refused("{file: model.json}", "{file: model.json, trees: best}", STATUS_INVALID,
            "bundle.yaml:26: trees: the model has no best iteration");
    refused("{file: model.json}", "{file: model.json, output: 1}", STATUS_INVALID,
            "bundle.yaml:26: output: 1 is not one of the model's scores, 0 to 0");
    refused("{file: model.json}", "{file: model.json, output: 0.5}", STATUS_INVALID,
            "bundle.yaml:26: output: 0.5 is not");
    struct bundle *b = changed("{file: model.json}", "{file: ./model.json, output: 0, trees: all}");
    bundle_free(b);
}

static void directories(void **state)
{
    (void)state;
    struct bundle *b;
    struct error err;
    assert_int_equal(bundle_load("/no/such/bundle", &b, &err), STATUS_NOT_FOUND);
    assert_string_equal(err.message, "/no/such/bundle/bundle.yaml: No such file or directory");
    refused("name: basic\n", "", STATUS_INVALID, "bundle.yaml:2: 'name' is missing");
    refused("name: basic", "name: [basic]", STATUS_INVALID, "bundle.yaml:2: name: a text is needed");
    refused("name: basic", "name: basic\n\tx: 1", STATUS_INVALID, "bundle.yaml:3:1: ");
}

static int set_up(void **state)
{
    (void)state;
    const char *source = getenv("ASSAY_SOURCE");
    struct error err = {{0}};
    basic = joined(source ? source : ".", "/", "tests/fixtures/bundles/basic");
    char *yaml = joined(basic, "/", "bundle.yaml"), *model = joined(basic, "/", "model.json");
    struct buf content = {0};
    bool ok = mkdtemp(place) && buf_read_file(&basic_yaml, yaml, 1 << 20, &err) == STATUS_OK &&
              buf_read_file(&content, model, 1 << 20, &err) == STATUS_OK;
    if (!ok)
        (void)fprintf(stderr, "%s\n", err.message);
    if (ok) {
        write_file("model.json", content.data, content.len);
        write_file("table.csv", "0.1,0\n0.5,0.25\n0.9,1\n", 21);
    }
    free(yaml);
    free(model);
    buf_free(&content);
    return ok ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"bundle.yaml", "model.json", "table.csv", "bad.csv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = joined(place, "/", names[i]);
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(place);
    buf_free(&basic_yaml);
    free(basic);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(a_transaction_becomes_its_row),
        cmocka_unit_test(the_version_may_be_the_directory),
        cmocka_unit_test(digests_follow_the_files),
        cmocka_unit_test(calibrations),
        cmocka_unit_test(policies),
        cmocka_unit_test(fields),
        cmocka_unit_test(features),
        cmocka_unit_test(the_model_must_fit),
        cmocka_unit_test(model_files),
        cmocka_unit_test(directories),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
