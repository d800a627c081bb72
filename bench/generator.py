#!/usr/bin/env python3
"""`assay load` against vegeta, an independent open-loop tool, on the same server: the same requests at the same constant rate,
at the same time, and the percentiles that each reports. Side by side both see the same queue and whatever else the machine does.
Ours is a little faster: at equal rates one of the two would always come just behind the other and wait for it.

    python3 bench/generator.py [--rounds 3] [--seconds 20] [--rate R] [--seed 1]

Then the same with a server that is stopped for one second, beside what a loop says that waits for one answer before the next request.

Requests are arrays of very different sizes, one after the other in the same order for both, so that what is measured is work
and queueing in the server (milliseconds) and not how fast either tool wakes up. The rate of each is a sixth of what the server does for
one connection without pause, unless --rate says another; it is constant, since vegeta knows no Poisson arrivals. vegeta comes as Go
source and is built once into .cache/bin; without Go this prints why and ends with exit code 0. The standard library only.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from assay_server import ASSAY, ENVIRONMENT, SOURCE, Server, bench_bundle, load, machine

VEGETA = "github.com/tsenart/vegeta/v12@v12.12.0"
LINES = 400
DRIFT = 1.0137  # ours over vegeta's rate: within a round each comes before, between and behind the other's requests many times


def vegeta_program():
    """The path of vegeta, built where it can be; None with the reason printed."""
    found = shutil.which("vegeta")
    target = SOURCE / ".cache/bin/vegeta"
    if found or target.exists():
        return found or str(target)
    go = shutil.which("go")
    if not go:
        print("skipped: vegeta is not here and Go, which builds it, is not installed")
        return None
    done = subprocess.run([go, "install", VEGETA], env={**os.environ, "GOBIN": str(target.parent), "GOFLAGS": ""}, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        print(f"skipped: vegeta could not be built: {done.stderr.strip().splitlines()[-1][:300] if done.stderr.strip() else 'no reason given'}")
        return None
    return str(target)


def make_requests(folder, seed):
    """Arrays of 2 to 50 transactions, sizes spread over the logarithm: as lines for us, as targets for vegeta."""
    rng = random.Random(seed)
    sizes = [int(2 * 25 ** rng.random()) for _ in range(LINES)]
    text = subprocess.run([ASSAY, "gen", "--transactions", str(sum(sizes)), "--seed", str(seed)], check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
    transactions, at = text.splitlines(), 0
    bodies = []
    for size in sizes:
        bodies.append("[" + ",".join(transactions[at:at + size]) + "]")
        at += size
    (folder / "arrays.jsonl").write_text("\n".join(bodies) + "\n")
    return bodies


def write_targets(folder, bodies, url):
    lines = []
    for i, body in enumerate(bodies):
        path = folder / f"body-{i}"
        path.write_text(body)
        lines.append(f"POST {url}\nContent-Type: application/json\n@{path}\n\n")
    (folder / "targets").write_text("".join(lines))


def with_ours(url, folder, rate, seconds):
    report = load(url, arrivals="constant", rate=rate, duration=seconds, file=folder / "arrays.jsonl", seed=1)
    if report["good"]["requests"] != report["due"]["requests"]:
        sys.exit(f"assay load: not all was answered: {report}")
    return {q: report["latency_ms"][q] for q in ("p50", "p90", "p99")}


def sixth_of_capacity(url, folder):
    """A sixth of what one connection gets through, in whole requests a second."""
    report = load(url, closed=True, connections=1, duration=3, warmup=0.5, file=folder / "arrays.jsonl")
    return max(1, int(report["good"]["requests"] / report["elapsed_s"] / 6))


def side_by_side(vegeta, url, folder, rate, seconds):
    """One round: what each of the two says, in milliseconds."""
    with open(folder / "attack", "wb") as out:
        attack = subprocess.Popen([vegeta, "attack", f"-rate={rate}", f"-duration={seconds}s", f"-targets={folder / 'targets'}"], stdout=out)
        ours = with_ours(url, folder, rate * DRIFT, seconds)
        if attack.wait() != 0:
            sys.exit("vegeta failed")
    report = json.loads(subprocess.run([vegeta, "report", "-type=json", folder / "attack"], check=True, capture_output=True).stdout)
    if report["success"] != 1:
        sys.exit(f"vegeta: not all was answered: {report['status_codes']} {report['errors']}")
    return ours, {q: report["latencies"][name] / 1e6 for q, name in (("p50", "50th"), ("p90", "90th"), ("p99", "99th"))}


def show(options, rate, rounds):
    print(f"assay load against vegeta, {rate} requests/s each of 2 to 50 transactions, {options.rounds} rounds of {options.seconds} s side by side, seed "
          f"{options.seed}\n{machine()}; {VEGETA}")
    for q in ("p50", "p90", "p99"):
        ours, theirs = (statistics.median(pair[side][q] for pair in rounds) for side in (0, 1))
        ratio = statistics.median(pair[0][q] / pair[1][q] for pair in rounds)
        print(f"  {q:<4} ours {ours:8.3f} ms   vegeta {theirs:8.3f} ms   ratio {ratio:.3f}   {'within 10 %' if 0.9 <= ratio <= 1.1 else 'MORE than 10 % apart'}")


def stop_for_a_second(process, after_s):
    """In a thread: the server stands still, as in a page fault storm or a bad collector's pause."""
    def stop():
        time.sleep(after_s)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
    thread = threading.Thread(target=stop)
    thread.start()
    return thread


def stalled(vegeta, server, url, folder, rate, seconds):
    """What each says of a run with one second of nothing in it."""
    stop = stop_for_a_second(server.process, seconds / 2)
    ours, theirs = side_by_side(vegeta, url, folder, rate, seconds)
    stop.join()
    stop = stop_for_a_second(server.process, seconds / 2)
    closed = load(url, closed=True, connections=1, duration=seconds, file=folder / "arrays.jsonl")
    stop.join()
    print(f"the server stopped for 1 s of {seconds} s, {rate} requests/s due from each: a request in {seconds * 2} waits for 0.5 s and more")
    for name, said in (("assay load", ours), ("vegeta", theirs), ("one after the other", closed["latency_ms"])):
        print(f"  {name:<20} p50 {said['p50']:8.3f} ms   p99 {said['p99']:8.3f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=0, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    vegeta = vegeta_program()
    if not vegeta:
        return 0
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, set(range(1, os.cpu_count())))  # the tools; the server has core 0 to itself
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = make_requests(folder, options.seed)
        with Server(folder, bench_bundle(2000, 8), {"http.threads": 1, "http.slots": 4096}, core=0) as server:
            url = f"{server.url}?record=false"  # or repeats would be answered from memory
            write_targets(folder, bodies, url)
            rate = options.rate or sixth_of_capacity(url, folder)
            rounds = [side_by_side(vegeta, url, folder, rate, options.seconds) for _ in range(options.rounds)]
            show(options, rate, rounds)
            stalled(vegeta, server, url, folder, rate, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
