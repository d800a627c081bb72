/* What a name in an expression stands for: a field, a feature above, or one column of an onehot above. */
#include <stdlib.h>
#include <string.h>

#include "model/base/nearest.h"
#include "model/features/compile.h"

static const struct words *columns_words(const struct compiler *c, const struct operand *columns)
{
    return c->plan->words[c->values[columns->value].instruction.table];
}

uint32_t column_count(const struct compiler *c, const struct operand *columns)
{
    return columns_words(c, columns)->count;
}

void column_name(const struct compiler *c, const struct named *named, uint32_t column, struct buf *out)
{
    const struct words *words = columns_words(c, &named->operand);
    buf_format(out, "%s_", named->name);
    for (uint32_t i = 0; i < words->count; i++)
        if (words->sorted[i].position == column)
            buf_append(out, words->sorted[i].text.data, words->sorted[i].text.len);
}

static bool field_operand(struct compiler *c, uint32_t at, int field, struct operand *out)
{
    enum field_type type = schema_field(c->schema, (size_t)field)->type;
    *out = (struct operand){.kind = OPERAND_TEXT, .at = at, .field = (uint16_t)field};
    if (type == FIELD_ID || type == FIELD_KEY || type == FIELD_CATEGORY)
        return true;
    out->kind = type == FIELD_TIME ? OPERAND_TIME : OPERAND_NUMBER;
    return value_add(c, at, (struct instruction){.op = OP_FIELD, .index = (uint16_t)field}, &out->value);
}

/* "channel_pos" where a feature "channel" above has a column for "pos": its position, else -1. */
static int column_of(const struct compiler *c, const struct named *named, struct span name)
{
    size_t len = strlen(named->name);
    if (named->operand.kind != OPERAND_COLUMNS || name.len <= len || memcmp(name.data, named->name, len) != 0 ||
        name.data[len] != '_')
        return -1;
    const struct span rest = {.data = name.data + len + 1, .len = name.len - (uint32_t)len - 1};
    return words_find(columns_words(c, &named->operand), rest);
}

/* The feature above, or column of one, of this name. *found is false where there is none. */
static bool feature_operand(struct compiler *c, uint32_t at, struct span name, bool *found, struct operand *out)
{
    *found = true;
    for (size_t i = 0; i < c->named_count; i++) {
        const struct named *named = &c->named[i];
        if (span_equal(name, named->name, strlen(named->name))) {
            *out = named->operand;
            out->at = at;
            return true;
        }
        int column = column_of(c, named, name);
        if (column < 0)
            continue;
        *out = (struct operand){.kind = OPERAND_NUMBER, .at = at};
        return value_add(c, at,
                         (struct instruction){.op = OP_PICK, .a = named->operand.value, .index = (uint16_t)column},
                         &out->value);
    }
    *found = false;
    return true;
}

/* The list of names that could have been meant is made only for a message. */
static const char *nearest_name(const struct compiler *c, const char *word)
{
    size_t n = schema_size(c->schema), total = n + c->named_count;
    const char **candidates = malloc((total + 1) * sizeof(const char *));
    if (!candidates)
        return NULL;
    for (size_t i = 0; i < total; i++)
        candidates[i] = i < n ? schema_field(c->schema, i)->name : c->named[i - n].name;
    const char *near = nearest_word(word, candidates, total);
    free(candidates);
    return near;
}

static bool unknown(struct compiler *c, uint32_t at, const char *word)
{
    static const char *const functions[][2] = {
#define FUNCTION(id, name, kind, op, least, most, signature, help) {name, signature},
#include "model/features/functions.def"
#undef FUNCTION
#define WINDOW(id, name, inputs, signature, help) {name, signature},
#include "model/features/windows.def"
#undef WINDOW
    };
    if (strcmp(word, c->source->name) == 0)
        return complain(c, at, "'%s' is this feature itself, and there is no field of that name", word);
    for (size_t i = 0; i < c->source_count; i++)
        if (strcmp(word, c->sources[i].name) == 0)
            return complain(c, at, "'%s' stands further below: a feature may use only those above it", word);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(word, functions[i][0]) == 0)
            return complain(c, at, "'%s' is a function: %s", word, functions[i][1]);
    const char *near = nearest_name(c, word);
    if (near)
        return complain(c, at, "unknown name '%s'; did you mean '%s'?", word, near);
    return complain(c, at, "unknown name '%s': it is neither a field under 'transaction' nor a feature above", word);
}

bool parse_name(struct compiler *c, struct token name, struct operand *out)
{
    struct span text = lexer_text(&c->lexer, name);
    char word[FEATURE_NAME_MAX + 1];
    if (text.len > FEATURE_NAME_MAX)
        return complain(c, name.at, "a name has at most %d bytes", FEATURE_NAME_MAX);
    memcpy(word, text.data, text.len);
    word[text.len] = '\0';

    struct operand feature;
    bool found;
    if (!feature_operand(c, name.at, text, &found, &feature))
        return false;
    int field = schema_find(c->schema, word);
    if (field < 0 && !found && strcmp(word, "all") == 0) {
        *out = (struct operand){.kind = OPERAND_ALL, .at = name.at};
        return true;
    }
    if (field < 0 && !found)
        return unknown(c, name.at, word);
    if (field < 0 && feature.kind == OPERAND_COLUMNS)
        return complain(c, name.at, "'%s' has several columns: name one of them, %s_...", word, word);
    if (field < 0) {
        *out = feature;
        return true;
    }
    if (!field_operand(c, name.at, field, out))
        return false;
    /* `amount: amount` and `channel: onehot(channel, …)` leave no doubt; `amount: log1p(amount)` does. */
    bool alike =
        !found || feature.kind == OPERAND_COLUMNS || (feature.kind == out->kind && feature.value == out->value);
    return alike || complain(c, name.at,
                             "'%s' is a field and also a feature above with another value: rename one of them", word);
}
