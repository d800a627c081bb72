"""Transactions from Kafka to Kafka: the mock broker for faults on demand, a real Apache Kafka for what has to be proved."""

import json
import random
import signal
import subprocess
import time

import pytest

from kafka_support import TOOL, Ledger, Mock, Topics, expect, header, real_broker
from support import CARD_FRAUD, SHARED, Server, run, wait_until

import fdh  # from tests/kafka, whose path kafka_support adds


@pytest.fixture(scope="module")
def mock():
    with Mock() as broker:
        yield broker


@pytest.fixture(scope="module")
def broker():
    with real_broker() as broker:
        yield broker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fdh.write_bundle(tmp_path_factory.mktemp("bundle"))


def lines_of(n, seed=1):
    """n generated transactions for the card-fraud bundle, as lines."""
    result = run("gen", "--transactions", n, "--seed", seed)
    assert result.code == 0, result
    return result.out.splitlines(keepends=True)


def write(path, lines):
    path.write_text("".join(lines))
    return path


def finished(server, n):
    """Waits until n records are delivered, as results or dead letters."""
    wait_until(lambda: server.metric("assay_kafka_delivered_total") >= n,
               lambda: f"{server.metric('assay_kafka_delivered_total')} of {n} delivered; {server.log()[-3000:]}", 180)


def assert_whole(ledger, repeats=0):
    assert ledger.missing == [] and ledger.wrong == [] and ledger.foreign == [] and ledger.reordered == [], str(ledger)
    assert ledger.repeated <= repeats, str(ledger)


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


def test_garbage_is_dead_lettered_and_good_records_between_it_are_scored(mock, tmp_path):
    """Mutated documents: every one is either a result or a dead letter with a reason, the good ones are all scored."""
    topics, good, draw = Topics(mock, partitions=2), lines_of(2000, seed=3), random.Random(3)
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
        finished(server, len(records))
        assert server.stop() == 0
    results, dead = topics.results(), topics.dead_letters()
    assert len(results) + len(dead) == len(records)
    assert all(header(letter, "assay-reason") for letter in dead) and len(dead) > 500
    values = {r["value"] for r in results}
    assert {value for _, value in expect(CARD_FRAUD, good).values()} <= values


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
            assert server.stop() == 0
            assert time.monotonic() - start < 30
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


# --- a real broker

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
