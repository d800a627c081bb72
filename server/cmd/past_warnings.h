/* What a command that reads history in a file says at its end of input that gives another past than was meant. */
#pragma once

#include <stdint.h>

#include "model/history.h"
#include "server/labels/label_file.h"

/* To stderr: transactions out of order, and labels without a transaction. history: NULL where there are no windows, whose past order
 * cannot matter. All have been read: each has met its labels (label_file_meet). */
void past_warnings(const char *command, struct history *history, const struct label_file *labels, uint64_t transactions);
