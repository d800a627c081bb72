"""A server for benchmarks: `assay serve` on a free port with settings, gone at the end; and `assay load` against it."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
ASSAY = os.environ.get("ASSAY") or str(SOURCE / "build/release/assay")
# ASSAY_… would be settings of the server.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY")}
START_S = 180


def bench_bundle(trees, depth):
    """The path of a bundle with a forest of this shape, made where it is not there yet."""
    path = SOURCE / f"build/bench/c{trees}x{depth}"
    if not (path / "bundle.yaml").exists():
        subprocess.run([sys.executable, str(SOURCE / "bench/models/make_bench_bundle.py"), "--trees", str(trees), "--depth", str(depth), "--out", str(path)],
                       check=True, stdout=subprocess.DEVNULL)
    return path


class Server:
    """settings: {"http.threads": 1, …}; bundle and a free port are set here. core: it runs on this one alone."""

    def __init__(self, folder, bundle, settings, core=None):
        self.log_path = Path(folder) / f"server-{time.monotonic_ns()}.log"
        sets = {"bundle": bundle, "http.listen": "127.0.0.1:0", **settings}
        command = [ASSAY, "serve"]
        for name, value in sets.items():
            command += ["--set", f"{name}={value}"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        if core is not None:
            os.sched_setaffinity(self.process.pid, {core})
        self.address = self._wait()

    def _wait(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http\.listening address=(\S+)", self.log_path.read_text(errors="replace"))
            if found:
                return found[1]
            time.sleep(0.02)
        self.stop()
        sys.exit(f"the server did not start:\n{self.log_path.read_text(errors='replace')[-3000:]}")

    @property
    def url(self):
        return f"http://{self.address}/v1/score"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def load(url, **options):
    """`assay load --json`; rate=5 becomes --rate 5, slo_ms=2 --slo-ms 2, closed=True --closed. Returns the report."""
    command = [ASSAY, "load", "--json"]
    for name, value in options.items():
        command.append("--" + name.replace("_", "-"))
        if value is not True:
            command.append(str(value))
    done = subprocess.run([*command, url], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return json.loads(done.stdout)


def machine():
    """A line about where this runs."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
    return f"{model}, {os.cpu_count()} cores; {subprocess.run([ASSAY, '--version'], capture_output=True, text=True).stdout.strip()}"
