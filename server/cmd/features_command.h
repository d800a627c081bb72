/* The verb of `assay features`; argv[0] is the verb. Returns the exit code. */
#pragma once

#include "server/cmd/command.h"

int features_explain(const struct parts *parts, int argc, char **argv);
