#!/usr/bin/env python3
"""A real Apache Kafka for tests and for the desk: one node or three, its own folder and ports, gone at the end.

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
# back after two seconds, leaders go home soon.
PROPERTIES = """process.roles=broker,controller
controller.listener.names=CONTROLLER
auto.create.topics.enable=false
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
leader.imbalance.check.interval.seconds=5
leader.imbalance.per.broker.percentage=0
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


class Node:
    """One process of the cluster: broker and controller in one, with listeners PLAINTEXT, CONTROLLER and what is asked for."""

    def __init__(self, id, folder, heap, cores):
        self.id, self.folder, self.heap, self.cores, self.process = id, folder, heap, cores, None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.java, self.jars = java_program(), fetch_jars()
        self.port, self.controller = free_ports(2)
        self.directory_id = kafka_id()
        self.config, self.log_path = folder / "server.properties", folder / "broker.log"

    def configure(self, voters, security, forward, replicas, extra):
        """Writes server.properties. forward: a port that stands before this node and is advertised by listener FORWARD."""
        listeners = [("PLAINTEXT", "PLAINTEXT", self.port, self.port), ("CONTROLLER", "PLAINTEXT", self.controller, self.controller)]
        if forward:
            listeners.append(("FORWARD", "PLAINTEXT", free_ports(1)[0], forward))
            self.forwarded = listeners[-1][2]
        if security:
            for name, protocol in (("TLS", "SSL"), ("SASL", "SASL_SSL")):
                port, = free_ports(1)
                listeners.append((name, protocol, port, port))
                setattr(self, f"{name.lower()}_port", port)

        def address(i):
            """Certificates are made out to localhost; what is plain may go by number."""
            return ",".join(f"{line[0]}://{'localhost' if 'SSL' in line[1] else '127.0.0.1'}:{line[i]}" for line in listeners)

        lines = {"node.id": self.id, "log.dirs": self.folder / "data", "controller.quorum.bootstrap.servers": voters,
                 "listeners": address(2), "advertised.listeners": address(3),
                 "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol, *_ in listeners),
                 "offsets.topic.replication.factor": replicas, "transaction.state.log.replication.factor": replicas,
                 "transaction.state.log.min.isr": min(replicas, 2), **(security.broker_properties() if security else {}), **(extra or {})}
        self.config.write_text(PROPERTIES + "".join(f"{key}={value}\n" for key, value in lines.items()))

    def _java(self, *args):
        pin = ["taskset", "-c", self.cores] if self.cores else []
        return [*pin, self.java, f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self.jars}/*", *args]

    def format(self, cluster, controllers, more):
        done = subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.config), *controllers, *more),
                              capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"formatting failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self._java("kafka.Kafka", str(self.config)), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)

    def await_answer(self):
        end = time.monotonic() + START_S
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the broker does not start: {self.log_path.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def start_again(self):
        """Starts the node on its ports and data, and waits until it takes connections."""
        self.launch()
        self.await_answer()

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
        """CPU seconds that the node has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kafka_id():
    """A UUID as Kafka writes it. Leading zero bits stand for reserved ids, so the first byte is not left to chance."""
    return base64.urlsafe_b64encode(b"a" + secrets.token_bytes(15)).decode().rstrip("=")


class Broker:
    """topics: name -> partitions, or -> (partitions, {property: value}). nodes: 1, or 3 with everything on each of them.
    security: a certificates.Security, for listeners with TLS and with SASL over TLS besides the plain one. forwards: a port a
    node, that something forwards to its `forwarded` port. cores: pin the nodes to these (taskset -c). With one node, what a
    node can do (kill, freeze, ...) can be asked of the broker."""

    def __init__(self, topics=None, folder=None, heap="256m", cores=None, properties=None, nodes=1, security=None, forwards=None):
        java_program(), fetch_jars()
        self.own_folder = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="assay-kafka-"))
        self.nodes = []
        try:
            self.nodes = [Node(i + 1, self.folder / f"node{i + 1}", heap, cores) for i in range(nodes)]
            self._start(security, forwards or [], properties)
            for name, wanted in (topics or {}).items():
                partitions, settings = wanted if isinstance(wanted, tuple) else (wanted, {})
                self.create_topic(name, partitions, settings)
        except BaseException:
            self.close()
            raise

    def _start(self, security, forwards, properties):
        voters = ",".join(f"127.0.0.1:{node.controller}" for node in self.nodes)
        cluster = kafka_id()
        several = ["-I", ",".join(f"{n.id}@127.0.0.1:{n.controller}:{n.directory_id}" for n in self.nodes)]
        for i, node in enumerate(self.nodes):
            node.configure(voters, security, forwards[i] if forwards else None, len(self.nodes), properties)
            node.format(cluster, several if len(self.nodes) > 1 else ["--standalone"], security.format_options() if security else [])
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.await_answer()

    def __getattr__(self, name):
        if name in ("nodes", "__setstate__") or len(self.nodes) != 1:
            raise AttributeError(name)
        return getattr(self.nodes[0], name)

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def create_topic(self, name, partitions=1, settings=None):
        """Makes a topic through the broker's own client, the kafka_tool of the build; a replica on every node."""
        settings = settings or ({"min.insync.replicas": 2} if len(self.nodes) > 1 else {})
        config = [f"{key}={value}" for key, value in settings.items()]
        self.tool("create", "--topic", name, "--partitions", str(partitions), "--replicas", str(len(self.nodes)),
                  *[part for c in config for part in ("--config", c)])

    def delete_topic(self, name):
        self.tool("delete", "--topic", name)

    def tool(self, command, *args, timeout=120):
        """Runs kafka_tool against this broker and returns what it prints."""
        return kafka_tool(self.bootstrap, command, *args, timeout=timeout)

    def close(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.kill()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def describe(broker, security):
    """What to put into a configuration of Assay, for each way in."""
    ways = {"plain": {"kafka.bootstrap.servers": broker.bootstrap}}
    if security:
        node = broker.nodes[0]
        ways |= {"TLS": security.client("tls", node.tls_port), "SASL over TLS": security.client("PLAIN", node.sasl_port)}
    lines = [f"Apache Kafka {VERSION}, {len(broker.nodes)} node{'s' if len(broker.nodes) > 1 else ''}; Ctrl-C ends it. In a configuration of Assay:",
             "", "stream: {input: transactions, output: results, dead_letter: dead-letters}"]
    for way, settings in ways.items():
        lines += [f"kafka:{f'                       # {way}' if security else ''}", *(f"  {name[len('kafka.'):]}: {value}" for name, value in settings.items())]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="A real Apache Kafka on loopback, until Ctrl-C (with --pipe: until stdin ends). "
                                                 "Topics are made when they are first written to, with 4 partitions.")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3), help="brokers; three keep every topic on each")
    parser.add_argument("--secure", action="store_true", help="listeners with mutual TLS and with SASL over TLS too")
    parser.add_argument("--pipe", action="store_true", help="print the address alone and live until stdin ends (for programs)")
    parser.add_argument("--cores", help="pin the broker to these cores, as taskset -c takes them")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    properties = {"auto.create.topics.enable": "true", "num.partitions": "4", "default.replication.factor": options.nodes,
                  "min.insync.replicas": min(options.nodes, 2)}
    with tempfile.TemporaryDirectory(prefix="assay-kafka-") as folder:
        try:
            security = None
            if options.secure:
                from security import Security
                security = Security(Path(folder) / "security")
            broker = Broker(folder=Path(folder) / "nodes", cores=options.cores, properties=properties, nodes=options.nodes, security=security)
        except Unavailable as why:
            print(f"no Kafka broker: {why}", file=sys.stderr)
            return 1
        with broker:
            try:
                if options.pipe:
                    print(broker.bootstrap, flush=True)
                    sys.stdin.read()
                    return 0
                print(describe(broker, security), flush=True)
                broker.nodes[0].process.wait()
                print(broker.nodes[0].log_path.read_text(errors="replace")[-3000:], file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                return 0


if __name__ == "__main__":
    sys.exit(main())
