/*
 * make_model TREES DEPTH FEATURES FILE: writes an XGBoost UBJ model of complete trees with random splits, laid out as the
 * library does, for measuring how long large models take to load. The same arguments give the same bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;
static uint64_t state = 88172645463325252;

static uint32_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static float uniform(void)
{
    return (float)(next_random() >> 8) * 0x1p-24f;
}

static void put(uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        (void)putc_unlocked((int)(value >> (8 * i) & 0xff), out);
}

static void put_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(bits, 4);
}

static void key(const char *name)
{
    (void)putc_unlocked('L', out);
    put(strlen(name), 8);
    (void)fputs(name, out);
}

static void text(const char *name, const char *value)
{
    key(name);
    (void)putc_unlocked('S', out);
    (void)putc_unlocked('L', out);
    put(strlen(value), 8);
    (void)fputs(value, out);
}

static void count(const char *name, long value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%ld", value);
    text(name, digits);
}

static void array(const char *name, const char *type, uint64_t n)
{
    key(name);
    (void)fprintf(out, "[%s#L", type);
    put(n, 8);
}

static void write_tree(long depth, long features)
{
    int64_t nodes = ((int64_t)2 << depth) - 1, inner = nodes / 2;
    static const char *const floats[] = {"base_weights", "loss_changes", "sum_hessian"};
    (void)putc_unlocked('{', out);
    for (int f = 0; f < 3; f++) {
        array(floats[f], "$d", (uint64_t)nodes);
        for (int64_t i = 0; i < nodes; i++)
            put_float(uniform());
    }
    array("default_left", "$U", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put(next_random() & 1, 1);
    array("left_children", "$l", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put(i < inner ? (uint64_t)(2 * i + 1) : UINT32_MAX, 4);
    array("parents", "$l", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put(i ? (uint64_t)((i - 1) / 2) : INT32_MAX, 4);
    array("right_children", "$l", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put(i < inner ? (uint64_t)(2 * i + 2) : UINT32_MAX, 4);
    array("split_conditions", "$d", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put_float(i < inner ? uniform() : (uniform() - 0.5f) * 0.1f);
    array("split_indices", "$l", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put(i < inner ? next_random() % (uint32_t)features : 0, 4);
    array("split_type", "$U", (uint64_t)nodes);
    for (int64_t i = 0; i < nodes; i++)
        put(0, 1);
    key("tree_param");
    (void)putc_unlocked('{', out);
    count("num_deleted", 0);
    count("num_feature", features);
    count("num_nodes", (long)nodes);
    count("size_leaf_vector", 1);
    (void)fputs("}}", out);
}

int main(int argc, char **argv)
{
    long trees = argc == 5 ? strtol(argv[1], NULL, 10) : 0, depth = argc == 5 ? strtol(argv[2], NULL, 10) : 0;
    long features = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
    out = trees > 0 && depth > 0 && depth < 25 && features > 0 ? fopen(argv[4], "wb") : NULL;
    if (!out) {
        (void)fprintf(stderr, "usage: make_model TREES DEPTH FEATURES FILE.ubj\n");
        return 2;
    }
    (void)putc_unlocked('{', out);
    key("learner");
    (void)putc_unlocked('{', out);
    key("gradient_booster");
    (void)putc_unlocked('{', out);
    key("model");
    (void)putc_unlocked('{', out);
    array("tree_info", "", (uint64_t)trees);
    for (long t = 0; t < trees; t++)
        (void)fwrite("i\0", 1, 2, out);
    array("trees", "", (uint64_t)trees);
    for (long t = 0; t < trees; t++)
        write_tree(depth, features);
    (void)putc_unlocked('}', out);
    text("name", "gbtree");
    (void)putc_unlocked('}', out);
    key("learner_model_param");
    (void)putc_unlocked('{', out);
    text("base_score", "[2E-1]");
    count("num_class", 0);
    count("num_feature", features);
    count("num_target", 1);
    (void)putc_unlocked('}', out);
    key("objective");
    (void)putc_unlocked('{', out);
    text("name", "binary:logistic");
    (void)fputs("}}", out);
    key("version");
    (void)fputs("[#L", out);
    put(3, 8);
    (void)fwrite("i\3i\2i\0}", 1, 7, out);
    return fclose(out) == 0 ? 0 : 1;
}
