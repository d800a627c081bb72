#include "tests/support/cuda_fake/stand_in.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernels/cpu/backend_cpu.h"
#include "model/base/check.h"
#include "model/forest.h"
#include "model/model.h"
#include "model/network.h"

enum { IMAGES_MAX = 64 };

static struct image {
    const void *address;
    const struct model *model;
    struct engine engine;
    struct prepared *prepared;
} images[IMAGES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void stand_in_uploaded(const void *address, const struct model *model)
{
    struct error err;
    size_t i = 0;
    (void)pthread_mutex_lock(&lock);
    while (i < IMAGES_MAX && images[i].address && images[i].address != address)
        i++;
    CHECK(i < IMAGES_MAX);
    if (images[i].address) {
        engine_release(&images[i].engine, images[i].prepared);
        engine_close(&images[i].engine);
    }
    images[i] = (struct image){.address = address, .model = model};
    CHECK(engine_open(&backend_cpu, &images[i].engine, &err) == STATUS_OK);
    CHECK(engine_prepare(&images[i].engine, model, &images[i].prepared, &err) == STATUS_OK);
    (void)pthread_mutex_unlock(&lock);
}

static const struct image *image_of(const struct cuda_args *args)
{
    (void)pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < IMAGES_MAX && images[i].address != args->image)
        i++;
    CHECK(i < IMAGES_MAX);
    (void)pthread_mutex_unlock(&lock);
    return &images[i];
}

static enum number_type margin_type(const struct model *model)
{
    return model_forest(model) ? model_forest(model)->sum_type : NUMBER_F32;
}

uint32_t stand_in_rows(const struct cuda_args *args)
{
    uint32_t n = args->request->n;
    uint32_t rest = n > args->first ? n - args->first : 0;
    return rest < args->capacity ? rest : args->capacity;
}

size_t stand_in_bytes(const struct cuda_args *args, uint32_t rows)
{
    const struct model *model = image_of(args)->model;
    return (size_t)rows * model_info(model)->margins * number_type_bytes(margin_type(model));
}

static void ignore(struct batch *batch, enum status status)
{
    (void)batch;
    CHECK(status == STATUS_OK);
}

static void narrow(const struct model *model, const double *wide, size_t n, void *out)
{
    for (size_t i = 0; i < n; i++) {
        if (margin_type(model) == NUMBER_F32)
            ((float *)out)[i] = (float)wide[i];
        else
            ((double *)out)[i] = wide[i];
    }
}

void stand_in_compute(const struct cuda_args *args, uint32_t n, void *margins)
{
    const struct image *image = image_of(args);
    const struct model_info *info = model_info(image->model);
    const struct rows rows = {.base = args->rows, .stride = args->stride, .columns = info->features, .type = info->input_type};
    uint32_t *slots = calloc(n + 1, sizeof *slots);
    double *wide = calloc((size_t)n * info->margins + 1, sizeof *wide), *scores = calloc((size_t)n * info->scores + 1, sizeof *scores);
    CHECK(slots && wide && scores);
    for (uint32_t i = 0; i < n; i++)
        slots[i] = args->slots ? args->slots[args->first + i] : i;
    struct batch batch = {.rows = &rows, .slots = slots, .n = n, .margins = wide, .scores = scores, .done = ignore};
    if (n > 0)
        CHECK(engine_submit(&image->engine, image->prepared, &batch) == STATUS_OK);
    narrow(image->model, wide, (size_t)n * info->margins, margins);
    free(slots);
    free(wide);
    free(scores);
}
