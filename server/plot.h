/*
 * Line charts as SVG: panels below each other, a legend beside each. Self-contained, no fonts or scripts fetched; opens in a
 * browser, prints, and diffs as text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "model/base/buf.h"

struct plot_series {
    const char *name;
    const double *x, *y; /* [n] borrowed; a point that is not finite (or not above 0 on a logarithmic axis) breaks the line */
    size_t n;
};

struct plot_tick {
    double at;
    const char *label;
};

struct plot_panel {
    const char *title, *x_label, *y_label;
    bool log_y;
    const struct plot_tick *x_ticks; /* [x_tick_count] where numbers would not do; NULL: numbers */
    size_t x_tick_count;
    const struct plot_series *series; /* [series_count] drawn in order, in colours of their own */
    size_t series_count;
};

/* Appends the whole document. Text is escaped. out->failed on no memory. */
void plot_svg(struct buf *out, const char *title, const struct plot_panel *panels, size_t panel_count);

/* The same into a file. STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status plot_write(const char *path, const char *title, const struct plot_panel *panels, size_t panel_count, struct error *err);
