#include "tests/support/example.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/ref/backend_reference.h"
#include "server/http/source_http.h"

const struct parts *example_parts(void)
{
    static const struct backend *const backends[] = {&backend_reference, NULL};
    static const struct source *const sources[] = {&source_http, NULL};
    static const struct parts parts = {.backends = backends, .sources = sources};
    return &parts;
}

const char *example_bundle(void)
{
    static char path[4096];
    const char *source = getenv("ASSAY_SOURCE");
    (void)snprintf(path, sizeof path, "%s/config/bundles/card-fraud", source ? source : ".");
    return path;
}

void example_open(struct loaded *out)
{
    struct error err = {""};
    if (loaded_open(example_parts(), example_bundle(), "reference", out, &err) != STATUS_OK)
        fail_msg("%s", err.message);
}

size_t example_document(char out[EXAMPLE_DOCUMENT_MAX], unsigned n)
{
    static const char *const channels[] = {"pos", "web", "atm"}, *const entries[] = {"chip", "tap", "swipe", "keyed", "token"};
    unsigned mixed = n * 2654435761u;
    int len = snprintf(out, EXAMPLE_DOCUMENT_MAX,
                       "{\"tx_id\":\"E-%u\",\"ts\":%u,\"customer_id\":\"c%u\",\"terminal_id\":%u,\"amount\":%u.%02u,\"category\":\"games\","
                       "\"country\":\"%s\",\"home_country\":\"DE\",\"channel\":\"%s\",\"entry\":\"%s\",\"new_device\":%s}",
                       n, 1700000000 + mixed % 1000000, mixed % 5000, mixed % 300, n % 100 ? mixed % 90 : 4000, mixed % 100,
                       mixed % 9 ? "DE" : "BR", channels[mixed / 7 % 3], entries[mixed / 11 % 5], mixed % 13 ? "false" : "true");
    assert_true(len > 0 && len < EXAMPLE_DOCUMENT_MAX);
    return (size_t)len;
}
