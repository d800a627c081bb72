/* Files that no importer takes: what they are, as far as their first bytes tell, and what their owner can do. */
#pragma once

#include "model/import/import.h"

/* Always fails, with "path: …". STATUS_UNSUPPORTED where the kind of file is known, else STATUS_INVALID. */
MUST_USE enum status foreign_refuse(const struct import_file *file, struct error *err);
