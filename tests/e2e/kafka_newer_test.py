"""What a newer librdkafka makes possible: SCRAM logins to Kafka 4 and cooperative rebalances."""

import os
import subprocess
import sys

import pytest

from kafka_support import Broker, Ledger, Topics, Unavailable, assert_whole, expect, finished, lines_of, write
from support import ASSAY, CARD_FRAUD, SOURCE, Server, wait_until

import newer  # from tests/kafka, whose path kafka_support adds
from security import Security

COOPERATIVE = {"kafka.partition.assignment.strategy": "cooperative-sticky"}


@pytest.fixture(scope="module")
def library():
    try:
        return newer.environment()
    except Unavailable as why:
        pytest.skip(f"no newer librdkafka: {why}")


@pytest.fixture(scope="module")
def security(tmp_path_factory):
    return Security(tmp_path_factory.mktemp("security"))


@pytest.fixture(scope="module")
def broker(library, security):
    try:
        with Broker(security=security) as broker:
            yield broker
    except Unavailable as why:
        pytest.skip(f"no real Kafka broker: {why}")


@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "PLAIN", "OAUTHBEARER", "tls"])
def test_every_login_works(library, broker, security, tmp_path, way):
    topics, lines = Topics(broker, partitions=2), lines_of(300, seed=22)
    topics.send(write(tmp_path / "tx.jsonl", lines))
    settings = topics.settings(**security.client(way, broker.tls_port if way == "tls" else broker.sasl_port))
    with Server(tmp_path, settings, env=library) as server:
        assert server.events("kafka.starting")[0]["librdkafka"] >= "2.16" and server.events("kafka.scram") == []
        finished(server, 300)
        assert server.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))


def test_a_cooperative_rebalance_takes_only_what_moves_and_repeats_nothing(library, broker, tmp_path):
    topics, lines = Topics(broker, partitions=8), lines_of(20_000, seed=23)
    tool = ASSAY.rsplit("/", 1)[0] + "/tools/kafka_tool"
    command = [tool, "send", "--broker", broker.bootstrap, "--topic", topics.input, "--file", str(write(tmp_path / "tx.jsonl", lines)),
               "--key", "customer_id", "--rate", "3000"]
    with Server(tmp_path, topics.settings(**COOPERATIVE), env=library) as first:
        traffic = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            finished(first, 500)
            with Server(tmp_path, topics.settings(**COOPERATIVE), env=library) as second:
                finished(second, 500)
                assert second.stop() == 0
            assert traffic.wait(120) == 0
        finally:
            traffic.kill()
        wait_until(lambda: topics.committed() == len(lines), lambda: f"{topics.committed()} committed")
        revoked = first.events("kafka.revoked")
        assert revoked and all(0 < event["partitions"] < 8 and event["held"] > 0 for event in revoked), revoked
        assert first.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))


def test_nothing_is_lost_under_fire_with_cooperative_rebalances(library):
    kills = "10" if os.environ.get("ASSAY_TEST_ALL") else "2"
    rate = "2000" if "/asan/" in ASSAY or "/tsan/" in ASSAY else "10000"
    pairs = [part for name, value in COOPERATIVE.items() for part in ("--set", f"{name}={value}")]
    done = subprocess.run([sys.executable, str(SOURCE / "tests/kafka/torture.py"), "--assay", ASSAY, "--kills", kills, "--nodes", "1",
                           "--rate", rate, *pairs], capture_output=True, text=True, timeout=500, stdin=subprocess.DEVNULL,
                          env={**os.environ, **library})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
