/*
 * The functions of model/network_functions.def, one number at a time. Any thread.
 */
#pragma once

#include "model/network.h"

/* f(x), or f(x, z) where it takes two; a and b are its parameters. */
float network_function_of(enum network_function function, float a, float b, float x, float z);
