/*
 * The backends that this machine can run, and each kernel of the CPU backend as a backend of its own, which takes the models
 * that this kernel can compute and no other: so that every kernel is tested on every model, whatever a trial would choose.
 */
#pragma once

#include "model/backend.h"

/* Ended by NULL. Preparing a model that the kernel cannot take gives STATUS_UNSUPPORTED. */
const struct backend *const *backends_under_test(void);
