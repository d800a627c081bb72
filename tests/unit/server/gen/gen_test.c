#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "model/base/clock.h"
#include "server/gen/gen.h"
#include "server/gen/random.h"

static const struct gen_options usual = {.seed = 7,
                                         .start_s = 1735689600, /* 2025-01-01 */
                                         .per_day = 20000,
                                         .cards = 10000,
                                         .terminals = 10000,
                                         .fraud = {0, 0.002, 0.002, 0.002, 0.002}};

static struct gen *create(const struct gen_options *options)
{
    struct gen *gen = NULL;
    assert_int_equal(gen_create(options, &gen, NULL), STATUS_OK);
    return gen;
}

/* A digest of n lines and labels. */
static uint64_t digest(const struct gen_options *options, int n)
{
    struct gen *gen = create(options);
    struct gen_transaction tx;
    char line[GEN_TEXT_MAX];
    uint64_t hash = 0;
    for (int i = 0; i < n; i++) {
        gen_next(gen, &tx);
        size_t len = gen_write_transaction(gen, &tx, line);
        for (size_t j = 0; j < len; j++)
            hash = random_mix(hash ^ (unsigned char)line[j]);
        len = gen_write_label(gen, &tx, line);
        for (size_t j = 0; j < len; j++)
            hash = random_mix(hash ^ (unsigned char)line[j]);
    }
    gen_free(gen);
    return hash;
}

static void same_options_give_the_same_bytes(void **state)
{
    (void)state;
    struct gen_options other = usual;
    uint64_t first = digest(&usual, 20000);
    assert_true(first == digest(&usual, 20000));
    other.seed = 8;
    assert_true(first != digest(&other, 20000));
    /* On every machine, compiler and option: a change of the generator changes this number, and says so in its commit. */
    assert_true(first == UINT64_C(0x664019618D446000));
}

static void every_scenario_has_its_share_from_the_first_day(void **state)
{
    (void)state;
    struct gen *gen = create(&usual);
    struct gen_transaction tx;
    double counts[GEN_SCENARIOS] = {0}, early[GEN_SCENARIOS] = {0}, n = 1000000, days = 0;
    for (int i = 0; i < (int)n; i++) {
        gen_next(gen, &tx);
        counts[tx.scenario]++;
        if (tx.time_s < usual.start_s + 5 * 86400)
            early[tx.scenario]++;
    }
    days = (double)(tx.time_s - usual.start_s) / 86400;
    assert_true(days > 49 && days < 51);
    for (int s = GEN_SPREE; s < GEN_SCENARIOS; s++) {
        assert_true(counts[s] / n > 0.0016 && counts[s] / n < 0.0024);
        assert_true(early[s] > 0);
    }
    gen_free(gen);
    struct gen_options one = usual;
    one.fraud[GEN_SPREE] = one.fraud[GEN_TERMINAL] = one.fraud[GEN_TESTING] = 0;
    one.fraud[GEN_TAKEOVER] = 0.05;
    gen = create(&one);
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < 200000; i++) {
        gen_next(gen, &tx);
        counts[tx.scenario]++;
    }
    assert_true(counts[GEN_SPREE] + counts[GEN_TERMINAL] + counts[GEN_TESTING] == 0);
    assert_true(counts[GEN_TAKEOVER] > 9000 && counts[GEN_TAKEOVER] < 11000);
    gen_free(gen);
}

static void lines_are_json_in_order_of_time(void **state)
{
    (void)state;
    static const char *const texts[] = {"tx_id",        "customer_id", "terminal_id", "currency", "mcc", "category", "country",
                                        "home_country", "channel",     "entry"};
    struct gen *gen = create(&usual);
    struct gen_transaction tx;
    char line[GEN_TEXT_MAX], customer[GEN_TEXT_MAX];
    int64_t before = usual.start_s;
    for (int i = 0; i < 20000; i++) {
        gen_next(gen, &tx);
        size_t len = gen_write_transaction(gen, &tx, line);
        json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        assert_int_equal(line[len - 1], '\n');
        assert_int_equal(json_object_size(object), 13);
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
            assert_true(json_string_length(json_object_get(object, texts[t])) > 0);
        assert_true(json_is_boolean(json_object_get(object, "new_device")));
        assert_true(json_real_value(json_object_get(object, "amount")) > 0);
        int64_t now = json_integer_value(json_object_get(object, "ts"));
        assert_true(now >= before);
        before = now;
        size_t customer_len = gen_write_customer(&tx, customer);
        assert_memory_equal(json_string_value(json_object_get(object, "customer_id")), customer, customer_len);
        json_t *label = json_loadb(line, gen_write_label(gen, &tx, line), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(label);
        assert_true(json_equal(json_object_get(label, "transaction_id"), json_object_get(object, "tx_id")));
        assert_true(json_is_true(json_object_get(label, "fraud")) == (tx.scenario != GEN_HONEST));
        assert_string_equal(json_string_value(json_object_get(label, "scenario")), gen_scenario_name(tx.scenario));
        assert_true(json_integer_value(json_object_get(label, "time")) == now);
        json_decref(label);
        json_decref(object);
    }
    gen_free(gen);
}

struct picture {
    double n, cents, night, swiped, keyed, new_device, abroad;
};

static void add(struct picture *p, const struct gen_transaction *tx)
{
    p->n++;
    p->cents += tx->cents;
    p->night += tx->time_s / 3600 % 24 < 5;
    p->swiped += strcmp(tx->entry, "swipe") == 0;
    p->keyed += strcmp(tx->entry, "keyed") == 0;
    p->new_device += tx->new_device;
    p->abroad += strcmp(tx->country, tx->home_country) != 0;
}

/* What the header promises of each scenario, against honest transactions. */
static void scenarios_look_as_described(void **state)
{
    (void)state;
    struct gen *gen = create(&usual);
    struct gen_transaction tx;
    struct picture p[GEN_SCENARIOS] = {0};
    for (int i = 0; i < 500000; i++) {
        gen_next(gen, &tx);
        add(&p[tx.scenario], &tx);
    }
    const struct picture *h = &p[GEN_HONEST], *spree = &p[GEN_SPREE], *testing = &p[GEN_TESTING], *takeover = &p[GEN_TAKEOVER];
    const struct picture *terminal = &p[GEN_TERMINAL];
    assert_true(h->night / h->n < 0.15);
    assert_true(spree->cents / spree->n > 4 * h->cents / h->n);
    assert_true(spree->abroad / spree->n > 1.5 * h->abroad / h->n);
    assert_true(terminal->swiped / terminal->n > 0.4 && h->swiped / h->n < 0.05);
    assert_true(testing->cents / testing->n < 500 && testing->keyed == testing->n);
    assert_true(takeover->cents / takeover->n > 4 * h->cents / h->n);
    assert_true(takeover->new_device / takeover->n > 0.8 && h->new_device / h->n < 0.05);
    gen_free(gen);
}

static void testing_hits_many_cards_at_one_terminal(void **state)
{
    (void)state;
    struct gen_options only = usual;
    only.fraud[GEN_SPREE] = only.fraud[GEN_TERMINAL] = only.fraud[GEN_TAKEOVER] = 0;
    struct gen *gen = create(&only);
    struct gen_transaction tx;
    uint64_t terminal = UINT64_MAX, card = UINT64_MAX;
    int same_terminal = 0, same_card = 0, n = 0;
    while (n < 500) {
        gen_next(gen, &tx);
        if (tx.scenario != GEN_TESTING)
            continue;
        same_terminal += tx.terminal == terminal;
        same_card += tx.card == card;
        terminal = tx.terminal;
        card = tx.card;
        n++;
    }
    assert_true(same_terminal > 450 && same_card < 5);
    gen_free(gen);
}

static void terminals_have_a_few_favourites(void **state)
{
    (void)state;
    static unsigned visits[10000];
    memset(visits, 0, sizeof visits);
    struct gen *gen = create(&usual);
    struct gen_transaction tx;
    unsigned visited = 0, most = 0;
    for (int i = 0; i < 200000; i++) {
        gen_next(gen, &tx);
        assert_true(tx.terminal < 10000 && tx.card < 10000);
        visited += visits[tx.terminal]++ == 0;
        most = visits[tx.terminal] > most ? visits[tx.terminal] : most;
    }
    assert_true(visited > 8000);
    assert_true(most > 100 * 20);
    gen_free(gen);
}

static void small_worlds_work(void **state)
{
    (void)state;
    struct gen_options tiny = usual;
    tiny.cards = 1;
    tiny.terminals = 16;
    tiny.per_day = 0.5;
    (void)digest(&tiny, 5000);
    tiny.cards = 1000000000;
    tiny.terminals = 1000000000;
    tiny.per_day = 1e9;
    tiny.fraud[GEN_SPREE] = tiny.fraud[GEN_TERMINAL] = tiny.fraud[GEN_TESTING] = tiny.fraud[GEN_TAKEOVER] = 0.00001;
    (void)digest(&tiny, 5000);
}

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    struct error err;
    struct gen *gen = NULL;
    const struct {
        struct gen_options options;
        const char *message;
    } slips[] = {
        {{.start_s = 1735689600, .per_day = 1, .cards = 0, .terminals = 16}, "cards"},
        {{.start_s = 1735689600, .per_day = 1, .cards = 1, .terminals = 15}, "terminals"},
        {{.start_s = 1735689600, .per_day = 0, .cards = 1, .terminals = 16}, "day"},
        {{.start_s = 0, .per_day = 1, .cards = 1, .terminals = 16}, "start"},
        {{.start_s = 1735689600, .per_day = 1, .cards = 1, .terminals = 16, .fraud = {0, 0.6}}, "0.5"},
        {{.start_s = 1735689600, .per_day = 1, .cards = 1, .terminals = 16, .fraud = {0, 0, -0.1}}, "terminal"},
    };
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        assert_int_equal(gen_create(&slips[i].options, &gen, &err), STATUS_INVALID);
        assert_non_null(strstr(err.message, slips[i].message));
    }
}

static void tells_its_speed(void **state)
{
    (void)state;
    struct gen *gen = create(&usual);
    struct gen_transaction tx;
    char line[GEN_TEXT_MAX];
    size_t bytes = 0;
    int n = 300000;
    int64_t start = clock_monotonic_ns();
    for (int i = 0; i < n; i++) {
        gen_next(gen, &tx);
        bytes += gen_write_transaction(gen, &tx, line);
    }
    double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    (void)printf("gen: %.2f million transactions a second, %.0f bytes each\n", n / seconds / 1e6, (double)bytes / n);
    assert_true(bytes / (size_t)n > 220 && bytes / (size_t)n < 280);
    gen_free(gen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_options_give_the_same_bytes),
        cmocka_unit_test(every_scenario_has_its_share_from_the_first_day),
        cmocka_unit_test(lines_are_json_in_order_of_time),
        cmocka_unit_test(scenarios_look_as_described),
        cmocka_unit_test(testing_hits_many_cards_at_one_terminal),
        cmocka_unit_test(terminals_have_a_few_favourites),
        cmocka_unit_test(small_worlds_work),
        cmocka_unit_test(refuses_options_out_of_range),
        cmocka_unit_test(tells_its_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
