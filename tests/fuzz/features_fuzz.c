/* Expressions of hostile origin: one line a feature, "name: expression". No crash; what compiles runs, and twice alike.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/features/plan.h"

enum { LINES_MAX = 16, FIELDS = 5 };

static const struct field fields[FIELDS] = {
    {.name = "id", .path = "id", .type = FIELD_ID, .required = true},
    {.name = "time", .path = "time", .type = FIELD_TIME, .required = true},
    {.name = "card", .path = "card", .type = FIELD_KEY},
    {.name = "amount", .path = "amount", .type = FIELD_NUMBER},
    {.name = "channel", .path = "channel", .type = FIELD_CATEGORY},
};

/* Cuts text into lines and each into name and expression; a line without ':' has no name, which the compiler refuses.
 */
static size_t cut(char *text, struct feature_source sources[LINES_MAX])
{
    size_t n = 0;
    for (char *line = text; line && n < LINES_MAX; n++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        char *colon = strchr(line, ':');
        sources[n] =
            (struct feature_source){.name = "", .expression = line, .file = "fuzz", .line = (int)n + 1, .column = 1};
        if (colon) {
            *colon = '\0';
            sources[n].name = line;
            sources[n].expression = colon + 1;
        }
        line = end;
    }
    return n;
}

/* Whoever keeps the past relies on this. */
static void check_windows(const struct plan *plan)
{
    size_t n, input_count;
    const struct window *w = plan_windows(plan, &n);
    const struct window_input *inputs = plan_inputs(plan, &input_count);
    CHECK(n <= WINDOWS_MAX && input_count <= WINDOW_INPUTS_MAX);
    for (size_t i = 0; i < n; i++) {
        CHECK(w[i].function < WINDOW_FUNCTIONS && fields[w[i].key].type == FIELD_KEY && w[i].width_us > 0 && w[i].delay_us >= 0);
        CHECK(w[i].input >= WINDOW_NONE && w[i].input < (int)input_count && w[i].where >= WINDOW_NONE && w[i].where < (int)input_count);
        CHECK(w[i].where < 0 || inputs[w[i].where].kind == WINDOW_FLAG);
        bool distinct = w[i].function == WINDOW_DISTINCT;
        enum window_input_kind kind = w[i].input < 0 ? WINDOW_NUMBER : inputs[w[i].input].kind;
        CHECK(distinct ? kind == WINDOW_VALUE || kind == WINDOW_TEXT : kind == WINDOW_NUMBER);
        CHECK(w[i].width_us <= WINDOW_US_MAX || (w[i].width_us == WINDOW_ALL && !distinct && w[i].function != WINDOW_RISK));
        CHECK(w[i].prior >= 0 && w[i].prior <= 1);
    }
    for (size_t i = 0; i < input_count; i++)
        CHECK(plan_input_text(plan, i)[0] != '\0' && inputs[i].field < FIELDS);
}

static void run(const struct plan *plan)
{
    struct value values[FIELDS] = {
        {.text = {"x", 1}}, {.number = 1524087015},  {.number = (double)NAN, .text = {"c1", 2}},
        {.number = 57.25},  {.number = (double)NAN},
    };
    double windows[WINDOWS_MAX], inputs[2][WINDOW_INPUTS_MAX] = {{0}};
    for (int i = 0; i < WINDOWS_MAX; i++)
        windows[i] = i % 3 ? i * 1.5 : (double)NAN;
    const struct transaction tx = {.values = values, .windows = windows, .time_us = 1524087015000000};
    check_windows(plan);
    plan_run_inputs(plan, &tx, inputs[0]);
    plan_run_inputs(plan, &tx, inputs[1]);
    CHECK(memcmp(inputs[0], inputs[1], sizeof inputs[0]) == 0);
    size_t n = plan_columns(plan);
    double *row = calloc(2 * n + 1, sizeof *row);
    CHECK(row);
    plan_run(plan, &tx, NUMBER_F64, row);
    plan_run(plan, &tx, NUMBER_F64, row + n);
    CHECK(memcmp(row, row + n, n * sizeof *row) == 0);
    for (size_t i = 0; i < n; i++)
        CHECK(plan_column_name(plan, i)[0] != '\0');
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct schema *schema;
    struct error err = {{0}};
    if (!schema)
        CHECK(schema_create(fields, FIELDS, &schema, &err) == STATUS_OK);
    char *text = strndup((const char *)data, size);
    CHECK(text);
    struct feature_source sources[LINES_MAX];
    size_t n = cut(text, sources);
    struct plan *plan = NULL;
    enum status status =
        plan_compile_with_conditions(schema, sources, n - n / 4, sources + n - n / 4, n / 4, &plan, &err);
    CHECK((status == STATUS_OK) == (plan != NULL) && (plan || err.message[0] != '\0'));
    if (plan)
        run(plan);
    plan_free(plan);
    free(text);
    return 0;
}
