#include "server/cmd/fields_seen.h"

#include <math.h>
#include <stdio.h>

static bool is_text(enum field_type type)
{
    return type == FIELD_ID || type == FIELD_KEY || type == FIELD_CATEGORY;
}

void fields_seen_note(struct fields_seen *fields, const struct schema *schema, const struct transaction *tx)
{
    fields->transactions++;
    for (size_t i = 0; i < schema_size(schema); i++)
        if (!fields->seen[i])
            fields->seen[i] = is_text(schema_field(schema, i)->type) ? tx->values[i].text.data != NULL : !isnan(tx->values[i].number);
}

void fields_seen_warn(const struct fields_seen *fields, const struct schema *schema, const char *command)
{
    for (size_t i = 0; i < schema_size(schema) && fields->transactions > 0; i++) {
        const struct field *field = schema_field(schema, i);
        if (!fields->seen[i])
            (void)fprintf(stderr, "assay %s: field '%s' (%s) was in none of %llu transactions\n", command, field->name, field->path,
                          (unsigned long long)fields->transactions);
    }
}
