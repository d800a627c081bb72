/*
 * network_math_error: the largest error of each function of networks over all float32 numbers, in units in the last place.
 *
 *     network_math_error [STEP [NAME...]]        STEP: every so manyth bit pattern (default 1: all 2^32; minutes a function)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/network_math_error.h"

static int is_asked(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return 1;
    }
    return argc <= 2;
}

int main(int argc, char **argv)
{
    uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    if (step == 0) {
        fprintf(stderr, "usage: network_math_error [STEP [NAME...]]\n");
        return 2;
    }
    for (unsigned f = 0; f < network_function_count; f++) {
        const struct network_function *function = &network_functions[f];
        if (!is_asked(argc, argv, function->name))
            continue;
        struct network_error worst = network_error_over(function, 0, step);
        printf("%-10s %.3f ulp at %.9g (%a)\n", function->name, worst.ulp, (double)worst.at, (double)worst.at);
        fflush(stdout);
    }
    return 0;
}
