/*
 * Transactions and labels as lines of JSON. Written by hand and without snprintf: this is half of the generator's time.
 */
#include <string.h>

#include "server/gen/gen.h"

/* Copies a literal. */
#define PUT(p, literal) (memcpy((p), (literal), sizeof(literal) - 1), (p) + sizeof(literal) - 1)

static char *put_text(char *p, const char *text)
{
    size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

/* At least `digits` digits, filled with zeros. */
static char *put_number(char *p, uint64_t value, unsigned digits)
{
    char text[20];
    unsigned n = 0;
    do {
        text[19 - n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n < digits)
        text[19 - n++] = '0';
    memcpy(p, text + 20 - n, n);
    return p + n;
}

static char *put_id(char *p, const struct gen *gen, const struct gen_transaction *tx)
{
    p = put_number(p, gen_seed(gen), 1);
    *p++ = '-';
    return put_number(p, tx->number, 10);
}

size_t gen_write_customer(const struct gen_transaction *tx, char out[GEN_TEXT_MAX])
{
    out[0] = 'C';
    return (size_t)(put_number(out + 1, tx->card, 7) - out);
}

size_t gen_write_transaction(const struct gen *gen, const struct gen_transaction *tx, char out[GEN_TEXT_MAX])
{
    char *p = PUT(out, "{\"tx_id\":\"");
    p = put_id(p, gen, tx);
    p = PUT(p, "\",\"ts\":");
    p = put_number(p, (uint64_t)tx->time_s, 1);
    p = PUT(p, ",\"customer_id\":\"");
    p += gen_write_customer(tx, p);
    p = PUT(p, "\",\"terminal_id\":\"T");
    p = put_number(p, tx->terminal, 7);
    p = PUT(p, "\",\"amount\":");
    p = put_number(p, tx->cents / 100, 1);
    *p++ = '.';
    p = put_number(p, tx->cents % 100, 2);
    p = PUT(p, ",\"currency\":\"");
    p = put_text(p, tx->currency);
    p = PUT(p, "\",\"mcc\":\"");
    p = put_text(p, tx->mcc);
    p = PUT(p, "\",\"category\":\"");
    p = put_text(p, tx->category);
    p = PUT(p, "\",\"country\":\"");
    p = put_text(p, tx->country);
    p = PUT(p, "\",\"home_country\":\"");
    p = put_text(p, tx->home_country);
    p = PUT(p, "\",\"channel\":\"");
    p = put_text(p, tx->channel);
    p = PUT(p, "\",\"entry\":\"");
    p = put_text(p, tx->entry);
    p = PUT(p, "\",\"new_device\":");
    p = put_text(p, tx->new_device ? "true}\n" : "false}\n");
    return (size_t)(p - out);
}

size_t gen_write_label(const struct gen *gen, const struct gen_transaction *tx, char out[GEN_TEXT_MAX])
{
    char *p = PUT(out, "{\"transaction_id\":\"");
    p = put_id(p, gen, tx);
    p = PUT(p, "\",\"fraud\":");
    p = put_text(p, tx->scenario == GEN_HONEST ? "false" : "true");
    p = PUT(p, ",\"scenario\":\"");
    p = put_text(p, gen_scenario_name(tx->scenario));
    p = PUT(p, "\",\"time\":");
    p = put_number(p, (uint64_t)tx->time_s, 1);
    p = PUT(p, "}\n");
    return (size_t)(p - out);
}
