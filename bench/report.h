/* What every benchmark prints: the machine, medians, a table for people or one JSON object for machines. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sorts values[n] in place and returns the median; quantile: the value at q (0..1), nearest rank. */
double report_median(double *values, size_t n);
double report_quantile(double *values, size_t n, double q);

/* CPU seconds (user + system) of this process and of the calling thread. */
double report_cpu_s(void);
double report_thread_cpu_s(void);

/* A report collects named figures and prints them at the end: in the order they came, or as JSON with the machine. */
struct report;
struct report *report_begin(const char *bench, uint64_t seed, bool json);
/* name: "decode_ns"; note: for people, what it is; decimals: for people. */
void report_add(struct report *report, const char *name, double value, const char *unit, int decimals, const char *note);
/* A limit this benchmark is held to: printed beside the figure as met or missed. at_most: else at least. */
void report_goal(struct report *report, const char *name, double value, const char *unit, int decimals, bool at_most, double limit);
/* Prints to stdout and frees. */
void report_end(struct report *report);
