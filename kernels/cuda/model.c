#include "kernels/cuda/model.h"

#include <stdlib.h>

#include "model/base/check.h"
#include "model/link.h"
#include "model/model.h"
#include "model/network.h"

enum status cuda_model_make_of(const struct forest *forest, const struct network *network, struct cuda_model **out, struct error *err)
{
    CHECK(!forest != !network);
    struct cuda_model *model = calloc(1, sizeof *model);
    if (!model)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    model->forest = forest;
    model->network = network;
    enum status status = forest ? forest_image_make(model, err) : network_image_make(model, err);
    if (status == STATUS_OK)
        *out = model;
    else
        cuda_model_free(model);
    return status;
}

enum status cuda_model_make(const struct model *model, struct cuda_model **out, struct error *err)
{
    return cuda_model_make_of(model_forest(model), model_network(model), out, err);
}

void cuda_model_free(struct cuda_model *model)
{
    if (!model)
        return;
    free(model->image);
    free(model);
}

const void *cuda_model_image(const struct cuda_model *model, size_t *bytes)
{
    *bytes = model->image_bytes;
    return model->image;
}

void cuda_model_drop_image(struct cuda_model *model)
{
    free(model->image);
    model->image = NULL;
}

enum number_type cuda_model_row_type(const struct cuda_model *model)
{
    return model->forest ? model->forest->input_type : NUMBER_F32;
}

uint32_t cuda_model_features(const struct cuda_model *model)
{
    return model->forest ? model->forest->features : model->network->features;
}

enum number_type cuda_model_margin_type(const struct cuda_model *model)
{
    return model->forest ? model->forest->sum_type : NUMBER_F32;
}

uint32_t cuda_model_margins(const struct cuda_model *model)
{
    return model->forest ? model->forest->outputs : model->network->outputs;
}

uint32_t cuda_model_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                             struct cuda_launch out[CUDA_LAUNCHES_MAX])
{
    CHECK(capacity > 0);
    return model->forest ? forest_launches(model, limits, capacity, out) : network_launches(model, limits, capacity, out);
}

void cuda_model_scores(const struct cuda_model *model, const void *raw, uint32_t n, double *margins, double *scores)
{
    const struct forest *f = model->forest;
    const struct network *w = model->network;
    uint32_t outputs = cuda_model_margins(model);
    enum link link = f ? f->link : w->link;
    double parameter = f ? f->link_parameter : w->link_parameter, divisor = f ? f->link_divisor : 1;
    uint32_t width = link_scores(link, outputs);
    for (size_t i = 0; i < (size_t)n * outputs; i++)
        margins[i] = cuda_model_margin_type(model) == NUMBER_F32 ? (double)((const float *)raw)[i] : ((const double *)raw)[i];
    for (size_t i = 0; i < n; i++)
        link_apply(link, parameter, divisor, margins + i * outputs, scores + i * width, outputs);
}
