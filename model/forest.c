#include "model/forest.h"

#include <stdlib.h>

void forest_free(struct forest *forest)
{
    if (!forest)
        return;
    free(forest->nodes);
    free(forest->trees);
    free(forest->leaf_values);
    free(forest->leaf_outputs);
    free(forest->base);
    free(forest->sets);
    free(forest->set_words);
    free(forest->linear);
    free(forest->linear_features);
    free(forest->linear_coefficients);
    free(forest);
}
