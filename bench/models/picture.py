"""The results as an SVG: one panel a model, microseconds per row over the batch size, both axes logarithmic."""
import math
from xml.sax.saxutils import escape

PANEL_WIDTH, PANEL_HEIGHT, LEFT, TOP, LEGEND = 420, 300, 56, 34, 150
COLOURS = ["#c0392b", "#e67e22", "#f1c40f", "#2c3e50", "#2980b9", "#27ae60", "#8e44ad", "#16a085", "#7f8c8d", "#34495e"]


def panel(result, batches, x0, y0):
    figures = {who: [us[str(n)] / n for n in batches] for who, us in result["us"].items()}
    low = math.floor(math.log10(min(min(f) for f in figures.values())))
    high = math.ceil(math.log10(max(max(f) for f in figures.values())))
    width, height = PANEL_WIDTH - LEFT - LEGEND, PANEL_HEIGHT - TOP - 40

    def x_of(n):
        return x0 + LEFT + width * math.log(n) / math.log(batches[-1])

    def y_of(us):
        return y0 + TOP + height * (high - math.log10(us)) / (high - low)

    out = [f'<text x="{x0 + LEFT}" y="{y0 + 20}" font-weight="bold">{escape(result["model"])}</text>']
    for power in range(low, high + 1):
        y = y_of(10 ** power)
        out.append(f'<line x1="{x0 + LEFT}" x2="{x0 + LEFT + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x0 + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** power:g}</text>')
    for n in batches:
        out.append(f'<text x="{x_of(n):.1f}" y="{y0 + TOP + height + 16}" text-anchor="middle">{n}</text>')
    out.append(f'<text x="{x0 + LEFT + width / 2}" y="{y0 + TOP + height + 32}" text-anchor="middle">rows in a call</text>')
    for i, (who, values) in enumerate(figures.items()):
        colour, stroke = COLOURS[i % len(COLOURS)], 2.5 if who.startswith("Assay") else 1.3
        points = " ".join(f"{x_of(n):.1f},{y_of(v):.1f}" for n, v in zip(batches, values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{stroke}"/>')
        y = y0 + TOP + 10 + 16 * i
        out.append(f'<line x1="{x0 + LEFT + width + 10}" x2="{x0 + LEFT + width + 28}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" '
                   f'stroke-width="{stroke}"/><text x="{x0 + LEFT + width + 32}" y="{y}">{escape(who)}</text>')
    return out


def draw(results, batches):
    rows = (len(results) + 1) // 2
    size = f'width="{2 * PANEL_WIDTH + 40}" height="{rows * PANEL_HEIGHT + 30}"'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>', '<text x="10" y="16">µs per row, one thread; lower is better</text>']
    for i, result in enumerate(results):
        out += panel(result, batches, i % 2 * (PANEL_WIDTH + 20), 20 + i // 2 * PANEL_HEIGHT)
    return "\n".join(out + ["</svg>"]) + "\n"
