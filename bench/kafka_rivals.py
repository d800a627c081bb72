#!/usr/bin/env python3
"""Latency from broker to broker, side by side on one Apache Kafka: a bare librdkafka echo, Assay, Kafka Streams with ONNX Runtime
(bench/rivals/streams) and Python with confluent-kafka and ONNX Runtime (bench/rivals/service.py), all with the model and the
features of build/bench/card, each with topics of its own.

    python3 bench/kafka_rivals.py [--rate 1000]... [--rounds 5] [--duration 4] [--only echo]...

`assay load` sends at a rate, open loop, and counts from the moment a record was due to the moment its result was read. Rounds of
all contenders alternate; figures are medians over the rounds. Contenders that cannot be had are skipped, visibly. CPU is that of
the contender's process, a record, at that rate. The standard library only; Maven and pip fetch what the rivals need into .cache.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "tests/kafka"))
from broker import Broker, Unavailable, java_program  # noqa: E402
from torture import ENVIRONMENT  # noqa: E402

CACHE = SOURCE / ".cache/rivals"
RIVALS = SOURCE / "bench/rivals"
BUNDLE = SOURCE / "build/bench/card"
PARTITIONS = 2
PACKAGES = ["confluent-kafka==2.16.0", "numpy", "onnx", "onnxruntime"]
START_S = 60


def run(what, *command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900, **options)
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise Unavailable(f"{what}: {lines[-1][:200] if lines else 'failed'}")
    return done.stdout


def python_of_rivals():
    """The interpreter of a venv with what the Python service needs; made once."""
    python = CACHE / "venv/bin/python"
    if not (CACHE / "complete").exists():
        run("venv", sys.executable, "-m", "venv", CACHE / "venv")
        run("pip", CACHE / "venv/bin/pip", "-q", "install", "--only-binary", ":all:", *PACKAGES)
        (CACHE / "complete").touch()
    return python


def model():
    path = CACHE / "card.onnx"
    run("model", python_of_rivals(), RIVALS / "make_onnx.py", BUNDLE / "model.json", path)
    return path


def streams_classes():
    """The class path of the Kafka Streams service; built once."""
    build = CACHE / "streams"
    if not (build / "complete").exists():
        if not shutil.which("mvn"):
            raise Unavailable("mvn is not installed")
        shutil.copytree(RIVALS / "streams", build, dirs_exist_ok=True)
        run("mvn", "mvn", "-q", "-B", "-f", build / "pom.xml", "package", "dependency:copy-dependencies", "-DincludeScope=runtime")
        (build / "complete").touch()
    return f"{build}/target/streams-rival-1.jar:{build}/target/dependency/*"


def echo(assay, broker, source, target):
    return [Path(assay).parent / "tools/kafka_tool", "echo", "--broker", broker.bootstrap, "--topic", source, "--output", target]


def assay_with(**settings):
    def command(assay, broker, source, target):
        pairs = {"bundle": BUNDLE, "http.listen": "", "log.level": "warn", "stream.input": source, "stream.output": target,
                 "stream.dead_letter": f"{target}-dead", "kafka.bootstrap.servers": broker.bootstrap, "kafka.group.id": source, **settings}
        return [assay, "serve", *(part for name, value in pairs.items() for part in ("--set", f"{name}={value}"))]
    return command


def streams_with(*properties):
    def command(_assay, broker, source, target):
        return [java_program(), "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", streams_classes(), "rivals.Scorer",
                broker.bootstrap, source, target, model(), *properties]
    return command


def python_service(_assay, broker, source, target):
    return [python_of_rivals(), RIVALS / "service.py", broker.bootstrap, source, target, model()]


CONTENDERS = {
    "echo": ("bare librdkafka echo, linger 1 ms", echo),
    "assay": ("assay serve", assay_with()),
    "assay-low": ("assay serve, stream.profile=low_latency", assay_with(**{"stream.profile": "low_latency"})),
    "streams": ("Kafka Streams, as it comes", streams_with()),
    "streams-0": ("Kafka Streams, producer.linger.ms=0", streams_with("producer.linger.ms=0")),
    "python": ("Python, confluent-kafka, batched", python_service),
}


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Contender:
    def __init__(self, name, assay, broker, folder):
        self.name, self.assay, self.broker = name, assay, broker
        self.what, command = CONTENDERS[name]
        self.source, self.target = f"{name}-in", f"{name}-out"
        self.rounds = []
        for topic in (self.source, self.target, f"{self.target}-dead"):
            broker.create_topic(topic, PARTITIONS)
        with open(folder / f"{name}.log", "wb") as log:
            self.process = subprocess.Popen([str(part) for part in command(assay, broker, self.source, self.target)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=ENVIRONMENT)

    def load(self, rate, duration, warmup=0.5):
        before = cpu_s(self.process.pid)
        done = subprocess.run([self.assay, "load", "--kafka", self.broker.bootstrap, "--topic", self.source, "--output", self.target, "--rate",
                               str(rate), "--arrivals", "constant", "--duration", str(duration), "--warmup", str(warmup), "--json"],
                              capture_output=True, text=True, env=ENVIRONMENT, stdin=subprocess.DEVNULL, timeout=300)
        if not done.stdout:
            raise RuntimeError(f"assay load: {done.stderr[-1000:]}")
        return json.loads(done.stdout.splitlines()[-1]), (cpu_s(self.process.pid) - before) / (rate * (duration + warmup)) * 1e6

    def warm_up(self):
        """Until everything that is sent comes back: joining a group and a first compilation take their time."""
        end = time.monotonic() + START_S
        while True:
            result, _ = self.load(500, 2)
            if result["failed"]["requests"] == 0:
                return
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"{self.name} does not answer: {result}")

    def close(self):
        self.process.kill()
        self.process.wait()


def measure(contenders, rate, rounds, duration):
    figures = {contender.name: [] for contender in contenders}
    for i in range(rounds):
        for k in range(len(contenders)):  # none is always first
            contender = contenders[(i + k) % len(contenders)]
            result, cpu_us = contender.load(rate, duration)
            latency = result["latency_ms"]
            figures[contender.name].append((latency["p50"], latency["p99"], cpu_us, result["failed"]["requests"]))
    print(f"{rate:,} records a second", flush=True)
    base = [statistics.median(row[i] for row in figures["echo"]) for i in (0, 1)] if "echo" in figures else None
    for contender in contenders:
        p50, p99, cpu_us = (statistics.median(row[i] for row in figures[contender.name]) for i in range(3))
        failed = sum(row[3] for row in figures[contender.name])
        ratios = f"   {p50 / base[0]:5.2f} x {p99 / base[1]:5.2f} x the echo's" if base else ""
        print(f"  {contender.what:<42} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   CPU {cpu_us:7.1f} us{ratios}"
              f"{f'   {failed} failed' if failed else ''}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--assay", default=str(SOURCE / "build/release/assay"), help="the binary; kafka_tool is looked for beside it")
    parser.add_argument("--rate", type=int, action="append", help="records a second; may be repeated; 1000, 5000 and 20000 without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=4, help="seconds of a round")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="these contenders; may be repeated")
    parser.add_argument("--prepare", action="store_true", help="fetch and build the rivals, measure nothing")
    options = parser.parse_args()
    assay = str(Path(options.assay).resolve())
    os.environ["ASSAY"] = assay  # broker.py finds kafka_tool by it
    CACHE.mkdir(parents=True, exist_ok=True)
    contenders = []
    with tempfile.TemporaryDirectory(prefix="assay-rivals-") as folder:
        try:
            if options.prepare:
                streams_classes()
                model()
                return 0
            broker = Broker(folder=Path(folder) / "broker", heap="512m")
        except Unavailable as why:
            print(f"skipped: {why}")
            return 0
        with broker:
            try:
                for name in options.only or CONTENDERS:
                    try:
                        contenders.append(Contender(name, assay, broker, Path(folder)))
                    except Unavailable as why:
                        print(f"skipped: {name}: {why}")
                for contender in contenders:
                    contender.warm_up()
                print(f"Apache Kafka on the same {os.cpu_count()} cores, {PARTITIONS} partitions, medians of {options.rounds} rounds of "
                      f"{options.duration:g} s; load {os.getloadavg()[0]:.1f}", flush=True)
                for rate in options.rate or (1000, 5000, 20_000):
                    measure(contenders, rate, options.rounds, options.duration)
            finally:
                for contender in contenders:
                    contender.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
