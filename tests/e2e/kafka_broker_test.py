"""Transactions from Kafka to Kafka on a real Apache Kafka: a whole data set, garbage, restarts, kills and crashes under load."""

import json
import os
import random
import signal
import subprocess

import pytest

from kafka_support import TOOL, Ledger, Topics, assert_whole, expect, finished, header, lines_of, real_broker, write
from support import CARD_FRAUD, SHARED, Server, wait_until

import fdh  # from tests/kafka, whose path kafka_support adds

LONG = os.environ.get("ASSAY_TEST_ALL")


@pytest.fixture(scope="module")
def broker():
    with real_broker() as broker:
        yield broker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fdh.write_bundle(tmp_path_factory.mktemp("bundle"))


def test_garbage_is_dead_lettered_and_good_records_between_it_are_scored(broker, tmp_path):
    """Mutated documents: every one is either a result or a dead letter with a reason, the good ones are all scored."""
    topics, good, draw = Topics(broker, partitions=2), lines_of(250_000 if LONG else 5000, seed=3), random.Random(3)
    records = []
    for line in good:
        records.append({"key": "k", "value": line.rstrip("\n")})
        bytes_ = bytearray(line.encode().rstrip(b"\n"))
        for _ in range(draw.randrange(1, 4)):
            at = draw.randrange(len(bytes_))
            what = draw.randrange(3)
            if what == 0:
                bytes_[at] = draw.randrange(256)
            elif what == 1:
                del bytes_[at:at + draw.randrange(1, 20)]
            else:
                bytes_[at:at] = bytes(draw.randrange(256) for _ in range(3))
            if not bytes_:
                break
        records.append({"key": "k", "hex": bytes_.hex()})
    topics.send_records(tmp_path, records)
    with Server(tmp_path, topics.settings()) as server:
        finished(server, len(records), 600)
        assert server.stop() == 0
    results, dead = topics.results(), topics.dead_letters()
    assert len(results) + len(dead) == len(records)
    assert all(header(letter, "assay-reason") for letter in dead) and len(dead) > 500
    values = {r["value"] for r in results}
    assert {value for _, value in expect(CARD_FRAUD, good).values()} <= values


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
