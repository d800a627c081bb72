/* YAML of hostile origin: no crash, and what parses keeps its promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/base/yaml.h"

static size_t walk(const struct yaml *node, int depth)
{
    CHECK(depth <= 16 && node->line >= 1 && node->column >= 1);
    if (node->kind == YAML_SCALAR) {
        double number;
        int truth;
        struct error err;
        (void)!yaml_double(node, "f", "k", &number, &err);
        (void)!yaml_bool(node, "f", "k", &truth, &err);
        return strlen(node->text);
    }
    size_t total = 0;
    for (size_t i = 0; i < node->size; i++) {
        total += walk(&node->items[i], depth + 1);
        CHECK(node->kind == YAML_LIST || yaml_get(node, node->keys[i].text) == &node->items[i]); /* keys are distinct */
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const known[] = {"name", "version"};
    struct yaml *root = NULL;
    struct error err = {{0}};
    enum status status = yaml_parse("fuzz.yaml", (const char *)data, size, &root, &err);
    CHECK((status == STATUS_OK) == (root != NULL) && (status == STATUS_OK || err.message[0] != '\0'));
    if (root) {
        (void)walk(root, 0);
        (void)!yaml_known_keys(root, "fuzz.yaml", known, 2, &err);
    }
    yaml_tree_free(root);
    return 0;
}
