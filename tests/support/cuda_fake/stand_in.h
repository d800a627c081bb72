/* What computes a kernel's margins on a fake device: the CPU's engine, of the model whose image the kernel was given. */
#pragma once

#include "kernels/cuda/kernels.h"

struct model;

/* The image at this address is of that model, from now on. */
void stand_in_uploaded(const void *image, const struct model *model);
/* Writes the margins of the rows args->first .. of args->request into margins; their count is returned. They are
 * to be copied to args->margins when the kernel ends. */
uint32_t stand_in_rows(const struct cuda_args *args);
/* Bytes that rows have as margins. */
size_t stand_in_bytes(const struct cuda_args *args, uint32_t rows);
void stand_in_compute(const struct cuda_args *args, uint32_t rows, void *margins);
