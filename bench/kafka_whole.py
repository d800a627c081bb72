#!/usr/bin/env python3
"""The whole of a real data set through a real broker: every transaction of the Fraud Detection Handbook as JSONL into Apache
Kafka, through `assay serve`, out again, and held against `assay score` of the same file, byte for byte.

    python3 bench/kafka_whole.py --assay build/release/assay [--rows N]

Exit code 0 where every result is there once, in order and equal; 1 where not; 0 with a line that begins with "skipped:" where
the data set, Java or Maven is missing. It needs about 3 GB of disk in the folder for temporary files and 2 GB of memory.
The standard library only.
"""

import argparse
import http.client
import json
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "tests/kafka"))
from broker import Broker, Unavailable, free_ports  # noqa: E402
from ledger import Ledger  # noqa: E402
import fdh  # noqa: E402

ARCHIVE = Path(os.environ.get("ASSAY_SHARED") or SOURCE / "../shared") / "data/fdh_transactions.csv.xz"
PARTITIONS = 4
STUCK_S = 60


# ASSAY_… would be settings of the server.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}


def step(what, seconds, n=None):
    rate = f", {n / seconds:,.0f} a second" if n else ""
    print(f"  {what:<58} {seconds:8.2f} s{rate}", flush=True)


class Expected(Mapping):
    """id -> (key, value), as the ledger wants it, without holding the values: they stay in the file that `assay score` wrote.
    Its lines are in the order of the input's, whose keys are the customers."""

    def __init__(self, transactions, results):
        self.rows, self.starts, self.keys = {}, array("Q"), array("L")
        self.file = open(results, "rb")
        self.bytes = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 0
        with open(transactions, "rb") as sent:
            for i, line in enumerate(sent):
                transaction = json.loads(line)
                self.rows[str(transaction["tx_id"])] = i
                self.keys.append(transaction["customer_id"])
                self.starts.append(start)
                start = self.bytes.find(b"\n", start) + 1
        self.starts.append(start)
        if 0 in self.starts[1:] or start != len(self.bytes):
            raise ValueError("assay score did not write a line for each that it read")

    def __getitem__(self, id):
        row = self.rows[id]
        return str(self.keys[row]), self.bytes[self.starts[row]:self.starts[row + 1] - 1].decode()

    def __contains__(self, id):
        return id in self.rows

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)


class Serve:
    """`assay serve` and its metrics."""

    def __init__(self, assay, folder, settings):
        self.port, = free_ports(1)
        self.log_path = folder / "serve.log"
        settings = {"http.listen": f"127.0.0.1:{self.port}", **settings}
        pairs = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([assay, "serve", *pairs], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=ENVIRONMENT)

    def log(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def metric(self, name):
        """The sum of a metric's samples; 0 while nobody answers."""
        if self.process.poll() is not None:
            raise RuntimeError(f"assay serve ended: {self.log()}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except ConnectionRefusedError:
            return 0
        finally:
            connection.close()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def await_delivered(self, n):
        """Waits until n records are delivered; returns the moments of the first look that saw any, with how many, and of the
        last."""
        first, done, moved = None, 0, time.monotonic()
        while done < n:
            time.sleep(0.05)
            now, seen = time.monotonic(), self.metric("assay_kafka_delivered_total")
            if seen > done:
                done, moved = seen, now
                first = first or (now, seen)
            elif now - moved > STUCK_S:
                raise RuntimeError(f"stuck at {done:.0f} of {n} delivered: {self.log()}")
        return first, moved

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def write_transactions(path, limit):
    n = 0
    with open(path, "w", encoding="ascii") as out:
        for n, line in enumerate(fdh.rows(ARCHIVE, limit), 1):
            out.write(line)
    return n


def serve_all(assay, folder, bundle, broker, n):
    """Lets the server work through the topic; returns whether it ended well."""
    settings = {"bundle": bundle, "kafka.bootstrap.servers": broker.bootstrap, "stream.input": "transactions",
                "stream.output": "results", "stream.dead_letter": "dead-letters", "log.level": "warn"}
    start = time.monotonic()
    with Serve(assay, folder, settings) as server:
        (first_at, first), last_at = server.await_delivered(n)
        step("assay serve, from its start to the last acknowledgement", last_at - start, n)
        if n > first:
            step("of these from the first acknowledgements on", last_at - first_at, n - first)
        cpu_s = server.cpu_s()
        print(f"  {'CPU of it, start and scrapes included':<58} {cpu_s:8.2f} s, {cpu_s / n * 1e6:.2f} us a transaction")
        code = server.stop()
    if code != 0:
        print(f"  SIGTERM ended it with exit code {code}: {server.log()}")
    return code == 0


def records(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def measure(assay, folder, limit):
    transactions, expected, out = folder / "transactions.jsonl", folder / "expected.jsonl", folder / "results.jsonl"
    bundle = fdh.write_bundle(folder)
    n = write_transactions(transactions, limit)
    print(f"{n:,} transactions, {PARTITIONS} partitions, one consumer thread; load of the machine {os.getloadavg()[0]:.1f} "
          f"on {os.cpu_count()} cores", flush=True)
    start = time.monotonic()
    subprocess.run([assay, "score", "--bundle", bundle, "--in", transactions, "--out", expected], check=True, env=ENVIRONMENT)
    step("assay score of the file", time.monotonic() - start, n)
    with Broker(topics={"transactions": PARTITIONS, "results": PARTITIONS, "dead-letters": 1}, heap="512m") as broker:
        start = time.monotonic()
        broker.tool("send", "--topic", "transactions", "--file", str(transactions), "--key", "customer_id", timeout=1800)
        step("sent to the broker", time.monotonic() - start, n)
        ended_well = serve_all(assay, folder, bundle, broker, n)
        broker.tool("read", "--topic", "results", "--out", str(out), timeout=1800)
        dead = broker.tool("read", "--topic", "dead-letters").count("\n")
    ledger = Ledger(Expected(transactions, expected)).read(records(out))
    return n, dead, ledger, ended_well


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--assay", default=str(SOURCE / "build/release/assay"), help="the binary; kafka_tool is looked for beside it")
    parser.add_argument("--rows", type=int, help="only so many transactions")
    options = parser.parse_args()
    if not ARCHIVE.exists():
        print(f"skipped: {ARCHIVE} is not here")
        return 0
    assay = str(Path(options.assay).resolve())
    os.environ["ASSAY"] = assay  # broker.py finds kafka_tool by it
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="assay-whole-") as folder:
        try:
            n, dead, ledger, ended_well = measure(assay, Path(folder), options.rows)
        except Unavailable as why:
            print(f"skipped: no real Kafka broker: {why}")
            return 0
    print(f"results {len(ledger.seen) + ledger.repeated + len(ledger.foreign):,}; distinct ids {len(ledger.seen):,}; "
          f"missing {len(ledger.missing):,}; repeated {ledger.repeated:,}; unlike assay score {len(ledger.wrong):,}; "
          f"foreign {len(ledger.foreign):,}; out of order {len(ledger.reordered):,}; dead letters {dead:,}")
    whole = ended_well and dead == 0 and len(ledger.seen) == n and ledger.repeated == 0 \
        and not (ledger.missing or ledger.wrong or ledger.foreign or ledger.reordered)
    step("all of it, comparing included", time.monotonic() - start)
    print("every transaction came out once, byte for byte as assay score has it" if whole else f"NOT WHOLE: {ledger}")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
