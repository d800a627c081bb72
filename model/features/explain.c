/* What a plan consists of, for people. */
#include <stdio.h>

#include "model/base/check.h"
#include "model/base/buf.h"
#include "model/features/program.h"

static const char *const op_names[] = {
#define OP(name, registers, foldable) #name,
#include "model/features/ops.def"
#undef OP
};

/* A register of a program: a constant as its value, else the number of the instruction that makes it. */
static void write_register(const struct program *program, uint16_t number, struct buf *out)
{
    if (number < program->constant_count)
        buf_format(out, " %.9g", program->constants[number]);
    else
        buf_format(out, " r%u", number - program->constant_count);
}

static unsigned registers_of(const struct instruction *i)
{
    static const unsigned char registers[] = {
#define OP(name, registers, foldable) registers,
#include "model/features/ops.def"
#undef OP
    };
    return registers[i->op];
}

static void write_instruction(const struct plan *plan, const struct schema *schema, const struct program *program, uint32_t at, struct buf *out)
{
    const struct instruction *i = &program->code[at];
    const uint16_t operands[] = {i->a, i->b, i->c};
    buf_format(out, "  r%-4u %s", at, op_names[i->op]);
    for (unsigned k = 0; k < registers_of(i); k++)
        write_register(program, operands[k], out);
    switch ((enum op)i->op) {
    case OP_FIELD:
    case OP_NO_TEXT:
    case OP_MATCH:
        buf_format(out, " %s", schema_field(schema, i->index)->name);
        break;
    case OP_SAME_TEXT:
    case OP_OTHER_TEXT:
        buf_format(out, " %s %s", schema_field(schema, i->index)->name, schema_field(schema, i->table)->name);
        break;
    case OP_WINDOW:
        buf_string(out, " ");
        plan_window_text(plan, schema, i->index, out);
        break;
    case OP_PICK:
        buf_format(out, " %u", i->index);
        break;
    case OP_LOCAL:
        buf_format(out, " %s", plan->zones[i->table]->name);
        break;
    default:
        break;
    }
    buf_char(out, '\n');
}

/* 900 s as 15m: in the largest unit that divides it. */
static void write_duration(int64_t us, struct buf *out)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"d", INT64_C(86400000000)}, {"h", INT64_C(3600000000)}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}};
    if (us == WINDOW_ALL) {
        buf_string(out, "all");
        return;
    }
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof *units && us % units[i].us != 0)
        i++;
    buf_format(out, "%.9g%s", (double)us / (double)units[i].us, units[i].name);
}

void plan_window_text(const struct plan *plan, const struct schema *schema, size_t window, struct buf *out)
{
    static const char *const names[] = {
#define WINDOW(id, name, inputs, signature, help) name,
#include "model/features/windows.def"
#undef WINDOW
    };
    CHECK(window < plan->window_count);
    const struct window *w = &plan->windows[window];
    buf_format(out, "%s(", names[w->function]);
    if (w->input != WINDOW_NONE)
        buf_format(out, "%s, ", plan->input_texts[w->input]);
    buf_format(out, "%s, ", schema_field(schema, w->key)->name);
    write_duration(w->width_us, out);
    if (w->delay_us > 0) {
        buf_string(out, ", delay=");
        write_duration(w->delay_us, out);
    }
    if (w->where != WINDOW_NONE)
        buf_format(out, ", where=%s", plan->input_texts[w->where]);
    if (w->function == WINDOW_RISK && w->prior != 0)
        buf_format(out, ", prior=%.9g", w->prior);
    if (w->labelled)
        buf_string(out, ", of=labelled");
    buf_char(out, ')');
}

static void write_program(const struct plan *plan, const struct schema *schema, const struct program *program, struct buf *out)
{
    for (uint32_t i = 0; i < program->code_count; i++)
        write_instruction(plan, schema, program, i, out);
}

void plan_explain(const struct plan *plan, const struct schema *schema, struct buf *out)
{
    if (plan->input_count > 0) {
        buf_format(out, "kept of a transaction for windows: %zu inputs, %u operations\n", plan->input_count, plan->before.code_count);
        write_program(plan, schema, &plan->before, out);
        for (size_t i = 0; i < plan->input_count; i++) {
            static const char *const kinds[] = {"number", "value", "text", "condition"};
            buf_format(out, "  %-9s %s", kinds[plan->inputs[i].kind], plan->input_texts[i]);
            if (plan->inputs[i].kind != WINDOW_TEXT) {
                buf_string(out, "   =");
                write_register(&plan->before, plan->before.results[i], out);
            }
            buf_char(out, '\n');
        }
    }
    buf_format(out, "features: %zu columns, %u operations, %zu windows\n", plan->columns.result_count, plan->columns.code_count, plan->window_count);
    write_program(plan, schema, &plan->columns, out);
    for (size_t i = 0; i < plan->columns.result_count; i++) {
        buf_format(out, "  %-24s =", plan->column_names[i]);
        write_register(&plan->columns, plan->columns.results[i], out);
        buf_char(out, '\n');
    }
}
