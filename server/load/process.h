/* What another process has used: CPU time and memory. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "model/base/status.h"

/* CPU seconds, user and system, of all its threads since it began, to the nanosecond. STATUS_NOT_FOUND: no such process. */
MUST_USE enum status process_cpu_s(pid_t pid, double *out, struct error *err);

/* Resident bytes now (/proc/PID/statm); 0: not known. */
int64_t process_rss(pid_t pid);
