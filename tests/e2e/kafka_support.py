"""Brokers, topics and ledgers for end-to-end tests: the mock broker everywhere, a real Apache Kafka where Java is."""

import json
import queue
import subprocess
import sys
import threading
import uuid

import pytest

from support import ASSAY, PATIENCE_S, SOURCE, Path, run, wait_until

sys.path.insert(0, str(SOURCE / "tests/kafka"))
from broker import Broker, Unavailable, kafka_tool  # noqa: E402
from ledger import Ledger  # noqa: E402

TOOL = Path(ASSAY).parent / "tools/kafka_tool"


class Mock:
    """librdkafka's mock broker in a process of its own. say("down") and the like inject faults; see kafka_tool mock --help."""

    def __init__(self, **topics):
        command = [str(TOOL), "mock", *(f"--topic={name}:{partitions}" for name, partitions in topics.items())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.answers = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.bootstrap = self.answers.get(timeout=PATIENCE_S)

    def _listen(self):
        for line in self.process.stdout:
            self.answers.put(line.strip())

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.answers.get(timeout=PATIENCE_S) == "ok", command

    def tool(self, command, *args):
        return kafka_tool(self.bootstrap, command, *args)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def real_broker():
    """A real broker, or a skip with the reason."""
    try:
        return Broker()
    except Unavailable as why:
        pytest.skip(f"no real Kafka broker: {why}")


class Topics:
    """Three topics of a test's own on a broker, and what a server needs to use them."""

    def __init__(self, broker, partitions=4, make=True):
        self.broker = broker
        name = uuid.uuid4().hex[:8]
        self.input, self.output, self.dead = f"in-{name}", f"out-{name}", f"dead-{name}"
        self.group = f"group-{name}"
        self.partitions = partitions
        if make:
            self.make(self.input, self.output, self.dead)

    def make(self, *names):
        for name in names:
            partitions = 1 if name == self.dead else self.partitions
            if isinstance(self.broker, Mock):
                self.broker.say(f"create {name} {partitions}")
            else:
                self.broker.create_topic(name, partitions)

    def settings(self, **more):
        # The mock does not wake a waiting fetch, and lets a member that comes back wait a session timeout.
        mock = {"kafka.fetch.wait.max.ms": "10", "kafka.session.timeout.ms": "6000"} if isinstance(self.broker, Mock) else {}
        return {"stream.input": self.input, "stream.output": self.output, "stream.dead_letter": self.dead,
                "kafka.bootstrap.servers": self.broker.bootstrap, "kafka.group.id": self.group, **mock, **more}

    def send(self, path, key="customer_id", **options):
        """Sends a file's lines; returns how many."""
        args = [part for name, value in {"key": key, **options}.items() if value is not None for part in (f"--{name}", str(value))]
        return int(self.broker.tool("send", "--topic", self.input, "--file", str(path), *args))

    def send_records(self, folder, records):
        """Sends dicts with key, headers, value or hex."""
        path = Path(folder) / f"records-{uuid.uuid4().hex[:8]}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return int(self.broker.tool("send", "--topic", self.input, "--file", str(path), "--records"))

    def read(self, topic):
        return [json.loads(line) for line in self.broker.tool("read", "--topic", topic).splitlines()]

    def results(self):
        return self.read(self.output)

    def dead_letters(self):
        return self.read(self.dead)

    def ledger(self, lines, expected):
        """What kafka_tool ledger counts: the lines that were sent and what `assay score` says of them against what came out."""
        done = subprocess.run([str(TOOL), "ledger", "--broker", self.broker.bootstrap, "--input", self.input, "--output", self.output,
                               "--dead-letter", self.dead, "--lines", str(lines), "--expected", str(expected)], capture_output=True,
                              text=True, timeout=600, stdin=subprocess.DEVNULL)
        assert done.stdout, done.stderr
        return {**json.loads(done.stdout.splitlines()[-1]), "said": done.stdout[-1000:]}

    def committed(self):
        """The sum of the committed offsets."""
        text = self.broker.tool("committed", "--topic", self.input, "--group", self.group)
        return sum(int(line.split()[1]) for line in text.splitlines())


def expect(bundle, lines, key="customer_id"):
    """A ledger's expectation: what `assay score` says of these lines, by id."""
    result = run("score", "--bundle", bundle, input="".join(lines), timeout=10 * PATIENCE_S)
    assert result.code == 0, result
    expected = {}
    for line, record in zip(lines, result.out.splitlines(), strict=True):
        expected[str(json.loads(record)["transaction_id"])] = (str(json.loads(line)[key]), record)
    return expected


def header(record, name):
    """The value of a header; None where there is none."""
    return next((value for n, value in record["headers"] if n == name), None)


def lines_of(n, seed=1):
    """n generated transactions for the card-fraud bundle, as lines."""
    result = run("gen", "--transactions", n, "--seed", seed)
    assert result.code == 0, result
    return result.out.splitlines(keepends=True)


def write(path, lines):
    path.write_text("".join(lines))
    return path


def finished(server, n, seconds=180):
    """Waits until n records are delivered, as results or dead letters."""
    wait_until(lambda: server.metric("assay_kafka_delivered_total") >= n,
               lambda: f"{server.metric('assay_kafka_delivered_total')} of {n} delivered; {server.log()[-3000:]}", seconds)


def assert_whole(ledger, repeats=0):
    assert ledger.missing == [] and ledger.wrong == [] and ledger.foreign == [] and ledger.reordered == [], str(ledger)
    assert ledger.repeated <= repeats, str(ledger)


__all__ = ["Broker", "Ledger", "Mock", "Topics", "assert_whole", "expect", "finished", "header", "lines_of", "real_broker", "write"]
