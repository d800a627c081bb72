/*
 * Random expressions: the compiled plan against a naive evaluator that walks a tree, bit for bit.
 *
 * A tree is drawn, written out as text with as few parentheses as the grammar allows, compiled, run, and compared with what
 * walking the tree gives, on several random transactions with missing and infinite values.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "tests/support/feature_fixture.h"

enum kind { NUMBER, FIELD, BINARY, NEGATE, NOT, CALL, TEXT_IS, LOOKUP, WINDOW_OF, KINDS };

struct node {
    enum kind kind;
    int which; /* FIELD: its number; BINARY, CALL, WINDOW_OF: position in the tables below; TEXT_IS: 0 is, 1 is not */
    double number;
    const struct node *child[3];
};

static const struct {
    const char *text;
    int level; /* as in the grammar: or, and, not, comparison, sum, product, sign, primary */
} binaries[] = {{"or", 0}, {"and", 1}, {"<", 3}, {"<=", 3}, {">", 3}, {">=", 3}, {"==", 3}, {"!=", 3}, {"+", 4}, {"-", 4}, {"*", 5}, {"/", 5}};

static const struct {
    const char *name;
    int arguments;
} calls[] = {{"log1p", 1}, {"exp", 1}, {"sqrt", 1}, {"abs", 1}, {"missing", 1}, {"min", 2}, {"max", 2}, {"min", 3}, {"clip", 3}, {"if", 3}};

/* Each is a window of its own; what it holds is drawn. */
static const char *const windows[] = {"count(card, 1d)", "mean(amount, card, 7d, where=present and amount > 3)", "min(amount, terminal, all)",
                                      "risk(terminal, 30d, delay=7d)"};

static const int number_fields[] = {FIXTURE_AMOUNT, FIXTURE_LIMIT, FIXTURE_PRESENT};
static const double numbers[] = {0, 1, 2, 3, 0.5, 0.1, 100, 1e6, 1e-9, 1e308, 57.25};

static uint64_t seed = 20180418;

static unsigned draw(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static struct node pool[4096];
static size_t used;

static const struct node *make(int depth)
{
    struct node *n = &pool[used++];
    *n = (struct node){.kind = depth == 0 ? (enum kind)draw(2) : (enum kind)draw(KINDS)};
    int children = 0;
    switch (n->kind) {
    case NUMBER:
        n->number = numbers[draw(sizeof numbers / sizeof *numbers)];
        break;
    case FIELD:
        n->which = number_fields[draw(3)];
        break;
    case BINARY:
        n->which = (int)draw(sizeof binaries / sizeof *binaries);
        children = 2;
        break;
    case CALL:
        n->which = (int)draw(sizeof calls / sizeof *calls);
        children = calls[n->which].arguments;
        break;
    case WINDOW_OF:
        n->which = (int)draw(sizeof windows / sizeof *windows);
        break;
    case TEXT_IS:
    case LOOKUP:
        n->which = (int)draw(2);
        break;
    default:
        children = 1;
    }
    for (int i = 0; i < children; i++)
        n->child[i] = make(depth - 1);
    return n;
}

static int level_of(const struct node *n)
{
    switch (n->kind) {
    case BINARY:
        return binaries[n->which].level;
    case NOT:
        return 2;
    case NEGATE:
        return 6;
    case TEXT_IS:
        return 3;
    default:
        return 7;
    }
}

static void print(const struct node *n, int least, struct buf *out);

static void print_arguments(const struct node *n, struct buf *out)
{
    buf_format(out, "%s(", calls[n->which].name);
    for (int i = 0; i < calls[n->which].arguments; i++) {
        buf_string(out, i ? ", " : "");
        print(n->child[i], 0, out);
    }
    buf_char(out, ')');
}

/* least: the loosest level that may stand here without parentheses. */
static void print(const struct node *n, int least, struct buf *out)
{
    static const char *const fields[] = {[FIXTURE_AMOUNT] = "amount", [FIXTURE_LIMIT] = "limit", [FIXTURE_PRESENT] = "present"};
    bool wrap = level_of(n) < least || draw(8) == 0;
    buf_string(out, wrap ? "(" : "");
    if (n->kind == NUMBER) {
        buf_format(out, "%.17g", n->number);
    } else if (n->kind == FIELD) {
        buf_string(out, fields[n->which]);
    } else if (n->kind == BINARY) {
        int level = binaries[n->which].level;
        print(n->child[0], level == 3 ? 4 : level, out); /* comparisons do not chain */
        buf_format(out, " %s ", binaries[n->which].text);
        print(n->child[1], level + 1, out);
    } else if (n->kind == CALL) {
        print_arguments(n, out);
    } else if (n->kind == TEXT_IS) {
        buf_string(out, n->which ? "channel != \"web\"" : "channel == 'web'");
    } else if (n->kind == WINDOW_OF) {
        buf_string(out, windows[n->which]);
    } else if (n->kind == LOOKUP) {
        buf_string(out, n->which ? "lookup(channel, 'web', 3, 'pos', -0.5, 7)" : "lookup(channel, 'atm', 1, 0)");
    } else {
        buf_string(out, n->kind == NOT ? "not " : "-");
        print(n->child[0], n->kind == NOT ? 2 : 6, out);
    }
    buf_string(out, wrap ? ")" : "");
}

static double lesser(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (double)NAN;
    return b < a ? b : a;
}

static double greater(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (double)NAN;
    return b > a ? b : a;
}

static double binary(const char *op, double a, double b)
{
    bool unknown = isnan(a) || isnan(b);
    if (strcmp(op, "or") == 0)
        return (a != 0 && !isnan(a)) || (b != 0 && !isnan(b)) ? 1 : unknown ? (double)NAN : 0;
    if (strcmp(op, "and") == 0)
        return a == 0 || b == 0 ? 0 : unknown ? (double)NAN : 1;
    switch (op[0]) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return a / b;
    case '<':
        return op[1] ? a <= b : a < b;
    case '>':
        return op[1] ? a >= b : a > b;
    case '=':
        return a == b;
    default:
        return !unknown && a != b;
    }
}

static double call(const char *name, const double *x, int n)
{
    switch (name[0]) {
    case 'l':
        return log1p(x[0]);
    case 'e':
        return exp(x[0]);
    case 's':
        return sqrt(x[0]);
    case 'a':
        return fabs(x[0]);
    case 'i':
        return isnan(x[0]) ? (double)NAN : x[0] != 0 ? x[1] : x[2];
    case 'c':
        return lesser(greater(x[0], x[1]), x[2]);
    default:
        break;
    }
    if (strcmp(name, "missing") == 0)
        return isnan(x[0]);
    if (strcmp(name, "max") == 0)
        return greater(x[0], x[1]);
    return n == 2 ? lesser(x[0], x[1]) : lesser(lesser(x[0], x[1]), x[2]);
}

static double held[sizeof windows / sizeof *windows]; /* by each window */

/* Puts what the windows hold where the plan looks for it. */
static void fill_windows(const struct plan *plan, struct fixture *f)
{
    size_t n;
    const struct window *asked = plan_windows(plan, &n);
    for (size_t i = 0; i < n; i++) {
        const enum window_function functions[] = {WINDOW_COUNT, WINDOW_MEAN, WINDOW_MIN, WINDOW_RISK};
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
            if (functions[k] == asked[i].function)
                f->windows[i] = held[k];
    }
}

static double walk(const struct node *n, const struct fixture *f)
{
    double x[3] = {0};
    for (int i = 0; i < 3 && n->child[i]; i++)
        x[i] = walk(n->child[i], f);
    const char *channel = f->values[FIXTURE_CHANNEL].text.data;
    switch (n->kind) {
    case NUMBER:
        return n->number;
    case FIELD:
        return f->values[n->which].number;
    case BINARY:
        return binary(binaries[n->which].text, x[0], x[1]);
    case NEGATE:
        return -x[0];
    case NOT:
        return isnan(x[0]) ? (double)NAN : x[0] == 0;
    case CALL:
        return call(calls[n->which].name, x, calls[n->which].arguments);
    case WINDOW_OF:
        return held[n->which];
    case TEXT_IS:
        return channel && (strcmp(channel, "web") == 0) == (n->which == 0);
    default:
        if (!channel)
            return (double)NAN;
        if (n->which)
            return strcmp(channel, "web") == 0 ? 3 : strcmp(channel, "pos") == 0 ? -0.5 : 7;
        return strcmp(channel, "atm") == 0;
    }
}

static void randomise(struct fixture *f)
{
    static const double values[] = {0, -0.0, 1, -1, 57.25, 1e-300, 1e300, -3.5};
    static const char *const channels[] = {"web", "pos", "atm", "", "webb", NULL};
    for (size_t i = 0; i < 3; i++) {
        unsigned which = draw(11);
        f->values[number_fields[i]].number =
            which < 8 ? values[which] : which == 8 ? (double)NAN : which == 9 ? (double)INFINITY : -(double)INFINITY;
    }
    fixture_text(f, FIXTURE_CHANNEL, channels[draw(6)]);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        held[i] = draw(5) ? values[draw(8)] : (double)NAN;
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static void plans_compute_what_the_tree_says(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct buf text = {0};
    for (int round = 0; round < 20000; round++) {
        used = 0;
        const struct node *tree = make(1 + (int)draw(5));
        buf_clear(&text);
        print(tree, 0, &text);
        const char *message;
        struct plan *plan = fixture_compile(&f, buf_text(&text), &message);
        if (!plan && strstr(message, "clip: low"))
            continue; /* fixed limits the wrong way round are refused */
        if (!plan)
            fail_msg("%s", message);
        for (int k = 0; k < 5; k++) {
            randomise(&f);
            double got, want = walk(tree, &f);
            fill_windows(plan, &f);
            plan_run(plan, &f.tx, NUMBER_F64, &got);
            if (!same(got, want))
                fail_msg("%s gives %a, not %a", buf_text(&text), got, want);
        }
        plan_free(plan);
    }
    buf_free(&text);
    fixture_free(&f);
}

/* Many features in one plan share values; each must still be what it is alone. */
static void sharing_changes_nothing(void **state)
{
    (void)state;
    enum { FEATURES = 20 };
    struct fixture f;
    fixture_init(&f);
    for (int round = 0; round < 300; round++) {
        const struct node *trees[FEATURES];
        struct buf texts[FEATURES] = {{0}};
        char names[FEATURES][8];
        struct feature_source sources[FEATURES];
        used = 0;
        size_t n = 0;
        while (n < FEATURES) {
            trees[n] = make(3);
            buf_clear(&texts[n]);
            print(trees[n], 0, &texts[n]);
            const char *message;
            struct plan *alone = fixture_compile(&f, buf_text(&texts[n]), &message);
            if (!alone)
                continue;
            plan_free(alone);
            (void)snprintf(names[n], sizeof names[n], "f%zu", n);
            sources[n] = (struct feature_source){.name = names[n], .expression = buf_text(&texts[n]), .line = 1, .column = 1};
            n++;
        }
        struct plan *plan;
        struct error err;
        assert_int_equal(plan_compile(f.schema, sources, FEATURES, &plan, &err), STATUS_OK);
        double row[FEATURES];
        randomise(&f);
        fill_windows(plan, &f);
        plan_run(plan, &f.tx, NUMBER_F64, row);
        for (size_t i = 0; i < FEATURES; i++) {
            if (!same(row[i], walk(trees[i], &f)))
                fail_msg("%s gives %a, not %a", buf_text(&texts[i]), row[i], walk(trees[i], &f));
            buf_free(&texts[i]);
        }
        plan_free(plan);
    }
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_compute_what_the_tree_says),
        cmocka_unit_test(sharing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
