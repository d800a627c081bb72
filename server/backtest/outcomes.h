/*
 * What a backtest remembers of every transaction: its score and what it turned out to be. 32 bytes each, in the order in
 * which they came.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

struct outcome_row {
    double score;  /* a number: scores that are none are counted apart */
    double amount; /* its value; 0 where it has none */
    uint32_t card; /* any number that tells cards apart; NO_CARD: it has none */
    int32_t day;   /* days since 1970-01-01 UTC */
    uint32_t second; /* of the day */
    bool fraud;
};

#define NO_CARD UINT32_MAX

struct outcomes {
    struct outcome_row *rows; /* [count], owned */
    size_t count, room;
};

/* STATUS_NO_MEMORY. */
MUST_USE enum status outcomes_add(struct outcomes *outcomes, const struct outcome_row *row, struct error *err);
void outcomes_free(struct outcomes *outcomes);
