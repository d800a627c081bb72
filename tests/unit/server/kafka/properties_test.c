#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/kafka/properties.h"

enum { PAIRS = 4 };

static int profile; /* stream.profile */

static struct settings settings_of(struct setting_pair *pairs)
{
    size_t n = 0;
    while (n < PAIRS && pairs[n].key)
        n++;
    return (struct settings){.kafka = pairs, .kafka_count = n, .stream_profile = profile};
}

static void assert_property(struct setting_pair *pairs, enum client_role role, uint32_t number, uint32_t count, const char *name,
                            const char *want)
{
    const struct settings settings = settings_of(pairs);
    rd_kafka_conf_t *conf = NULL;
    struct error err = {""};
    if (properties_conf(&settings, role, number, count, &conf, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    char value[256] = "";
    size_t len = sizeof value;
    (void)rd_kafka_conf_get(conf, name, value, &len);
    assert_string_equal(value, want);
    rd_kafka_conf_destroy(conf);
}

static void refuses(struct setting_pair *pairs, enum client_role role, const char *want)
{
    const struct settings settings = settings_of(pairs);
    rd_kafka_conf_t *conf = NULL;
    struct error err = {""};
    assert_int_equal(properties_conf(&settings, role, 0, 1, &conf, &err), STATUS_INVALID);
    if (!strstr(err.message, want))
        fail_msg("'%s' is not in: %s", want, err.message);
}

static void defaults_are_ours_and_settings_win(void **state)
{
    (void)state;
    struct setting_pair none[PAIRS] = {{NULL, NULL}};
    assert_property(none, CLIENT_PRODUCER, 0, 1, "enable.idempotence", "true");
    assert_property(none, CLIENT_CONSUMER, 0, 1, "enable.auto.commit", "false");
    assert_property(none, CLIENT_CONSUMER, 0, 1, "auto.offset.reset", "smallest"); /* as librdkafka calls it */
    assert_property(none, CLIENT_CONSUMER, 0, 1, "group.id", "assay");
    struct setting_pair some[PAIRS] = {{"auto.offset.reset", "error"}, {"socket.nagle.disable", "false"}};
    assert_property(some, CLIENT_CONSUMER, 0, 1, "auto.offset.reset", "error");
    assert_property(some, CLIENT_PRODUCER, 0, 1, "socket.nagle.disable", "false");
}

static void a_profile_sets_several_and_settings_win_over_it(void **state)
{
    (void)state;
    static const struct {
        int profile;
        const char *linger, *compression, *fetch_min;
    } cases[] = {{0, "1", "none", "1"}, {1, "0", "none", "1"}, {2, "20", "lz4", "65536"}}; /* as options.def orders them */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct setting_pair none[PAIRS] = {{NULL, NULL}}, some[PAIRS] = {{"linger.ms", "3"}};
        profile = cases[i].profile;
        assert_property(none, CLIENT_PRODUCER, 0, 1, "linger.ms", cases[i].linger);
        assert_property(none, CLIENT_PRODUCER, 0, 1, "compression.codec", cases[i].compression);
        assert_property(none, CLIENT_CONSUMER, 0, 1, "fetch.min.bytes", cases[i].fetch_min);
        assert_property(some, CLIENT_PRODUCER, 0, 1, "linger.ms", "3");
    }
    profile = 0;
}

static void a_prefix_is_for_one_client_and_wins_wherever_it_stands(void **state)
{
    (void)state;
    struct setting_pair pairs[PAIRS] = {{"producer.client.id", "p"}, {"client.id", "both"}, {"consumer.fetch.wait.max.ms", "7"}};
    assert_property(pairs, CLIENT_PRODUCER, 0, 1, "client.id", "p");
    assert_property(pairs, CLIENT_CONSUMER, 0, 1, "client.id", "both");
    assert_property(pairs, CLIENT_CONSUMER, 0, 1, "fetch.wait.max.ms", "7");
    assert_property(pairs, CLIENT_PRODUCER, 0, 1, "fetch.wait.max.ms", "500");
}

static void static_members_of_one_process_have_names_of_their_own(void **state)
{
    (void)state;
    struct setting_pair pairs[PAIRS] = {{"group.instance.id", "till"}};
    assert_property(pairs, CLIENT_CONSUMER, 0, 1, "group.instance.id", "till");
    assert_property(pairs, CLIENT_CONSUMER, 0, 3, "group.instance.id", "till-0");
    assert_property(pairs, CLIENT_CONSUMER, 2, 3, "group.instance.id", "till-2");
}

static void what_delivery_rests_on_cannot_be_set(void **state)
{
    (void)state;
    static const char *const refused[][2] = {{"enable.auto.commit", "true"}, {"enable.auto.offset.store", "true"},
                                             {"producer.enable.idempotence", "false"}, {"acks", "1"}, {"request.required.acks", "0"},
                                             {"transactional.id", "x"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct setting_pair pairs[PAIRS] = {{(char *)(uintptr_t)refused[i][0], (char *)(uintptr_t)refused[i][1]}};
        refuses(pairs, CLIENT_PRODUCER, strstr(refused[i][0], "auto") ? refused[i][0] : "cannot be set");
    }
    struct setting_pair same[PAIRS] = {{"acks", "-1"}, {"enable.idempotence", "true"}};
    assert_property(same, CLIENT_PRODUCER, 0, 1, "enable.idempotence", "true");
}

static void slips_are_named(void **state)
{
    (void)state;
    struct setting_pair typo[PAIRS] = {{"linger.sm", "5"}};
    refuses(typo, CLIENT_PRODUCER, "did you mean kafka.linger.ms?");
    struct setting_pair value[PAIRS] = {{"producer.linger.ms", "soon"}};
    refuses(value, CLIENT_PRODUCER, "kafka.producer.linger.ms: ");
}

static void secrets_are_not_quoted(void **state)
{
    (void)state;
    struct setting_pair pairs[PAIRS] = {{"ssl.key.pem", "not a key s3cret"}, {"security.protocol", "ssl"}};
    const struct settings settings = settings_of(pairs);
    rd_kafka_conf_t *conf = NULL;
    struct error err = {""};
    if (properties_conf(&settings, CLIENT_PRODUCER, 0, 1, &conf, &err) == STATUS_OK)
        rd_kafka_conf_destroy(conf); /* this version looks at it later */
    assert_null(strstr(err.message, "s3cret"));
}

static void cooperative_assignment_needs_a_sound_librdkafka(void **state)
{
    (void)state;
    struct setting_pair mixed[PAIRS] = {{"partition.assignment.strategy", "range,cooperative-sticky"}};
    refuses(mixed, CLIENT_CONSUMER, "mixes");
    struct setting_pair alone[PAIRS] = {{"partition.assignment.strategy", "cooperative-sticky"}};
    if (rd_kafka_version() < 0x020300ff)
        refuses(alone, CLIENT_CONSUMER, "2.3.0 or newer");
    else
        assert_property(alone, CLIENT_CONSUMER, 0, 1, "partition.assignment.strategy", "cooperative-sticky");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_ours_and_settings_win),
        cmocka_unit_test(a_profile_sets_several_and_settings_win_over_it),
        cmocka_unit_test(a_prefix_is_for_one_client_and_wins_wherever_it_stands),
        cmocka_unit_test(static_members_of_one_process_have_names_of_their_own),
        cmocka_unit_test(what_delivery_rests_on_cannot_be_set),
        cmocka_unit_test(slips_are_named),
        cmocka_unit_test(secrets_are_not_quoted),
        cmocka_unit_test(cooperative_assignment_needs_a_sound_librdkafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
