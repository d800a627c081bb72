/*
 * Golden rows: golden.jsonl in a bundle holds raw transactions in order with the score each must get. They are scored at
 * every load; one bit of difference (another library, another processor, another feature) refuses the bundle.
 *
 *     {"transaction":{"tx_id":"1","ts":1735689611,…},"score":0.012134165,"decision":"approve"}
 */
#pragma once

#include "model/base/buf.h"
#include "server/loaded.h"

/* Scores the rows and compares score and decision; no file: nothing to check. Sets loaded->golden_rows. STATUS_MISMATCH: the
 * message shows the first rows that differ. STATUS_INVALID: the file is damaged. STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status golden_check(struct loaded *loaded, struct error *err);

struct offline;
struct txn;

/* Appends the line of a scored transaction. */
void golden_write(struct buf *out, const struct txn *txn, const char *transaction, size_t len);
