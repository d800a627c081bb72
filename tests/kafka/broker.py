#!/usr/bin/env python3
"""A real Apache Kafka for tests and for the desk: one node, its own folder and ports, gone at the end.

    python3 tests/kafka/broker.py                   a broker until Ctrl-C; prints what to put into a configuration
    with Broker(topics={"tx": 4}) as broker:        in tests and benchmarks
        broker.bootstrap                            "127.0.0.1:40123"
        broker.kill(); broker.start_again()         a crash, and the restart on the same port and data

Kafka comes as jars from Maven Central, fetched once by Maven into .cache/kafka (or KAFKA_JARS, a folder that has them).
Needs Java 17 or newer; Unavailable says what is missing. The standard library only.
"""

import argparse
import base64
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VERSION = "4.2.0"
SOURCE = Path(__file__).resolve().parents[2]
CACHE = SOURCE / ".cache" / f"kafka-{VERSION}"
JAVA_OLDEST = 17
START_S = 90

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>assay</groupId><artifactId>test-broker</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""

# Small and quick: one partition of each internal topic, no waiting for members that do not come, a crashed node is taken
# back after two seconds.
PROPERTIES = """process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
"""


class Unavailable(Exception):
    """No broker can be had here; the message says why."""


def java_program():
    path = shutil.which("java")
    if not path:
        raise Unavailable("java is not installed")
    said = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found[1]) < JAVA_OLDEST:
        raise Unavailable(f"Java {JAVA_OLDEST} or newer is needed, java -version says: {said.splitlines()[0] if said else 'nothing'}")
    return path


def fetch_jars():
    """The folder with Kafka's jars; downloaded by whoever comes first while others wait."""
    given = os.environ.get("KAFKA_JARS")  # no ASSAY_… name, which would be a setting
    if given:
        if not list(Path(given).glob("kafka_*.jar")):
            raise Unavailable(f"KAFKA_JARS={given} has no kafka_*.jar")
        return Path(given)
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        jars, complete = CACHE / "lib", CACHE / "complete"
        if complete.exists():
            return jars
        maven = shutil.which("mvn")
        if not maven:
            raise Unavailable("the jars of Kafka are not here and mvn, which fetches them, is not installed")
        (CACHE / "pom.xml").write_text(POM)
        done = subprocess.run([maven, "-q", "-B", "-f", str(CACHE / "pom.xml"), "dependency:copy-dependencies",
                               "-DincludeScope=runtime", f"-DoutputDirectory={jars}"], capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise Unavailable("Maven could not fetch the jars of Kafka: " + (lines[0][:300] if lines else "no reason given"))
        complete.touch()
        return jars


def free_ports(n):
    """n different ports that are free now."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def answers(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def kafka_tool(bootstrap, command, *args, timeout=120):
    """Runs the build's kafka_tool (tests/support/kafka_tool_main.c) and returns what it prints."""
    binary = Path(os.environ.get("ASSAY") or SOURCE / "build/release/assay").parent / "tools/kafka_tool"
    done = subprocess.run([str(binary), command, "--broker", bootstrap, *args], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"kafka_tool {command} {' '.join(args)}: exit code {done.returncode}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


class Broker:
    """topics: name -> partitions, or -> (partitions, {property: value}). cores: pin the broker to these (taskset -c)."""

    def __init__(self, topics=None, folder=None, heap="256m", cores=None, properties=None):
        self.java, self.jars = java_program(), fetch_jars()
        self.own_folder = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="assay-kafka-"))
        self.heap, self.cores, self.process = heap, cores, None
        self.port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.config = self.folder / "server.properties"
        text = PROPERTIES.format(port=self.port, controller=controller, data=self.folder / "data")
        self.config.write_text(text + "".join(f"{k}={v}\n" for k, v in (properties or {}).items()))
        self.log_path = self.folder / "broker.log"
        try:
            self._format()
            self.start_again()
            for name, wanted in (topics or {}).items():
                partitions, settings = wanted if isinstance(wanted, tuple) else (wanted, {})
                self.create_topic(name, partitions, settings)
        except BaseException:
            self.close()
            raise

    def _java(self, *args):
        pin = ["taskset", "-c", self.cores] if self.cores else []
        return [*pin, self.java, f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self.jars}/*", *args]

    def _run(self, *args):
        done = subprocess.run(self._java(*args), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"{args[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def _format(self):
        # Leading zero bits stand for reserved ids, so the first byte is not left to chance.
        cluster = base64.urlsafe_b64encode(b"a" + secrets.token_bytes(15)).decode().rstrip("=")
        self._run("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(self.config))

    def start_again(self):
        """Starts the broker on its port and data, and waits until it takes connections."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self._java("kafka.Kafka", str(self.config)), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        end = time.monotonic() + START_S
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the broker does not start: {self.log_path.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def create_topic(self, name, partitions=1, settings=None):
        """Makes a topic through the broker's own client, the kafka_tool of the build."""
        config = [f"{key}={value}" for key, value in (settings or {}).items()]
        self.tool("create", "--topic", name, "--partitions", str(partitions), *[part for c in config for part in ("--config", c)])

    def delete_topic(self, name):
        self.tool("delete", "--topic", name)

    def tool(self, command, *args, timeout=120):
        """Runs kafka_tool against this broker and returns what it prints."""
        return kafka_tool(self.bootstrap, command, *args, timeout=timeout)

    def kill(self):
        """As a crash does: no goodbye to anybody."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """An orderly end; start_again works after it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def cpu_s(self):
        """CPU seconds that the broker has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    parser = argparse.ArgumentParser(description="A real Apache Kafka broker on loopback, until Ctrl-C (with --pipe: until stdin ends). "
                                                 "Topics are made when they are first written to, with 4 partitions.")
    parser.add_argument("--pipe", action="store_true", help="print the address alone and live until stdin ends (for programs)")
    parser.add_argument("--cores", help="pin the broker to these cores, as taskset -c takes them")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        broker = Broker(cores=options.cores, properties={"auto.create.topics.enable": "true", "num.partitions": "4"})
    except Unavailable as why:
        print(f"no Kafka broker: {why}", file=sys.stderr)
        return 1
    with broker:
        try:
            if options.pipe:
                print(broker.bootstrap, flush=True)
                sys.stdin.read()
                return 0
            print(f"Apache Kafka {VERSION} at {broker.bootstrap}; Ctrl-C ends it. In a configuration of Assay:\n\n"
                  f"kafka:\n  bootstrap.servers: {broker.bootstrap}\nstream:\n  input: transactions\n  output: results\n"
                  f"  dead_letter: dead-letters", flush=True)
            broker.process.wait()
            print(broker.log_path.read_text(errors="replace")[-3000:], file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
