/* From expressions to a plan: compile each in order, leave out what no column uses, number the registers. */
#include "model/features/compile.h"

#include <stdlib.h>
#include <string.h>

/* A column to be: its name, the value that it holds, and the source that it comes from. */
struct column {
    char *name;
    uint16_t value, source;
};

struct columns {
    struct column *list; /* [count], room for PLAN_REGISTERS_MAX */
    size_t count;
    size_t first;    /* names are distinct from here on: conditions are told apart among themselves */
    uint16_t source; /* of what is added now */
};

static bool add_column(struct compiler *c, struct columns *columns, struct buf *name, uint16_t value)
{
    const char *text = buf_text(name);
    if (name->failed)
        return complain_memory(c);
    for (size_t i = columns->first; i < columns->count; i++)
        if (strcmp(columns->list[i].name, text) == 0)
            return complain(c, 0, "there is already one with the name '%.100s'", text);
    if (columns->count == PLAN_REGISTERS_MAX)
        return complain(c, 0, "more than %d columns", PLAN_REGISTERS_MAX);
    char *copy = strdup(text);
    if (!copy)
        return complain_memory(c);
    columns->list[columns->count++] = (struct column){.name = copy, .value = value, .source = columns->source};
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
            ok = value_add(c, 0, (struct instruction){.op = OP_PICK, .a = operand->value, .index = (uint16_t)i},
                           &value) &&
                 add_column(c, columns, &name, value);
        }
    }
    buf_free(&name);
    return ok;
}

static bool check_name(struct compiler *c, const char *name)
{
    size_t len = strnlen(name, FEATURE_NAME_MAX + 1);
    return (len > 0 && len <= FEATURE_NAME_MAX) || complain(c, 0, "a name has 1 to %d bytes", FEATURE_NAME_MAX);
}

static bool compile_feature(struct compiler *c, const struct feature_source *source, struct columns *columns)
{
    c->source = source;
    struct named named = {.name = source->name};
    if (!check_name(c, source->name) || !parse_expression(c, &named.operand))
        return false;
    if (named.operand.kind != OPERAND_COLUMNS && !parse_need_number(c, &named.operand, true))
        return false;
    for (size_t i = 0; i < c->named_count; i++)
        if (strcmp(c->named[i].name, source->name) == 0)
            return complain(c, 0, "there is already a feature of this name");
    c->named[c->named_count++] = named;
    return add_columns(c, &named, columns);
}

static bool compile_condition(struct compiler *c, const struct feature_source *source, struct columns *columns)
{
    c->source = source;
    struct named named = {.name = source->name};
    struct instruction truth = {.op = OP_NE}; /* a comparison: 0 for a missing condition */
    if (!check_name(c, source->name) || !parse_expression(c, &named.operand) ||
        !parse_need_number(c, &named.operand, false))
        return false;
    truth.a = named.operand.value;
    return value_constant(c, 0, 0, &truth.b) && value_add(c, 0, truth, &named.operand.value) &&
           add_columns(c, &named, columns);
}

/* Marks the values that the results need, from the last to the first: operands stand before what uses them. */
static void mark_used(const struct compiler *c, const uint16_t *results, size_t n, bool *used)
{
    for (size_t i = 0; i < n; i++)
        used[results[i]] = true;
    for (uint32_t i = c->value_count; i-- > 0;) {
        const struct instruction *in = &c->values[i].instruction;
        const uint16_t operands[] = {in->a, in->b, in->c};
        for (unsigned k = 0; used[i] && k < op_registers(in->op); k++)
            used[operands[k]] = true;
    }
}

/* Constants get the first registers, instructions the following ones in their order. */
static void number_registers(const struct compiler *c, const bool *used, uint16_t *registers, struct program *program)
{
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (!used[i] || c->values[i].instruction.op != OP_CONSTANT)
            continue;
        program->constants[program->constant_count] = c->values[i].constant;
        registers[i] = (uint16_t)program->constant_count++;
    }
    for (uint32_t i = 0; i < c->value_count; i++) {
        struct instruction in = c->values[i].instruction;
        if (!used[i] || in.op == OP_CONSTANT)
            continue;
        unsigned n = op_registers(in.op);
        in.a = n > 0 ? registers[in.a] : 0;
        in.b = n > 1 ? registers[in.b] : 0;
        in.c = n > 2 ? registers[in.c] : 0;
        program->code[program->code_count] = in;
        registers[i] = (uint16_t)(program->constant_count + program->code_count++);
    }
}

/* The program that computes results[n], numbers of values. */
static bool make_program(struct compiler *c, const uint16_t *results, size_t n, struct program *program)
{
    bool used[PLAN_REGISTERS_MAX] = {false};
    uint16_t registers[PLAN_REGISTERS_MAX] = {0};
    program->constants = calloc(c->value_count + 1u, sizeof *program->constants);
    program->code = calloc(c->value_count + 1u, sizeof *program->code);
    program->results = calloc(n + 1, sizeof *program->results);
    if (!program->constants || !program->code || !program->results)
        return complain_memory(c);
    mark_used(c, results, n, used);
    number_registers(c, used, registers, program);
    for (size_t i = 0; i < n; i++)
        program->results[i] = registers[results[i]];
    program->result_count = n;
    return true;
}

/* The plan's own arrays from what was compiled. */
static bool finish(struct compiler *c, struct columns *columns)
{
    struct plan *plan = c->plan;
    uint16_t results[PLAN_REGISTERS_MAX];
    for (size_t i = 0; i < columns->count; i++)
        results[i] = columns->list[i].value;
    plan->column_sources = calloc(columns->count + 1, sizeof *plan->column_sources);
    plan->column_names = calloc(columns->count + 1, sizeof(char *));
    if (!plan->column_sources || !plan->column_names)
        return complain_memory(c);
    if (!make_program(c, c->inputs, plan->input_count, &plan->before) || !make_program(c, results, columns->count, &plan->columns))
        return false;
    for (size_t i = 0; i < columns->count; i++) {
        plan->column_sources[i] = columns->list[i].source;
        plan->column_names[i] = columns->list[i].name;
        columns->list[i].name = NULL; /* now the plan's */
    }
    return true;
}

static bool compile_all(struct compiler *c, const struct feature_source *conditions, size_t condition_count,
                        struct columns *columns)
{
    for (size_t i = 0; i < c->source_count; i++, columns->source++)
        if (!compile_feature(c, &c->sources[i], columns))
            return false;
    columns->first = columns->count;
    for (size_t i = 0; i < condition_count; i++, columns->source++)
        if (!compile_condition(c, &conditions[i], columns))
            return false;
    return finish(c, columns);
}

enum status plan_compile_with_conditions(const struct schema *schema, const struct feature_source *sources, size_t n,
                                         const struct feature_source *conditions, size_t condition_count,
                                         struct plan **out, struct error *err)
{
    *out = NULL;
    if (n > FEATURES_MAX || condition_count > FEATURES_MAX)
        return error_set(err, STATUS_LIMIT, "more than %d features", FEATURES_MAX);
    struct compiler c = {.schema = schema, .sources = sources, .source_count = n, .err = err};
    struct columns columns = {.list = calloc(PLAN_REGISTERS_MAX, sizeof *columns.list)};
    c.plan = calloc(1, sizeof *c.plan);
    c.values = malloc(PLAN_REGISTERS_MAX * sizeof *c.values);
    c.named = malloc((n + 1) * sizeof *c.named);
    c.arguments = malloc(ARGUMENTS_MAX * sizeof *c.arguments);
    bool ok = columns.list && c.plan && c.values && c.named && c.arguments;
    if (!ok)
        complain_memory(&c);
    else
        ok = compile_all(&c, conditions, condition_count, &columns);
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
    return plan_compile_with_conditions(schema, sources, n, NULL, 0, out, err);
}
