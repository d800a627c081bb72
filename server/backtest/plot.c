/*
 * Three panels side by side, in plain SVG:
 *
 *     precision by recall    recall and value caught by alerts a day    share of frauds by mean score
 */
#include <math.h>
#include <stdio.h>

#include "server/backtest/report.h"

enum { SIZE = 260, LEFT = 56, TOP = 40, GAP = 84, PANELS = 3, POINTS_MAX = 400 };

#define BLUE "#1f5fa8"
#define RED "#b5482a"
#define GREY "#8a8a8a"

struct panel {
    struct buf *out;
    double left;     /* of the plot area */
    bool logarithmic; /* x is from low to high on a logarithmic scale; else from 0 to 1 */
    double low, high;
};

static double x_of(const struct panel *p, double x)
{
    double share = p->logarithmic ? (log(x) - log(p->low)) / (log(p->high) - log(p->low)) : x;
    return p->left + SIZE * fmin(fmax(share, 0), 1);
}

static double y_of(double y)
{
    return TOP + SIZE * (1 - fmin(fmax(y, 0), 1));
}

static void text(struct buf *out, double x, double y, const char *anchor, const char *colour, const char *what)
{
    buf_format(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y, anchor, colour, what);
}

static struct panel begin(struct buf *out, int number, const char *title, const char *x_title)
{
    struct panel p = {.out = out, .left = LEFT + number * (SIZE + GAP)};
    text(out, p.left + SIZE / 2.0, TOP - 14, "middle", "black", title);
    text(out, p.left + SIZE / 2.0, TOP + SIZE + 34, "middle", GREY, x_title);
    for (int i = 0; i <= 4; i++) {
        double y = y_of(i / 4.0);
        char label[16];
        (void)snprintf(label, sizeof label, "%.2g", i / 4.0);
        buf_format(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", p.left, p.left + SIZE, y, y);
        text(out, p.left - 6, y + 4, "end", GREY, label);
    }
    return p;
}

static void tick(const struct panel *p, double x)
{
    char label[16];
    (void)snprintf(label, sizeof label, "%.4g", x);
    text(p->out, x_of(p, x), TOP + SIZE + 16, "middle", GREY, label);
}

static void unit_ticks(const struct panel *p)
{
    for (int i = 0; i <= 4; i++)
        tick(p, i / 4.0);
}

static void open_line(struct buf *out, const char *colour, const char *dashes)
{
    buf_format(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"%s points=\"", colour, dashes);
}

static void point(const struct panel *p, double x, double y)
{
    if (!isnan(x) && !isnan(y))
        buf_format(p->out, "%.1f,%.1f ", x_of(p, x), y_of(y));
}

static void close_line(struct buf *out)
{
    buf_string(out, "\"/>\n");
}

/* Alerts after which a curve has a point: closer together where there are few. At least 1, rising. */
static size_t alerts_at(const struct quality *q, size_t i)
{
    double n = (double)q->count;
    return (size_t)fmax(1, pow(n, (double)(i + 1) / POINTS_MAX));
}

static void plot_precision(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    struct panel p = begin(out, 0, "precision by recall", "recall");
    unit_ticks(&p);
    open_line(out, BLUE, "");
    size_t hits = 0, at = 0;
    for (size_t i = 0; i < POINTS_MAX; i++) {
        for (size_t until = alerts_at(q, i); at < until && at < q->count; at++)
            hits += q->ranked[at].fraud;
        point(&p, (double)hits / (double)q->frauds, (double)hits / (double)at);
    }
    close_line(out);
}

static void plot_alerts(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    struct panel p = begin(out, 1, "caught by alerts a day", "alerts a day");
    p.logarithmic = true;
    p.low = 1;
    p.high = fmax(10, (double)q->count / q->days);
    for (double x = 1; x <= p.high; x *= 10)
        tick(&p, x);
    for (int value = 0; value <= 1; value++) {
        double caught = 0, all = value ? q->fraud_value : (double)q->frauds;
        size_t at = 0;
        open_line(out, value ? RED : BLUE, "");
        for (size_t i = 0; i < POINTS_MAX; i++) {
            for (size_t until = alerts_at(q, i); at < until && at < q->count; at++)
                caught += q->ranked[at].fraud ? (value ? q->ranked[at].amount : 1) : 0;
            point(&p, fmax(p.low, (double)at / q->days), caught / all);
        }
        close_line(out);
    }
    text(out, p.left + 8, TOP + 16, "start", BLUE, "frauds");
    text(out, p.left + 8, TOP + 32, "start", RED, "their value");
}

static void plot_calibration(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    struct panel p = begin(out, 2, "share of frauds by score", "mean score");
    unit_ticks(&p);
    open_line(out, GREY, " stroke-dasharray=\"4 4\"");
    point(&p, 0, 0);
    point(&p, 1, 1);
    close_line(out);
    open_line(out, BLUE, "");
    for (size_t i = 0; i < QUALITY_BINS; i++)
        point(&p, q->bins[i].mean_score, (double)q->bins[i].frauds / (double)q->bins[i].rows);
    close_line(out);
}

void backtest_plot(const struct backtest_report *report, struct buf *out)
{
    bool calibrated = report->quality->probabilities;
    int panels = calibrated ? PANELS : PANELS - 1;
    int width = LEFT + panels * (SIZE + GAP) - GAP + 24, height = TOP + SIZE + 50;
    buf_format(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                    "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
               width, height, width, height);
    if (report->quality->count > 0 && report->quality->frauds > 0) {
        plot_precision(report, out);
        plot_alerts(report, out);
        if (calibrated)
            plot_calibration(report, out);
    }
    buf_string(out, "</svg>\n");
}
