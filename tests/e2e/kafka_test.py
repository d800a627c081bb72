"""Transactions from Kafka to Kafka on librdkafka's mock broker: what comes out, faults on demand, wrong settings."""

import json
import time

import pytest

from kafka_support import Ledger, Mock, Topics, assert_whole, expect, finished, header, lines_of, write
from support import CARD_FRAUD, Server, wait_until


@pytest.fixture(scope="module")
def mock():
    with Mock() as broker:
        yield broker


# --- what comes out

def test_results_carry_key_headers_and_the_bytes_of_assay_score(mock, tmp_path):
    topics, lines = Topics(mock), lines_of(500)
    records = [{"key": json.loads(line)["customer_id"], "value": line.rstrip("\n"),
                "headers": [["traceparent", f"00-{i:032x}-{i:016x}-01"], ["assay-model", "an earlier one"], ["empty", ""]]}
               for i, line in enumerate(lines, 1)]
    topics.send_records(tmp_path, records)
    with Server(tmp_path, topics.settings()) as server:
        finished(server, 500)
        assert server.stop() == 0
    results = topics.results()
    assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(results))
    sent = {json.loads(r["value"])["tx_id"]: r for r in records}
    for result in results:
        was = sent[json.loads(result["value"])["transaction_id"]]
        assert result["headers"][:2] == [was["headers"][0], was["headers"][2]]
        assert [name for name, _ in result["headers"][2:]] == ["assay-model", "assay-version", "assay-source"]
        assert header(result, "assay-model") == "card-fraud" and header(result, "assay-version") == "1"
    sources = {header(result, "assay-source") for result in results}
    assert len(sources) == 500 and all(source.startswith(topics.input + "/") for source in sources)
    assert topics.committed() == 500


def test_no_header_of_an_earlier_result_is_left_in_a_later_one(mock, tmp_path):
    """Headers of acknowledged results are used again: so records with and without headers, and broken ones, wait for each other."""
    topics, lines = Topics(mock, partitions=1), lines_of(400)
    records = [{"key": "k", "value": line.rstrip("\n") if i % 7 else "broken", "headers": [["traceparent", f"t{i}"]] if i % 5 == 0 else []}
               for i, line in enumerate(lines)]
    with Server(tmp_path, topics.settings(**{"stream.slots": 128, "stream.chunk": 16})) as server:
        for begin in range(0, 400, 100):
            topics.send_records(tmp_path, records[begin:begin + 100])
            finished(server, begin + 100)
        assert server.stop() == 0
    for record in topics.results() + topics.dead_letters():
        names, i = [name for name, _ in record["headers"]], int(header(record, "assay-source").rsplit("/", 1)[1])
        theirs, dead = ["traceparent"] if i % 5 == 0 else [], ["assay-reason", "assay-error", "assay-timestamp"] if i % 7 == 0 else []
        assert names == [*theirs, "assay-model", "assay-version", "assay-source", *dead], (i, record)
        assert header(record, "traceparent") == (f"t{i}" if theirs else None)
        if not dead:
            assert json.loads(record["value"])["transaction_id"] == json.loads(lines[i])["tx_id"]


def test_bad_records_are_dead_letters_and_the_good_ones_between_them_are_scored(mock, tmp_path):
    topics, good = Topics(mock, partitions=1), lines_of(200, seed=2)
    one = json.loads(good[0])
    bad = [
        ({"key": "k0", "value": ""}, "empty"),
        ({"key": "k1", "value": None}, "empty"),
        ({"key": None, "value": "not JSON"}, "syntax"),
        ({"key": "k3", "value": good[0][:40]}, "truncated"),
        ({"key": "k4", "value": good[0].rstrip() + " more"}, "trailing"),
        ({"key": "k5", "hex": "7b2274785f6964223a22ff227d"}, "utf8"),
        ({"key": "k6", "value": json.dumps({k: v for k, v in one.items() if k != "amount"})}, "missing"),
        ({"key": "k7", "value": json.dumps({**one, "amount": "12"}), "headers": [["traceparent", "00-7"]]}, "type"),
    ]
    records = [{"key": json.loads(line)["customer_id"], "value": line.rstrip("\n")} for line in good]
    for i, (record, _) in enumerate(bad):
        records.insert(10 * i + 5, record)
    topics.send_records(tmp_path, records)
    with Server(tmp_path, topics.settings()) as server:
        finished(server, len(records))
        for reason in {reason for _, reason in bad}:
            assert server.metric("assay_kafka_dead_letters_total", reason=reason) == sum(r == reason for _, r in bad)
        assert server.stop() == 0
    assert_whole(Ledger(expect(CARD_FRAUD, good)).read(topics.results()))
    dead = topics.dead_letters()
    assert [header(d, "assay-reason") for d in dead] == [reason for _, reason in bad]
    for i, (letter, (record, _)) in enumerate(zip(dead, bad, strict=True)):
        assert letter["key"] == record["key"]
        assert letter.get("hex") == record.get("hex") and letter.get("value") == record.get("value"), letter
        assert header(letter, "assay-source") == f"{topics.input}/0/{10 * i + 5}"
        assert header(letter, "assay-error") and int(header(letter, "assay-timestamp")) > 0
        assert header(letter, "traceparent") == dict(record.get("headers", [])).get("traceparent")
    assert 'field "amount"' in header(dead[7], "assay-error")
    assert topics.committed() == len(records)


def test_a_record_too_large_for_the_dead_letter_topic_is_cut(mock, tmp_path):
    topics = Topics(mock, partitions=1)
    whole = '{"tx_id":"' + "x" * 200_000 + '"}'
    topics.send_records(tmp_path, [{"key": "k", "value": whole}])
    with Server(tmp_path, topics.settings(**{"kafka.producer.message.max.bytes": "100000"})) as server:
        finished(server, 1)
        assert server.stop() == 0
    letter, = topics.dead_letters()
    assert header(letter, "assay-cut") == str(len(whole)) and header(letter, "assay-reason") == "text_too_long"
    assert whole.startswith(letter["value"]) and len(letter["value"]) >= 25_000


def test_decisions_go_to_their_topic(mock, tmp_path):
    topics, lines = Topics(mock), lines_of(50, seed=4)
    mock.say(f"create decisions-{topics.group} 1")
    topics.send(write(tmp_path / "tx.jsonl", lines))
    with Server(tmp_path, topics.settings(**{"decision_log.topic": f"decisions-{topics.group}"})) as server:
        finished(server, 50)
        assert server.stop() == 0
    decisions = [json.loads(r["value"]) for r in topics.read(f"decisions-{topics.group}")]
    assert {d["transaction_id"] for d in decisions} == {json.loads(line)["tx_id"] for line in lines}
    assert all(d["source"] == "kafka" and d["decision"] for d in decisions)


# --- faults

def test_no_broker_at_the_start_then_it_comes(tmp_path):
    lines = lines_of(300, seed=5)
    with Mock() as mock:
        topics = Topics(mock)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        mock.say("down")
        with Server(tmp_path, topics.settings(), ready=False) as server:
            wait_until(lambda: b"no broker answers" in server.get("/readyz").body, lambda: server.get("/readyz"))
            assert server.get("/readyz").status == 503 and server.get("/healthz").status == 200
            mock.say("up")
            finished(server, 300)
            wait_until(lambda: server.get("/readyz").status == 200, "ready again")
            assert server.stop() == 0
        assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))


def test_the_broker_goes_away_for_a_while(tmp_path):
    lines = lines_of(3000, seed=6)
    with Mock() as mock:
        topics = Topics(mock)
        with Server(tmp_path, topics.settings()) as server:
            path = write(tmp_path / "tx.jsonl", lines)
            topics.send(path)
            finished(server, 1)
            mock.say("down")
            wait_until(lambda: server.get("/readyz").status == 503, "not ready while no broker answers")
            mock.say("up")
            finished(server, 3000)
            wait_until(lambda: server.get("/readyz").status == 200, "ready again")
            assert server.stop() == 0
        assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()), repeats=3000)


def test_stopping_without_a_broker_ends_within_the_limit(tmp_path):
    with Mock() as mock:
        topics = Topics(mock)
        topics.send(write(tmp_path / "tx.jsonl", lines_of(2000, seed=7)))
        with Server(tmp_path, topics.settings(drain_s=3)) as server:
            finished(server, 1)
            mock.say("down")
            wait_until(lambda: server.get("/readyz").status == 503, "not ready while no broker answers")
            start = time.monotonic()
            code = server.stop()
            assert time.monotonic() - start < 30
            assert code == (1 if server.events("kafka.unfinished") else 0), "a drain that was cut is a failure"
        with Server(tmp_path, topics.settings(drain_s=3), ready=False) as server:
            assert server.stop() == 0


@pytest.mark.parametrize("fault,restarts", [("error 0 6 5", 0), ("error 0 7 5", 0), ("error 0 29 1", 1), ("error 1 6 5", 0),
                                            ("error 8 16 3", 0), ("error 8 27 2", 0)])
def test_errors_of_the_broker_lose_nothing(tmp_path, fault, restarts):
    """Produce: not the leader, timed out, refused; Fetch: not the leader; OffsetCommit: not the coordinator, rebalancing."""
    lines = lines_of(400, seed=8)
    with Mock() as mock:
        topics = Topics(mock, partitions=2)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        mock.say(fault)
        with Server(tmp_path, topics.settings()) as server:
            wait_until(lambda: topics.committed() == 400, lambda: f"{topics.committed()} committed; {server.log()[-3000:]}")
            assert server.metric("assay_kafka_restarts_total") == restarts
            assert server.stop() == 0
        ledger = Ledger(expect(CARD_FRAUD, lines)).read(topics.results())
        if restarts:
            # The mock takes batches that were in flight behind the refused one, which a real broker refuses for their sequence.
            ledger.reordered.clear()
        assert_whole(ledger, repeats=400 * restarts)


def test_an_output_that_takes_nothing_holds_the_input_and_leaves_http_alone(tmp_path):
    """Too few replicas: results wait, reading stops, readiness says so, clients are made anew before the group gives us up."""
    lines = lines_of(1000, seed=14)
    with Mock() as mock:
        topics = Topics(mock, partitions=2)
        topics.send(write(tmp_path / "tx.jsonl", lines))
        mock.say("error 0 19 10000")
        settings = topics.settings(**{"stream.slots": 64, "stream.chunk": 16, "kafka.max.poll.interval.ms": "10000"})
        with Server(tmp_path, settings) as server:
            wait_until(lambda: b"takes no results" in server.get("/readyz").body, lambda: server.log()[-3000:])
            assert server.metric("assay_transactions_total", source="kafka", outcome="scored") == 64
            assert server.post("/v1/score", lines[0]).status == 200
            wait_until(lambda: server.metric("assay_kafka_restarts_total") >= 1, lambda: server.log()[-3000:])
            assert topics.committed() == 0
            mock.say("clear 0")
            wait_until(lambda: topics.committed() == 1000, lambda: f"{topics.committed()} committed; {server.log()[-3000:]}")
            wait_until(lambda: server.get("/readyz").status == 200, "ready again")
            assert server.stop() == 0
        assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()), repeats=1000)


def test_a_fenced_member_starts_anew_and_a_war_of_members_ends(tmp_path):
    """Fenced once: a new session. Again and again: another process has the name, so this one leaves with a clear message."""
    with Mock() as mock:
        topics = Topics(mock, partitions=1)
        settings = topics.settings(**{"kafka.group.instance.id": "till-1", "kafka.heartbeat.interval.ms": "200"})
        with Server(tmp_path, settings) as server:
            mock.say("error 12 82 1")
            wait_until(lambda: server.metric("assay_kafka_restarts_total") == 1, lambda: server.log()[-3000:])
            mock.say("error 12 82 100")
            wait_until(lambda: server.process.poll() is not None, lambda: server.log()[-3000:], 120)
            assert server.process.returncode == 1
            assert "the same kafka.group.instance.id" in server.events("server.failed")[0]["reason"]


def test_a_run_of_bad_records_stops_the_stream(mock, tmp_path):
    topics = Topics(mock, partitions=1)
    topics.send_records(tmp_path, [{"key": "k", "value": "no transaction"}] * 30)
    with Server(tmp_path, topics.settings(**{"stream.bad_run": 20, "stream.chunk": 5})) as server:
        wait_until(lambda: b"could not be scored" in server.get("/readyz").body, lambda: server.get("/readyz").body)
        assert server.get("/readyz").status == 503
        assert server.metric("assay_kafka_stopped") == 1
        assert server.stop() == 0
    assert 20 <= len(topics.dead_letters()) < 30
    assert topics.committed() == len(topics.dead_letters())


def test_a_run_is_counted_in_the_order_of_the_records(mock, tmp_path):
    """Good records of the same chunk, before and behind the run, do not hide it."""
    topics, good = Topics(mock, partitions=1), [{"key": "k", "value": line.rstrip("\n")} for line in lines_of(2, seed=16)]
    bad = [{"key": "k", "value": "no transaction"}] * 19
    topics.send_records(tmp_path, good + bad + good)
    with Server(tmp_path, topics.settings(**{"stream.bad_run": 20})) as server:
        finished(server, 23)
        assert server.get("/readyz").status == 200
        topics.send_records(tmp_path, good + bad + bad[:1] + good)
        wait_until(lambda: b"could not be scored" in server.get("/readyz").body, lambda: server.get("/readyz").body)
        assert server.stop() == 0


def test_a_drain_that_is_cut_ends_with_exit_code_1(tmp_path):
    with Mock() as mock:
        topics = Topics(mock, partitions=1)
        topics.send(write(tmp_path / "tx.jsonl", lines_of(10, seed=17)))
        mock.say("error 0 19 10000")
        with Server(tmp_path, topics.settings(drain_s=1)) as server:
            server.wait_metric("assay_kafka_unfinished", 10)
            assert server.stop() == 1
            assert server.events("kafka.unfinished")[0]["records"] == 10


# --- configuration

@pytest.mark.parametrize("name,value,said", [
    ("kafka.sokcet.nagle.disable", "true", "did you mean kafka.socket.nagle.disable?"),
    ("kafka.producer.linger.ms", "soon", "kafka.producer.linger.ms"),
    ("kafka.enable.auto.commit", "true", "cannot be set"),
    ("kafka.acks", "1", "always all"),
    ("kafka.transactional.id", "x", "cannot be set"),
    ("kafka.partition.assignment.strategy", "range,cooperative-sticky", "mixes"),
    ("stream.slots", 16, "stream.consumers times stream.chunk"),
    ("kafka.ssl.ca.location", "/no/such/file", "/no/such/file"),
])
def test_wrong_settings_stop_the_start(tmp_path, name, value, said):
    settings = {"stream.input": "a", "stream.output": "b", "stream.dead_letter": "c", "kafka.bootstrap.servers": "127.0.0.1:1",
                "kafka.security.protocol": "ssl" if "ssl" in name else "plaintext", name: value}
    server = Server(tmp_path, settings, ready=False)
    try:
        server.start()
        wait_until(lambda: server.process.poll() is not None, "it ends")
    except pytest.fail.Exception:
        pass  # it ended before it listened
    finally:
        server.__exit__()
    assert server.process.returncode == 1
    assert said in server.log()
