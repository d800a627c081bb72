"""The measuring itself; run.py starts this in the virtual environment."""
import argparse
import importlib.metadata
import json
import os
import pathlib
import statistics

import numpy

import contenders
import picture
import trained

BATCHES = [1, 8, 64, 512, 1024]
ROWS = 4096
SAMPLE_US = 4000  # of one contender, before the next one's turn


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def versions():
    """Of the rivals, those that are installed."""
    for package in ("xgboost", "lightgbm", "onnxruntime", "scikit-learn-intelex", "tl2cgen", "lleaves"):
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            pass


def agrees(scores, kind, expected):
    """Whether somebody's scores are the library's, within float32; rivals convert, round and reorder."""
    if kind == "probability":
        expected = 1 / (1 + numpy.exp(-expected))
    return numpy.median(numpy.abs(scores - expected)) < 1e-4


def start_all(library, kind, path, compiled):
    started, skipped, expected = {}, {}, None
    for name, scale, make in contenders.all_of(library, kind, path, compiled):
        try:
            contender = make()
            scores = contender.scores(256)
        except Exception as reason:  # whatever a rival raises: it is skipped, visibly
            skipped[name] = str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__
            continue
        expected = scores if expected is None else expected
        if agrees(scores, scale, expected):
            started[name] = contender
        else:
            skipped[name] = f"other scores than Assay's: {scores[:2]} instead of {expected[:2]}"
    for name, reason in skipped.items():
        print(f"  skipped: {name}: {reason}", flush=True)
    return started, skipped


def measure(started, rounds):
    """{name: {batch: [us, ...]}}, everybody in turn, batch after batch, round after round."""
    samples = {name: {n: [] for n in BATCHES} for name in started}
    calls = {(name, n): 1 for name in started for n in BATCHES}
    for turn in range(rounds + 1):  # the first one warms up and finds how many calls fill a sample
        for n in BATCHES:
            for name, contender in started.items():
                us = contender.time_us(turn * 977, n, calls[name, n])
                if us < 0:
                    raise RuntimeError(f"{name} failed at {n} rows")
                calls[name, n] = max(1, min(20000, int(SAMPLE_US / max(us, 0.1))))
                if turn > 0:
                    samples[name][n].append(us)
    return samples


def table(name, medians):
    rivals = [r for r in medians if not r.startswith("Assay")]
    batches = [str(n) for n in BATCHES]  # as JSON has them
    lines = [f"**{name}**", "", "| µs per call, rows: | " + " | ".join(batches) + " |", "|---|" + "---:|" * len(BATCHES)]
    for who, figures in medians.items():
        lines.append(f"| {who} | " + " | ".join(f"{figures[n]:,.2f}" if figures[n] < 100 else f"{figures[n]:,.0f}" for n in batches) + " |")
    if rivals:
        best = {n: min(rivals, key=lambda r: medians[r][n]) for n in batches}
        for who in [a for a in medians if a.startswith("Assay")]:
            ratios = (f"{medians[best[n]][n] / medians[who][n]:.1f} ×" for n in batches)
            lines.append(f"| *best rival / {who}* | " + " | ".join(ratios) + " |")
        lines.append("| *best rival* | " + " | ".join(best[n] for n in batches) + " |")
    return "\n".join(lines) + "\n"


def measure_model(name, options):
    kind = trained.MODELS[name][0]
    print(name, flush=True)
    path = trained.trained(name, options.home)
    library = contenders.Library(options.library, trained.rows(ROWS, 3))
    started, skipped = start_all(library, kind, path, not options.no_compiled)
    if options.prepare:
        return None
    samples = measure(started, options.rounds)
    medians = {who: {str(n): statistics.median(samples[who][n]) for n in BATCHES} for who in samples}
    described = {who: c.describe().splitlines() for who, c in started.items() if who.startswith("Assay")}
    print(table(name, medians), flush=True)
    machine = f"{processor()}, one thread, processor time per call, median of {options.rounds} rounds in turn, load {os.getloadavg()[0]:.1f}; " \
        + ", ".join(versions())
    return {"model": name, "us": medians, "machine": machine, "skipped": skipped, "kernels": described}


def merged(measured, path, order):
    """With what earlier runs measured of other models, in the models' order: so that a long measurement can be cut up."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    results = {result["model"]: result for result in earlier + measured}
    return [results[name] for name in order if name in results]


def write(results, out):
    (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = []
    for result in results:
        text += [table(result["model"], result["us"]), f"*{result['machine']}*\n"]
        text += [f"Skipped: {who}: {reason}\n" for who, reason in result["skipped"].items()]
    (out / "results.md").write_text("\n".join(text), encoding="utf-8")
    (out / "results.svg").write_text(picture.draw(results, BATCHES), encoding="utf-8")
    print(f"written: {out}/results.json, results.md, results.svg")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--home", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--only", required=True)
    parser.add_argument("--no-compiled", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    options = parser.parse_args()
    names = [name for name in trained.MODELS if options.only in name]
    measured = [measure_model(name, options) for name in names]
    if not options.prepare:
        write(merged(measured, options.out / "results.json", trained.MODELS), options.out)


if __name__ == "__main__":
    main()
