#include "server/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 860, PANEL_HEIGHT = 240, LEFT = 70, RIGHT = 150, TOP = 30, BOTTOM = 44, HEAD = 34, TICKS = 6 };

/* Colours that stay apart for the colour-blind (M. Okabe, K. Ito, 2008). */
static const char *const colours[] = {"#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000"};

/* Where a panel's numbers lie on the page. */
struct frame {
    double x_low, x_high, y_low, y_high; /* y: of the logarithm where the axis is logarithmic */
    double top;
    bool log_y;
};

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            buf_string(out, "&lt;");
        else if (*text == '&')
            buf_string(out, "&amp;");
        else
            buf_char(out, *text);
    }
}

static void put_text(struct buf *out, double x, double y, const char *anchor, const char *text)
{
    buf_format(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    put_escaped(out, text);
    buf_string(out, "</text>\n");
}

static double height_of(const struct frame *f, double y)
{
    return f->log_y ? log10(y) : y;
}

static bool drawable(const struct frame *f, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!f->log_y || y > 0);
}

static double page_x(const struct frame *f, double x)
{
    return LEFT + (x - f->x_low) / (f->x_high - f->x_low) * (WIDTH - LEFT - RIGHT);
}

static double page_y(const struct frame *f, double height)
{
    return f->top + TOP + (f->y_high - height) / (f->y_high - f->y_low) * (PANEL_HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that about TICKS of them fit. */
static double nice_step(double range)
{
    double raw = range / TICKS, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static struct frame measure(const struct plot_panel *panel, double top)
{
    struct frame f = {.x_low = INFINITY, .x_high = -INFINITY, .y_low = INFINITY, .y_high = -INFINITY, .top = top, .log_y = panel->log_y};
    for (size_t s = 0; s < panel->series_count; s++) {
        for (size_t i = 0; i < panel->series[s].n; i++) {
            double x = panel->series[s].x[i], y = panel->series[s].y[i];
            if (!drawable(&f, x, y))
                continue;
            f.x_low = fmin(f.x_low, x);
            f.x_high = fmax(f.x_high, x);
            f.y_low = fmin(f.y_low, height_of(&f, y));
            f.y_high = fmax(f.y_high, height_of(&f, y));
        }
    }
    if (!isfinite(f.x_low)) /* nothing to draw */
        f.x_low = f.y_low = 0, f.x_high = f.y_high = 1;
    if (f.log_y) {
        f.y_low = floor(f.y_low);
        f.y_high = ceil(f.y_high + 1e-9);
    } else {
        f.y_low = fmin(f.y_low, 0); /* amounts are seen against nothing */
        f.y_high = f.y_high > f.y_low ? f.y_high : f.y_low + 1;
        double step = nice_step(f.y_high - f.y_low);
        f.y_high = ceil(f.y_high / step) * step;
    }
    if (f.x_high <= f.x_low)
        f.x_high = f.x_low + 1;
    return f;
}

static void put_x_tick(struct buf *out, const struct frame *f, double at, const char *label)
{
    double x = page_x(f, at), bottom = f->top + PANEL_HEIGHT - BOTTOM;
    buf_format(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#eee\"/>\n", x, x, f->top + TOP, bottom);
    put_text(out, x, bottom + 15, "middle", label);
}

static void put_y_tick(struct buf *out, const struct frame *f, double height)
{
    char label[32];
    (void)snprintf(label, sizeof label, "%g", f->log_y ? pow(10, height) : height);
    double y = page_y(f, height);
    buf_format(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, WIDTH - RIGHT, y, y);
    put_text(out, LEFT - 6, y + 4, "end", label);
}

static void put_axes(struct buf *out, const struct plot_panel *panel, const struct frame *f)
{
    double step = nice_step(f->x_high - f->x_low), rise = f->log_y ? 1 : nice_step(f->y_high - f->y_low);
    for (size_t i = 0; i < panel->x_tick_count; i++) {
        if (panel->x_ticks[i].at >= f->x_low && panel->x_ticks[i].at <= f->x_high)
            put_x_tick(out, f, panel->x_ticks[i].at, panel->x_ticks[i].label);
    }
    for (double x = ceil(f->x_low / step) * step; !panel->x_ticks && x <= f->x_high + step / 1e6; x += step) {
        char label[32];
        (void)snprintf(label, sizeof label, "%g", fabs(x) < step / 1e6 ? 0 : x);
        put_x_tick(out, f, x, label);
    }
    for (double y = ceil(f->y_low / rise) * rise; y <= f->y_high + rise / 1e6; y += rise)
        put_y_tick(out, f, fabs(y) < rise / 1e6 ? 0 : y);
    put_text(out, (LEFT + WIDTH - RIGHT) / 2.0, f->top + PANEL_HEIGHT - 12, "middle", panel->x_label);
    buf_format(out, "<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">", f->top + TOP + (PANEL_HEIGHT - TOP - BOTTOM) / 2.0);
    put_escaped(out, panel->y_label);
    buf_string(out, "</text>\n");
}

static void put_series(struct buf *out, const struct plot_series *series, const struct frame *f, const char *colour, size_t place)
{
    bool drawing = false;
    for (size_t i = 0; i < series->n; i++) {
        if (!drawable(f, series->x[i], series->y[i])) {
            buf_string(out, drawing ? "\"/>\n" : "");
            drawing = false;
            continue;
        }
        if (!drawing)
            buf_format(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" points=\"", colour);
        drawing = true;
        buf_format(out, "%.1f,%.1f ", page_x(f, series->x[i]), page_y(f, height_of(f, series->y[i])));
    }
    buf_string(out, drawing ? "\"/>\n" : "");
    double y = f->top + TOP + 8 + 17 * (double)place;
    buf_format(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"3\"/>\n", WIDTH - RIGHT + 10, WIDTH - RIGHT + 28, y - 4, y - 4,
               colour);
    put_text(out, WIDTH - RIGHT + 34, y, "start", series->name);
}

void plot_svg(struct buf *out, const char *title, const struct plot_panel *panels, size_t panel_count)
{
    int height = HEAD + (int)panel_count * PANEL_HEIGHT;
    buf_format(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n"
                    "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
               WIDTH, height);
    put_text(out, 12, 20, "start", title);
    for (size_t p = 0; p < panel_count; p++) {
        struct frame f = measure(&panels[p], HEAD + (double)p * PANEL_HEIGHT);
        buf_format(out, "<text x=\"%d\" y=\"%.1f\" font-weight=\"bold\">", LEFT, f.top + 18);
        put_escaped(out, panels[p].title);
        buf_string(out, "</text>\n");
        put_axes(out, &panels[p], &f);
        for (size_t s = 0; s < panels[p].series_count; s++)
            put_series(out, &panels[p].series[s], &f, colours[s % (sizeof colours / sizeof colours[0])], s);
    }
    buf_string(out, "</svg>\n");
}

enum status plot_write(const char *path, const char *title, const struct plot_panel *panels, size_t panel_count, struct error *err)
{
    struct buf out = {0};
    plot_svg(&out, title, panels, panel_count);
    enum status status = out.failed ? error_set(err, STATUS_NO_MEMORY, "out of memory for %s", path) : STATUS_OK;
    FILE *file = status == STATUS_OK ? fopen(path, "w") : NULL;
    if (status == STATUS_OK && (!file || fwrite(out.data, 1, out.len, file) != out.len))
        status = error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
    if (file && fclose(file) != 0 && status == STATUS_OK)
        status = error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
    buf_free(&out);
    return status;
}
