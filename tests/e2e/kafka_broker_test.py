"""Transactions from Kafka to Kafka on a real Apache Kafka: a whole data set, garbage, restarts, kills and crashes under load."""

import os
import random
import signal
import subprocess

import pytest

from kafka_support import TOOL, Ledger, Topics, assert_whole, expect, finished, lines_of, real_broker, write
from support import CARD_FRAUD, SHARED, Server, run, wait_until

import fdh  # from tests/kafka, whose path kafka_support adds

LONG = os.environ.get("ASSAY_TEST_ALL")


@pytest.fixture(scope="module")
def broker():
    with real_broker() as broker:
        yield broker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fdh.write_bundle(tmp_path_factory.mktemp("bundle"))


def garbage(line, draw):
    """A transaction with some of its bytes changed, taken out or put in; a line still."""
    text = bytearray(line)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(text))
        what = draw.randrange(3)
        if what == 0:
            text[at] = draw.randrange(256)
        elif what == 1:
            del text[at:at + draw.randrange(1, 20)]
        else:
            text[at:at] = bytes(draw.randrange(256) for _ in range(3))
        text = text or bytearray(b"x")
    return bytes(text).replace(b"\n", b"\v").strip() or b"x"


def test_garbage_is_dead_lettered_with_its_reason_and_all_else_is_scored_in_order(broker, tmp_path):
    """One record in ten is broken: each is answered once, as `assay score` answers it, and the order within a key is kept."""
    n, draw = 1_000_000 if LONG else 20_000, random.Random(3)
    topics, lines, expected = Topics(broker, partitions=4), tmp_path / "lines", tmp_path / "expected"
    made = run("gen", "--transactions", n, "--seed", 3, timeout=600)
    assert made.code == 0, made
    lines.write_bytes(b"".join((garbage(line, draw) if i % 10 == 7 else line) + b"\n" for i, line in enumerate(made.out.encode().splitlines())))
    assert run("score", "--bundle", CARD_FRAUD, "--in", lines, "--out", expected, timeout=600).code in (0, 1)
    topics.send(lines, key=None, keys=5000)
    with Server(tmp_path, topics.settings()) as server:
        finished(server, n, 600)
        assert server.stop() == 0
    found = topics.ledger(lines, expected)
    assert found["records"] == n and found["results"] + found["dead_letters"] == n
    assert n // 20 < found["dead_letters"] <= n // 10
    assert {name: found[name] for name in ("missing", "repeated", "wrong", "reordered", "foreign")} == dict.fromkeys(
        ("missing", "repeated", "wrong", "reordered", "foreign"), 0), found


def test_handbook_transactions_come_out_once_and_as_assay_score_says(broker, bundle, tmp_path):
    archive = SHARED / "data/fdh_transactions.csv.xz"
    n = 100_000
    lines = list(fdh.rows(archive, n) if archive.exists() else fdh.synthetic_rows(n))
    expected = expect(bundle, lines)
    topics = Topics(broker)
    with Server(tmp_path, topics.settings(bundle=str(bundle), **{"stream.consumers": 2})) as server:
        topics.send(write(tmp_path / "tx.jsonl", lines))
        finished(server, n)
        wait_until(lambda: server.metric("assay_kafka_lag") == 0, "no lag")
        assert server.metric("assay_transactions_total", source="kafka", outcome="scored") == n
        assert server.stop() == 0
    assert_whole(Ledger(expected).read(topics.results()))
    assert topics.dead_letters() == []
    assert topics.committed() == n


class Traffic:
    """A file sent at a rate in the background."""

    def __init__(self, topics, path, rate):
        command = [str(TOOL), "send", "--broker", topics.broker.bootstrap, "--topic", topics.input, "--file", str(path), "--key",
                   "customer_id", "--rate", str(rate)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)

    def wait(self):
        assert self.process.wait(180) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def all_delivered(topics, n):
    """Waits until everything is committed, which is after everything is delivered."""
    wait_until(lambda: topics.committed() == n, lambda: f"{topics.committed()} of {n} committed", 120)


def test_sigterm_under_load_and_a_restart_lose_and_repeat_nothing(broker, tmp_path):
    topics, lines = Topics(broker), lines_of(20_000, seed=9)
    with Traffic(topics, write(tmp_path / "tx.jsonl", lines), 5000) as traffic:
        for _ in range(3):
            with Server(tmp_path, topics.settings()) as server:
                finished(server, 1000)
                assert server.stop() == 0, server.log()[-1500:]
        with Server(tmp_path, topics.settings()) as server:
            traffic.wait()
            all_delivered(topics, len(lines))
            assert server.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))


def test_kill_9_under_load_loses_nothing(broker, tmp_path):
    topics, lines = Topics(broker), lines_of(20_000, seed=10)
    settings = topics.settings(**{"kafka.group.instance.id": "till-1"})
    with Traffic(topics, write(tmp_path / "tx.jsonl", lines), 5000) as traffic:
        for _ in range(3):
            with Server(tmp_path, settings) as server:
                finished(server, 1000)
                assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        with Server(tmp_path, settings) as server:
            traffic.wait()
            all_delivered(topics, len(lines))
            assert server.stop() == 0
    # A kill repeats what was done since the last commit; on a slow machine that is more than the 100 ms' worth.
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()), repeats=10_000)


def test_processes_come_and_go_and_share_the_partitions(broker, tmp_path):
    topics, lines = Topics(broker, partitions=8), lines_of(30_000, seed=11)
    with Traffic(topics, write(tmp_path / "tx.jsonl", lines), 5000) as traffic:
        with Server(tmp_path, topics.settings()) as first:
            finished(first, 500)
            with Server(tmp_path, topics.settings()) as second:
                finished(second, 500)
                assert first.metric("assay_kafka_rebalances_total", kind="revoked") >= 1
                assert second.stop() == 0
            traffic.wait()
            all_delivered(topics, len(lines))
            assert first.stop() == 0
    # Rebalances are drained and committed: nothing is repeated.
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))


def test_a_crash_of_the_broker_loses_nothing(tmp_path):
    with real_broker() as broker:
        topics, lines = Topics(broker), lines_of(15_000, seed=12)
        with Traffic(topics, write(tmp_path / "tx.jsonl", lines), 3000) as traffic:
            with Server(tmp_path, topics.settings()) as server:
                finished(server, 1000)
                broker.kill()
                wait_until(lambda: server.get("/readyz").status == 503, "not ready while no broker answers")
                broker.start_again()
                traffic.wait()
                all_delivered(topics, len(lines))
                wait_until(lambda: server.get("/readyz").status == 200, "ready again")
                assert server.stop() == 0, server.log()[-1500:]
        assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()), repeats=15_000)


def test_topics_that_come_later(broker, tmp_path):
    topics, lines = Topics(broker, make=False), lines_of(200, seed=13)
    with Server(tmp_path, topics.settings(**{"kafka.topic.metadata.refresh.interval.ms": "500"}), ready=False) as server:
        wait_until(lambda: topics.output.encode() in server.get("/readyz").body, lambda: server.get("/readyz").body)
        topics.make(topics.output, topics.dead)
        wait_until(lambda: topics.input.encode() in server.get("/readyz").body, lambda: server.get("/readyz").body)
        topics.make(topics.input)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        finished(server, 200)
        assert server.get("/readyz").status == 200
        assert server.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))


def test_an_input_topic_made_anew_is_read_from_its_beginning(broker, tmp_path):
    topics, lines = Topics(broker, partitions=2), lines_of(400, seed=15)
    with Server(tmp_path, topics.settings(**{"kafka.topic.metadata.refresh.interval.ms": "500"})) as server:
        topics.send(write(tmp_path / "first.jsonl", lines[:300]))
        all_delivered(topics, 300)
        broker.delete_topic(topics.input)
        wait_until(lambda: topics.input.encode() in server.get("/readyz").body, lambda: server.log()[-3000:])
        topics.make(topics.input)
        topics.send(write(tmp_path / "second.jsonl", lines[300:]))
        finished(server, 400)
        wait_until(lambda: server.get("/readyz").status == 200, lambda: server.get("/readyz").body)
        assert server.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))
