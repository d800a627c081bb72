"""Conditions of brokers and topics that docs/kafka.md defines a behaviour for, one test each; crashes are in kafka_broker_test.py."""

import json

import pytest

from kafka_support import Ledger, Mock, Topics, assert_whole, expect, finished, header, lines_of, real_broker, write
from support import CARD_FRAUD, Server, wait_until


@pytest.fixture(scope="module")
def mock():
    with Mock() as broker:
        yield broker


@pytest.fixture(scope="module")
def broker():
    with real_broker() as broker:
        yield broker


def whole(topics, lines, server, repeats=0):
    wait_until(lambda: topics.committed() == len(lines), lambda: f"{topics.committed()} committed; {server.log()[-3000:]}")
    assert server.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()), repeats)


def test_a_slow_broker_only_makes_it_slower(tmp_path):
    lines = lines_of(500, seed=41)
    with Mock() as mock:
        topics = Topics(mock, partitions=2)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        mock.say("rtt 300")
        with Server(tmp_path, topics.settings()) as server:
            whole(topics, lines, server)


def test_a_full_queue_of_the_producer_is_waited_for(mock, tmp_path):
    topics, lines = Topics(mock, partitions=2), lines_of(2000, seed=42)
    topics.send(write(tmp_path / "tx.jsonl", lines))
    with Server(tmp_path, topics.settings(**{"kafka.producer.queue.buffering.max.messages": "10"})) as server:
        whole(topics, lines, server)


def test_a_topic_that_may_not_be_read_is_told_and_asked_for_again(tmp_path):
    lines = lines_of(100, seed=43)
    with Mock() as mock:
        topics = Topics(mock, partitions=2)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        mock.say(f"topic_error {topics.input} 29")
        with Server(tmp_path, topics.settings(**{"kafka.topic.metadata.refresh.interval.ms": "500"}), ready=False) as server:
            wait_until(lambda: topics.input.encode() in server.get("/readyz").body and b"uthoriz" in server.get("/readyz").body,
                       lambda: (server.get("/readyz").body, server.log()[-3000:]))
            assert server.get("/readyz").status == 503
            mock.say(f"topic_error {topics.input} 0")
            finished(server, 100)
            wait_until(lambda: server.get("/readyz").status == 200, "ready again")
            whole(topics, lines, server)


def test_a_result_that_may_not_be_written_is_told_and_nothing_is_committed(tmp_path):
    lines = lines_of(100, seed=44)
    with Mock() as mock:
        topics = Topics(mock, partitions=2)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        mock.say("error 0 29 100")
        with Server(tmp_path, topics.settings(), ready=False) as server:
            server.wait_metric("assay_kafka_restarts_total", 2)
            assert topics.committed() == 0
            assert any(topics.output in event["why"] and "uthoriz" in event["why"] for event in server.events("kafka.restart")), server.log()[-4000:]
            mock.say("clear 0")
            whole(topics, lines, server, repeats=100)


def test_a_result_that_is_too_large_is_a_dead_letter(mock, tmp_path):
    topics, lines = Topics(mock, partitions=1), lines_of(3, seed=45)
    topics.send(write(tmp_path / "tx.jsonl", lines))
    with Server(tmp_path, topics.settings(**{"kafka.producer.message.max.bytes": "1000", "result.features": True, "result.timing": True})) as server:
        finished(server, 3)
        assert server.metric("assay_kafka_dead_letters_total", reason="too_large") == 3
        assert server.metric("assay_kafka_restarts_total") == 0
        assert server.stop() == 0
    assert topics.results() == [] and topics.committed() == 3
    for letter, line in zip(topics.dead_letters(), lines, strict=True):
        assert header(letter, "assay-reason") == "too_large" and header(letter, "assay-cut") is None
        assert letter["value"] == line.rstrip("\n") and letter["key"] == json.loads(line)["customer_id"]


@pytest.mark.parametrize("part", ["key", "value", "headers"])
def test_no_record_is_too_large_to_be_buried(mock, tmp_path, part):
    """At every size around the limit, headers counted, which librdkafka does only when it sends: none may stop the stream."""
    topics = Topics(mock, partitions=1)
    records = [{"key": "x" * (size if part == "key" else 3), "value": "{" + "y" * (size if part == "value" else 3),
                "headers": [["h", "z" * (size if part == "headers" else 3)]]} for size in range(800, 2400, 100)]
    topics.send_records(tmp_path, records)
    with Server(tmp_path, topics.settings(**{"kafka.producer.message.max.bytes": "2000"})) as server:
        finished(server, len(records))
        assert server.metric("assay_kafka_restarts_total") == 0
        assert server.stop() == 0
    letters = topics.dead_letters()
    assert [header(letter, "assay-source") for letter in letters] == [f"{topics.input}/0/{i}" for i in range(len(records))]
    cut = [header(letter, "assay-cut") is not None for letter in letters]
    assert cut == sorted(cut) and cut[-1] and not cut[0]


def test_a_topic_that_refuses_what_the_client_allows_is_named(broker, tmp_path):
    topics, lines = Topics(broker, partitions=1, make=False), lines_of(50, seed=46)
    topics.make(topics.input, topics.dead)
    broker.create_topic(topics.output, 1, {"max.message.bytes": 100})
    topics.send(write(tmp_path / "tx.jsonl", lines))
    with Server(tmp_path, topics.settings(), ready=False) as server:
        server.wait_metric("assay_kafka_restarts_total", 1)
        assert topics.output in server.events("kafka.restart")[0]["why"]
        wait_until(lambda: server.get("/readyz").status == 503, "not ready")
        assert topics.committed() == 0 and topics.dead_letters() == []
        assert server.stop() in (0, 1)


@pytest.mark.parametrize("reset", ["earliest", "error"])
def test_a_committed_offset_that_has_left_the_topic(broker, tmp_path, reset):
    """earliest: goes on with the oldest there is. error: stands still, says so, and commits nothing."""
    topics, lines = Topics(broker, partitions=1), lines_of(300, seed=47)
    settings = topics.settings(**{"kafka.auto.offset.reset": reset})
    topics.send(write(tmp_path / "first.jsonl", lines[:100]))
    with Server(tmp_path, topics.settings()) as server:
        finished(server, 100)
        assert server.stop() == 0
    topics.send(write(tmp_path / "second.jsonl", lines[100:]))
    broker.tool("trim", "--topic", topics.input, "--partition", "0", "--before", "250")
    with Server(tmp_path, settings, ready=False) as server:
        if reset == "earliest":
            finished(server, 50)
            wait_until(lambda: topics.committed() == 300, topics.committed)
        else:
            server.wait_metric("assay_kafka_restarts_total", 1)
            assert "kafka.auto.offset.reset is error" in server.events("kafka.restart")[0]["why"]
            wait_until(lambda: server.get("/readyz").status == 503, "not ready")
            assert topics.committed() == 100
        assert server.stop() == 0
    expected = expect(CARD_FRAUD, lines[:100] + (lines[250:] if reset == "earliest" else []))
    assert_whole(Ledger(expected).read(topics.results()))
