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

static void run(const struct plan *plan)
{
    struct value values[FIELDS] = {
        {.text = {"x", 1}}, {.number = 1524087015},  {.number = (double)NAN, .text = {"c1", 2}},
        {.number = 57.25},  {.number = (double)NAN},
    };
    const struct transaction tx = {.values = values, .time_us = 1524087015000000};
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
