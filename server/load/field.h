/* One field out of a document, for ids: not the server's way of reading transactions (model/input/decode), which needs a schema. */
#pragma once

#include "model/base/span.h"

/* The text of a field of a JSON object, within the document: a string as it stands between its quotes, a number or a word as
 * it is. Absent: no such field, an object or array, or no JSON up to there. */
struct span field_text(struct span json, const char *name);
