/* From expressions to a plan: compile each in order, leave out what no column uses, number the registers. */
#include "model/features/compile.h"

#include <stdlib.h>
#include <string.h>

/* A column to be: its name, and the value that it holds. */
struct column {
    char *name;
    uint16_t value;
};

struct columns {
    struct column *list; /* [count], room for PLAN_REGISTERS_MAX */
    size_t count;
};

static bool add_column(struct compiler *c, struct columns *columns, struct buf *name, uint16_t value)
{
    for (size_t i = 0; i < columns->count; i++)
        if (strcmp(columns->list[i].name, buf_text(name)) == 0)
            return complain(c, 0, "there is already a column '%.100s'", buf_text(name));
    if (columns->count == PLAN_REGISTERS_MAX)
        return complain(c, 0, "more than %d columns", PLAN_REGISTERS_MAX);
    struct column *column = &columns->list[columns->count];
    column->name = strdup(buf_text(name));
    column->value = value;
    if (!column->name || name->failed)
        return complain_memory(c);
    columns->count++;
    return true;
}

/* The columns of one feature: one, or for onehot one for each text. */
static bool add_columns(struct compiler *c, const struct named *named, struct columns *columns)
{
    struct buf name = {0};
    const struct operand *operand = &named->operand;
    bool ok = true;
    if (operand->kind != OPERAND_COLUMNS) {
        buf_string(&name, named->name);
        ok = add_column(c, columns, &name, operand->value);
    } else {
        uint32_t n = column_count(c, operand);
        for (uint32_t i = 0; i < n && ok; i++) {
            uint16_t value;
            buf_clear(&name);
            column_name(c, named, i, &name);
            ok = value_add(c, 0, (struct instruction){.op = OP_PICK, .a = operand->value, .index = (uint16_t)i}, &value) &&
                 add_column(c, columns, &name, value);
        }
    }
    buf_free(&name);
    return ok;
}

/* Compiles one source. visible: those after it may use it; columns: NULL where it becomes none. */
static bool compile_source(struct compiler *c, const struct feature_source *source, bool visible, struct columns *columns)
{
    c->source = source;
    struct named named = {.name = source->name};
    size_t len = strnlen(source->name, FEATURE_NAME_MAX + 1);
    if (len == 0 || len > FEATURE_NAME_MAX)
        return complain(c, 0, "the name of a feature has 1 to %d bytes", FEATURE_NAME_MAX);
    if (!parse_expression(c, &named.operand))
        return false;
    if ((named.operand.kind != OPERAND_COLUMNS || !visible) && !parse_need_number(c, &named.operand, true))
        return false;
    for (size_t i = 0; visible && i < c->named_count; i++)
        if (strcmp(c->named[i].name, source->name) == 0)
            return complain(c, 0, "there is already a feature of this name");
    if (visible)
        c->named[c->named_count++] = named;
    return !columns || add_columns(c, &named, columns);
}

/* Marks the values that the columns need, from the last to the first: operands stand before what uses them. */
static void mark_used(const struct compiler *c, const struct columns *columns, bool *used)
{
    for (size_t i = 0; i < columns->count; i++)
        used[columns->list[i].value] = true;
    for (uint32_t i = c->value_count; i-- > 0;) {
        const struct instruction *in = &c->values[i].instruction;
        const uint16_t operands[] = {in->a, in->b, in->c};
        for (unsigned k = 0; used[i] && k < op_registers(in->op); k++)
            used[operands[k]] = true;
    }
}

/* Constants get the first registers, instructions the following ones in their order. */
static void number_registers(const struct compiler *c, const bool *used, uint16_t *registers)
{
    struct plan *plan = c->plan;
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (!used[i] || c->values[i].instruction.op != OP_CONSTANT)
            continue;
        plan->constants[plan->constant_count] = c->values[i].constant;
        registers[i] = (uint16_t)plan->constant_count++;
    }
    for (uint32_t i = 0; i < c->value_count; i++) {
        struct instruction in = c->values[i].instruction;
        if (!used[i] || in.op == OP_CONSTANT)
            continue;
        unsigned n = op_registers(in.op);
        in.a = n > 0 ? registers[in.a] : 0;
        in.b = n > 1 ? registers[in.b] : 0;
        in.c = n > 2 ? registers[in.c] : 0;
        plan->code[plan->code_count] = in;
        registers[i] = (uint16_t)(plan->constant_count + plan->code_count++);
    }
}

/* The plan's own arrays from what was compiled. */
static bool finish(struct compiler *c, struct columns *columns)
{
    struct plan *plan = c->plan;
    bool used[PLAN_REGISTERS_MAX] = {false};
    uint16_t registers[PLAN_REGISTERS_MAX] = {0};
    plan->constants = calloc(c->value_count + 1u, sizeof *plan->constants);
    plan->code = calloc(c->value_count + 1u, sizeof *plan->code);
    plan->columns = calloc(columns->count + 1, sizeof *plan->columns);
    plan->column_names = calloc(columns->count + 1, sizeof(char *));
    if (!plan->constants || !plan->code || !plan->columns || !plan->column_names)
        return complain_memory(c);
    mark_used(c, columns, used);
    number_registers(c, used, registers);
    for (size_t i = 0; i < columns->count; i++) {
        plan->columns[i] = registers[columns->list[i].value];
        plan->column_names[i] = columns->list[i].name;
        columns->list[i].name = NULL; /* now the plan's */
    }
    plan->column_count = columns->count;
    return true;
}

/* features become visible to what follows; `conditions` see them but not one another. Columns come from the conditions
 * where `over`, else from the features. */
static bool compile_all(struct compiler *c, const struct feature_source *features, size_t feature_count,
                        const struct feature_source *conditions, size_t condition_count, bool over, struct columns *columns)
{
    c->sources = features;
    c->source_count = feature_count;
    for (size_t i = 0; i < feature_count; i++)
        if (!compile_source(c, &features[i], true, over ? NULL : columns))
            return false;
    c->source_count = 0;
    for (size_t i = 0; i < condition_count; i++)
        if (!compile_source(c, &conditions[i], false, columns))
            return false;
    return finish(c, columns);
}

static enum status run(const struct schema *schema, const struct feature_source *features, size_t feature_count,
                       const struct feature_source *conditions, size_t condition_count, bool over, struct plan **out,
                       struct error *err)
{
    *out = NULL;
    if (feature_count > FEATURES_MAX || condition_count > FEATURES_MAX)
        return error_set(err, STATUS_LIMIT, "more than %d features", FEATURES_MAX);
    struct compiler c = {.schema = schema, .err = err, .status = STATUS_NO_MEMORY};
    struct columns columns = {.list = calloc(PLAN_REGISTERS_MAX, sizeof *columns.list)};
    c.plan = calloc(1, sizeof *c.plan);
    c.values = malloc(PLAN_REGISTERS_MAX * sizeof *c.values);
    c.named = malloc((feature_count + 1) * sizeof *c.named);
    c.arguments = malloc(ARGUMENTS_MAX * sizeof *c.arguments);
    bool ok = columns.list && c.plan && c.values && c.named && c.arguments;
    if (!ok)
        complain_memory(&c);
    else
        ok = compile_all(&c, features, feature_count, conditions, condition_count, over, &columns);
    for (size_t i = 0; i < columns.count; i++)
        free(columns.list[i].name);
    free(columns.list);
    free(c.values);
    free(c.named);
    free(c.arguments);
    if (ok)
        *out = c.plan;
    else
        plan_free(c.plan);
    return ok ? STATUS_OK : c.status;
}

enum status plan_compile(const struct schema *schema, const struct feature_source *sources, size_t n, struct plan **out,
                         struct error *err)
{
    return run(schema, sources, n, NULL, 0, false, out, err);
}

enum status plan_compile_conditions(const struct schema *schema, const struct feature_source *features, size_t feature_count,
                                    const struct feature_source *sources, size_t n, struct plan **out, struct error *err)
{
    return run(schema, features, feature_count, sources, n, true, out, err);
}
