/*
 * network_math_error: the largest error of each function of networks over all float32 numbers, in units in the last place.
 *
 *     network_math_error [STEP[+FIRST] [NAME...]]    STEP: every so manyth bit pattern (default 1: all 2^32; minutes a function),
 *                                                    from pattern FIRST on: 8+0 to 8+7 are all of them in eight pieces
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
    char *rest = "";
    uint64_t step = argc > 1 ? strtoull(argv[1], &rest, 10) : 1;
    uint64_t first = *rest == '+' ? strtoull(rest + 1, &rest, 10) : 0;
    if (step == 0 || *rest != '\0') {
        fprintf(stderr, "usage: network_math_error [STEP[+FIRST] [NAME...]]\n");
        return 2;
    }
    for (unsigned f = 0; f < network_function_count; f++) {
        const struct network_function *function = &network_functions[f];
        if (!is_asked(argc, argv, function->name))
            continue;
        struct network_error worst = network_error_over(function, first, step);
        printf("%-10s %.3f ulp at %.9g (%a)\n", function->name, worst.ulp, (double)worst.at, (double)worst.at);
        fflush(stdout);
    }
    return 0;
}
