/*
 * Labels of a file, for history: told to the past as its time passes, and looked up at the end.
 *
 * The file holds a label a line, as JSON objects (see label.h) or as CSV with a heading that has transaction_id, fraud (0, 1,
 * true, false) and time. In any order; other columns are ignored.
 */
#pragma once

#include "model/base/siphash.h"
#include "server/labels/label.h"

struct state;

struct label_file {
    struct label_entry *entries; /* [count] by time, then as in the file; owned */
    size_t count, room, next;    /* next: the first that the state has not been told */
    char *ids;                   /* all texts; owned */
    size_t ids_len, ids_room;
    uint32_t *places;            /* [mask + 1] open-addressed by id: position in entries of its last label + 1; owned */
    size_t mask;
    struct hash_secret secret;
};

struct label_entry {
    int64_t time_us;
    size_t id; /* offset in ids */
    uint32_t id_len;
    bool fraud;
    bool met; /* of the last label of an id: its transaction has come */
};

enum label_truth { TRUTH_UNKNOWN, TRUTH_HONEST, TRUTH_FRAUD };

/* STATUS_NOT_FOUND, STATUS_IO, STATUS_INVALID ("path:line: …"), STATUS_NO_MEMORY. Free with label_file_free, also after a
 * failure. */
MUST_USE enum status label_file_load(struct label_file *file, const char *path, const struct schema *transactions, struct error *err);
void label_file_free(struct label_file *file);

/* Tells the state the labels with a time up to and with time_us that it has not been told yet. An empty file tells nothing. */
void label_file_tell(struct label_file *file, struct state *state, int64_t time_us);

/* What a transaction that has come turned out to be in the end: its label with the latest time, of equal ones the last in the
 * file. */
enum label_truth label_file_meet(struct label_file *file, struct span id);
/* Labels of transactions that have not come. */
size_t label_file_unmet(const struct label_file *file);
