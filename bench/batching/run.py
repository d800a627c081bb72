#!/usr/bin/env python3
"""Batching: ours, with nothing tuned, against every fixed batch size and delay, chosen in hindsight; under overload; with uneven
engines; with an engine that stalls and one that fails.

    python3 bench/batching/run.py [loads] [forest] [light] [overload] [market] [faults] [--seconds S] [--quick] [--seed N] [--arrivals KIND]

The engine is synthetic: a batch of b rows takes FIXED_US + ROW_US * b, slow enough that capacity stays below 2,000 transactions a
second and neither the CPU nor the generator is the limit. forest and light are on the real CPU engine. What is compared runs at
the same time or in turns, so that what else the machine does falls on all alike. The standard library only.
"""

import argparse
import csv
import random
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from assay_server import ASSAY, ENVIRONMENT, Server, bench_bundle, load, machine  # noqa: E402

# A GPU's curve, slowed: a large part that every batch pays, a small one a row.
FIXED_US, ROW_US, BATCH_MAX = 8000, 400, 64
SLO_MS = 80
# What both directions of loopback and two busy processes on few cores may take; the server promises SLO_MS from arrival.
ON_THE_WAY_MS = 3
CONNECTIONS = 1024
SIZES, DELAYS_US = (1, 8, 32, 64), (0, 2000, 8000, 30000)
LOADS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.2, 2, 5, 10)
SHAPES = {"poisson": {"arrivals": "poisson"}, "bursty": {"arrivals": "bursty", "burst": 3, "burst_ms": 200}}
TOGETHER_MOST = 30000  # requests a second that all settings under test get together
GIVE_UP = {"timeout_ms": 2000}  # what comes too late does not hold up the next run for long
HOPELESS = 0.05
FOREST_SLO_MS = 20
FOREST_LOADS = (0.05, 0.5, 0.9, 1.2, 2)
FOREST_SETTINGS = ((8, 0), (32, 0), (32, 2000), (128, 5000))


def batch_us(rows, factor=1):
    return (FIXED_US + ROW_US * rows) * factor


def capacity(factor=1):
    """Rows a second with full batches."""
    return BATCH_MAX / batch_us(BATCH_MAX, factor) * 1e6


def synthetic(factor=1, **options):
    values = {"fixed_us": FIXED_US * factor, "row_us": ROW_US * factor, **options}
    return "synthetic:" + ",".join(f"{name}={value}" for name, value in values.items())


def ours(engine=None, **more):
    return {"engine": engine or synthetic(), "batch.max": BATCH_MAX, "http.slo_ms": SLO_MS, "http.threads": 1, "http.slots": 16384, **more}


def window(size, delay_us, engine=None, **more):
    return {**ours(engine), "batch.policy": "window", "batch.window_rows": size, "batch.window_us": delay_us, **more}


def measure(server, rate, seconds, seed, **options):
    usual = {"duration": seconds, "warmup": 1, "slo_ms": SLO_MS + ON_THE_WAY_MS, "deadline_ms": 0, "connections": CONNECTIONS, "timeout_ms": 5000}
    return load(server.url, rate=f"{rate:.3f}", seed=seed, **{**usual, **options})


def share(report, what):
    return report[what]["transactions"] / report["due"]["transactions"]


class Seeds:
    """A new one for every run: ids must not repeat, or the server would answer from memory."""

    def __init__(self, first):
        self.next = first * 1000

    def __call__(self):
        self.next += 1
        return self.next


def goodput_of(report, peak):
    """Of what was due or, where that is more, of what can be done."""
    due = report["due"]["transactions"]
    return report["good"]["transactions"] / min(due, peak * report["scheduled_s"]) if due else 1


def together(servers, load_share, peak, seconds, seed, shape):
    """Every setting under the same schedule: as many at the same time as the machine bears, so that what else it does falls on all."""
    names, most = list(servers), max(1, int(TOGETHER_MOST / (load_share * peak)))
    reports = {}
    for at in range(0, len(names), most):
        group = names[at:at + most]
        with ThreadPoolExecutor(len(group)) as pool:
            runs = {name: pool.submit(measure, servers[name], load_share * peak, seconds, seed, **shape) for name in group}
            reports.update({name: goodput_of(run.result(), peak) for name, run in runs.items()})
    return reports


def climb(servers, loads, peak, options, shape):
    """{setting: [goodput by load]}. Every server is new to it, so that all may get the same transactions. A fixed setting that answers hardly anybody in time is not tried at higher loads: 0."""
    table, seeds = {name: [] for name in servers}, Seeds(options.seed)
    for load_share in loads:
        alive = {name: server for name, server in servers.items() if name == "ours" or not table[name] or table[name][-1] >= HOPELESS}
        column = together(alive, load_share, peak, options.seconds, seeds(), shape)
        for name, row in table.items():
            row.append(column.get(name, 0))
    return table


def print_table(loads, table):
    """Ours first. Returns the worst of ours over the best of the others."""
    best = [max((row[i], name) for name, row in table.items() if name != "ours") for i in range(len(loads))]
    for name, row in table.items():
        print(f"{name:<14}" + "".join(f"{value:9.3f}" if value else "        -" for value in row))
    ratios = [mine / max(other, 1e-9) for mine, (other, _) in zip(table["ours"], best)]
    print(f"{'ours / best':<14}" + "".join(f"{value:9.3f}" if value < 100 else "        -" for value in ratios))
    print("  best fixed: " + ", ".join(f"{load:g}x {name}" for load, (good, name) in zip(loads, best) if good), flush=True)
    return min(ratios)


def say_worst(worst):
    print(f"\nworst ours / best fixed setting: {worst:.3f} (goal: at least 0.95, {'met' if worst >= 0.95 else 'MISSED'})")


def loads_table(folder, options, _):
    bundle, peak, worst = bench_bundle(100, 6), capacity(), 1
    settings = {"ours": ours()}
    for size in SIZES:
        for delay in DELAYS_US if size > 1 else (0,):
            settings[f"{size} x {delay / 1000:g} ms"] = window(size, delay)
    loads = LOADS[::3] if options.quick else LOADS
    print(f"\n## Goodput within {SLO_MS} ms over what was due or can be done, capacity {peak:.0f}/s; {len(settings)} settings at the same time; -: none, or given up")
    for arrivals in options.arrivals:
        print(f"\n{arrivals:<14}" + "".join(f"{load:>8g}x" for load in loads), flush=True)
        with ExitStack() as stack:
            servers = {name: stack.enter_context(Server(folder, bundle, values)) for name, values in settings.items()}
            worst = min(worst, print_table(loads, climb(servers, loads, peak, options, {**SHAPES[arrivals], **GIVE_UP})))
    say_worst(worst)


def forest_table(folder, options, seeds):
    """The real thing, where the processor is the limit: one setting after the other."""
    bundle, worst = bench_bundle(5000, 10), 1
    base = {"engine": "cpu", "batch.max": 256, "http.slo_ms": FOREST_SLO_MS, "http.threads": 1, "http.slots": 16384}
    settings = {"ours": base}
    for size, delay in FOREST_SETTINGS:
        settings[f"{size} x {delay / 1000:g} ms"] = {**base, "batch.policy": "window", "batch.mode": "batched", "batch.window_rows": size, "batch.window_us": delay}
    slo = {"slo_ms": FOREST_SLO_MS + 1, "connections": 256}
    with Server(folder, bundle, {**base, "http.slo_ms": 1000}) as server:
        peak = load(server.url, closed=True, connections=64, duration=3, warmup=1, seed=seeds())["good_rate"]
    print(f"\n## A forest of 5,000 trees of depth 10 on the processor: goodput within {FOREST_SLO_MS} ms, capacity {peak:.0f}/s (closed loop, 64 connections)")
    for arrivals in options.arrivals:
        print(f"\n{arrivals:<14}" + "".join(f"{share:>8g}x" for share in FOREST_LOADS))
        table = {}
        for name, values in settings.items():
            with Server(folder, bundle, values) as server:
                table.update(climb({name: server}, FOREST_LOADS, peak, options, {**SHAPES[arrivals], **GIVE_UP, **slo}))
        worst = min(worst, print_table(FOREST_LOADS, table))
    say_worst(worst)


def light(folder, options, seeds):
    """What the choice between inline and batched costs where there is nothing to batch: p50 at 500 requests a second, in turns."""
    print("\n## Light load: 500/s, the processor's engine; p50 in microseconds, medians of the rounds")
    for trees, depth in ((100, 6), (5000, 10)):
        bundle, seen = bench_bundle(trees, depth), {"inline": [], "auto": []}
        with ExitStack() as stack:
            servers = {mode: stack.enter_context(Server(folder, bundle, {"engine": "cpu", "batch.mode": mode, "http.threads": 1})) for mode in seen}
            for _ in range(5 if options.quick else 15):
                for mode, server in servers.items():
                    report = load(server.url, rate=500, duration=1, warmup=0.2, connections=16, seed=seeds())
                    seen[mode].append(1000 * report["latency_ms"]["p50"])
        above = statistics.median(auto - inline for auto, inline in zip(seen["auto"], seen["inline"]))
        print(f"  {trees} trees x depth {depth:<3} inline {statistics.median(seen['inline']):7.1f}   auto {statistics.median(seen['auto']):7.1f}   "
              f"auto above inline: {above:.1f} us (goal: at most 15, {'met' if above <= 15 else 'MISSED'})", flush=True)


def write_phases(path, phases, seed):
    """Poisson moments of phases [(rate, seconds)], for --arrivals replay."""
    rng, begin = random.Random(seed), 0.0
    with open(path, "w") as out:
        for rate, seconds in phases:
            at = begin + rng.expovariate(rate)
            while at < begin + seconds:
                out.write(f"{at:.6f}\n")
                at += rng.expovariate(rate)
            begin += seconds


def timeline_of(path):
    return [{name: float(value) if value else 0.0 for name, value in row.items()} for row in csv.DictReader(open(path))]


def mean(rows, what):
    return sum(row[what] for row in rows) / max(len(rows), 1)


def overload(folder, options, seeds):
    """5 s at half, 5 s at ten times, 5 s at half of the capacity."""
    seconds = 3 if options.quick else 5
    times, lines = folder / "times", folder / "overload.csv"
    write_phases(times, [(capacity() / 2, seconds), (capacity() * 10, seconds), (capacity() / 2, seconds)], options.seed)
    with Server(folder, bench_bundle(100, 6), ours()) as server:
        peak = max(measure(server, capacity() * x, 3, seeds())["good_rate"] for x in (0.9, 0.95, 1.0))
        report = load(server.url, arrivals="replay", times=times, duration=0, slo_ms=SLO_MS + ON_THE_WAY_MS, deadline_ms=0, connections=CONNECTIONS, seed=seeds(),
                      timeline=lines, interval_ms=100, timeout_ms=5000, pid=server.process.pid)
    rows = timeline_of(lines)
    during = [row for row in rows if seconds + 0.5 <= row["seconds"] < 2 * seconds]
    after = [row for row in rows if row["seconds"] >= 2 * seconds]
    calm = next((i for i, row in enumerate(after) if all(r["good"] >= 0.99 * r["due"] for r in after[i:])), len(after))
    growth = report["server_rss_last"] - report["server_rss_first"]
    print(f"\n## Overload: {capacity() / 2:.0f}/s, then {10 * capacity():.0f}/s for {seconds} s, then {capacity() / 2:.0f}/s")
    for what, value, goal, met in (
            ("goodput at 10 x, of the peak", mean(during, "good") / peak, "at least 0.95", mean(during, "good") >= 0.95 * peak),
            ("late answers", report["late"]["requests"], "0", report["late"]["requests"] == 0),
            ("failed", report["failed"]["requests"], "0", report["failed"]["requests"] == 0),
            ("refusals p99, ms", report["refusal_ms"]["p99"], "at most 2", report["refusal_ms"]["p99"] <= 2),
            ("memory grown, MB", growth / 1e6, "flat", growth < 20e6),
            ("calm again after, s", calm * 0.1, "at most 1", calm * 0.1 <= 1)):
        print(f"  {what:<32} {value:10.3f}   goal: {goal}, {'met' if met else 'MISSED'}")
    print(f"  generator: {report['waited']} waited for a connection, at most {report['longest_wait_ms']:.1f} ms; sent p99 {report['lag_ms']['p99']:.3f} ms late")


def market(folder, options, seeds):
    """Three engines, one of them four times as slow, requests of 1 to 16 transactions: ours against round-robin with a window."""
    engines = f"{synthetic()} {synthetic()} {synthetic(factor=4)}"
    peak = 2 * capacity() + capacity(4)
    print(f"\n## Marketplace: three engines, one four times as slow; 1 to 16 transactions a request; capacity {peak:.0f}/s")
    table = {"ours": ours(engines)}
    for size, delay in ((32, 2000), (64, 8000)):
        table[f"window {size} x {delay / 1000:g} ms"] = window(size, delay, engines)
    for load_share in (0.3, 0.6):
        for name, values in table.items():
            with Server(folder, bench_bundle(100, 6), values) as server:
                r = measure(server, load_share * peak / 8.5, options.seconds, seeds(), batch="1-16")
            if name == "ours":
                base = r["latency_ms"]["p99"]
            less = 1 - base / max(r["latency_ms"]["p99"], 1e-9)
            print(f"  {load_share:g}x {name:<18} good {share(r, 'good'):.3f}  p50 {r['latency_ms']['p50']:8.2f}  p99 {r['latency_ms']['p99']:8.2f} ms"
                  + ("" if name == "ours" else f"   ours lower by {100 * less:.0f} %"), flush=True)


def faults(folder, options, seeds):
    """Two engines; one stalls for 2 s, or fails for a while. Nothing may be lost, and the other one's traffic goes on."""
    print("\n## Faults: two engines, one of them at fault, at 40 % of what one can do")
    calm = ours(f"{synthetic()} {synthetic()}")
    cases = {"none": calm, "stall of 2 s every 4 s": ours(f"{synthetic()} {synthetic(stall_every_ms=4000, stall_ms=2000)}"),
             "fails for 0.5 s every 2 s": ours(f"{synthetic()} {synthetic(fail_every_ms=2000, fail_ms=500)}")}
    for name, values in cases.items():
        lines = folder / "faults.csv"
        with Server(folder, bench_bundle(100, 6), values) as server:
            r = measure(server, 0.4 * capacity(), max(options.seconds, 10), seeds(), timeline=lines, interval_ms=100)
        p50 = sorted(row["p50_ms"] for row in timeline_of(lines))
        print(f"  {name:<24} good {r['good']['requests']}  late {r['late']['requests']}  refused {r['refused']['requests']}  failed {r['failed']['requests']}"
              f"  p50 {r['latency_ms']['p50']:.2f}  p99 {r['latency_ms']['p99']:.2f}  worst p50 of 100 ms: {p50[-1]:.2f} ms", flush=True)


def main():
    parts = {"loads": loads_table, "forest": forest_table, "light": light, "overload": overload, "market": market, "faults": faults}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="which; without: all")
    parser.add_argument("--seconds", type=float, default=4, help="of each run")
    parser.add_argument("--quick", action="store_true", help="fewer loads, shorter phases")
    parser.add_argument("--arrivals", nargs="*", choices=list(SHAPES), default=list(SHAPES), help="loads, forest: which")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if "batch.policy" not in subprocess.run([ASSAY, "config", "docs"], capture_output=True, text=True, env=ENVIRONMENT).stdout:
        print("skipped: this build of the server has no batcher to measure")
        return 0
    print(f"batching, seed {options.seed}; {machine()}\nengine {synthetic()}, at most {BATCH_MAX} rows a batch, SLO {SLO_MS} ms (+ {ON_THE_WAY_MS} ms on the way)")
    seeds = Seeds(options.seed)
    with tempfile.TemporaryDirectory() as name:
        for part in options.parts or parts:
            parts[part](Path(name), options, seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
