/* Values while compiling: each operation once, and at load where it depends on nothing but constants. */
#include <stdlib.h>
#include <string.h>

#include "model/features/compile.h"

static const struct {
    uint8_t registers;
    bool foldable;
} ops[] = {
#define OP(name, registers, foldable) {registers, foldable},
#include "model/features/ops.def"
#undef OP
};

unsigned op_registers(enum op op)
{
    return ops[op].registers;
}

static bool append(struct compiler *c, uint32_t at, const struct value_made *value, uint16_t *out)
{
    if (c->value_count == PLAN_REGISTERS_MAX)
        return complain(c, at, "the features are too long: more than %d operations in all", PLAN_REGISTERS_MAX);
    c->values[c->value_count] = *value;
    *out = (uint16_t)c->value_count++;
    return true;
}

bool value_constant(struct compiler *c, uint32_t at, double constant, uint16_t *out)
{
    for (uint32_t i = 0; i < c->value_count; i++) {
        const struct value_made *v = &c->values[i];
        /* By bits: 0 and -0 differ, and a NaN is itself. */
        if (v->instruction.op == OP_CONSTANT && memcmp(&v->constant, &constant, sizeof constant) == 0) {
            *out = (uint16_t)i;
            return true;
        }
    }
    const struct value_made made = {.instruction = {.op = OP_CONSTANT}, .constant = constant};
    return append(c, at, &made, out);
}

static bool same(const struct instruction *a, const struct instruction *b)
{
    return a->op == b->op && a->a == b->a && a->b == b->b && a->c == b->c && a->index == b->index &&
           a->table == b->table;
}

bool value_add(struct compiler *c, uint32_t at, struct instruction instruction, uint16_t *out)
{
    const uint16_t operands[] = {instruction.a, instruction.b, instruction.c};
    double constants[3] = {0};
    bool fold = ops[instruction.op].foldable, past = instruction.op == OP_WINDOW;
    for (unsigned k = 0; k < ops[instruction.op].registers; k++) {
        const struct value_made *operand = &c->values[operands[k]];
        fold = fold && operand->instruction.op == OP_CONSTANT;
        past = past || operand->past;
        constants[k] = operand->constant;
    }
    if (fold) {
        struct instruction alone = instruction;
        alone.a = 0, alone.b = 1, alone.c = 2;
        return value_constant(c, at, program_step(c->plan, &alone, constants, NULL), out);
    }
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (same(&c->values[i].instruction, &instruction)) {
            *out = (uint16_t)i;
            return true;
        }
    }
    const struct value_made made = {.instruction = instruction, .past = past};
    return append(c, at, &made, out);
}

bool value_words(struct compiler *c, struct words *words, uint16_t *out)
{
    struct plan *plan = c->plan;
    if (!words)
        return complain_memory(c);
    for (size_t i = 0; i < plan->words_count; i++) {
        if (words_equal(plan->words[i], words)) {
            words_free(words);
            *out = (uint16_t)i;
            return true;
        }
    }
    /* At most one a value, and one a lookup's operation: far below 65536. */
    struct words **grown = realloc(plan->words, (plan->words_count + 1) * sizeof(struct words *));
    if (!grown) {
        words_free(words);
        return complain_memory(c);
    }
    plan->words = grown;
    *out = (uint16_t)plan->words_count;
    plan->words[plan->words_count++] = words;
    return true;
}

bool value_string(struct compiler *c, struct token string, uint16_t *out)
{
    char bytes[2 * TEXT_BYTES_MAX + 2]; /* escapes take two */
    const struct span text = {.data = bytes, .len = lexer_string(&c->lexer, string, bytes)};
    return value_words(c, words_create(&text, NULL, 1), out);
}

bool value_zone(struct compiler *c, uint32_t at, const char *name, uint16_t *out)
{
    struct plan *plan = c->plan;
    for (size_t i = 0; i < plan->zone_count; i++) {
        if (strcmp(plan->zones[i]->name, name) == 0) {
            *out = (uint16_t)i;
            return true;
        }
    }
    struct zone **grown = realloc(plan->zones, (plan->zone_count + 1) * sizeof(struct zone *));
    if (!grown)
        return complain_memory(c);
    plan->zones = grown;
    struct error why = {{0}};
    enum status status = zone_load(name, &plan->zones[plan->zone_count], &why);
    if (status == STATUS_NO_MEMORY)
        return complain_memory(c);
    if (status != STATUS_OK)
        return complain(c, at, "%s", why.message);
    *out = (uint16_t)plan->zone_count++;
    return true;
}
