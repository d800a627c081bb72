"""Rows that go through the batcher: right answers in time, refusals at once, engines that stall, fail and heal.

The synthetic engine gives the CPU's scores after a time that it is told, so a wrong or mixed-up answer shows.
"""

import http.client
import json
import signal
import threading
import time

import pytest

from support import CARD_FRAUD, PATIENCE_S, Server, run, wait_until

HEADERS = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
PATIENT = {"http.slo_ms": 60000, "http.threads": 8}  # no deadline that a slow machine could miss
WINDOW = {"batch.policy": "window", "batch.window_us": 1000}  # lets everybody in, also where the engine is stuck


@pytest.fixture(scope="module")
def transactions(tmp_path_factory):
    """2,000 generated transactions, and what `assay score` makes of each by its id."""
    folder = tmp_path_factory.mktemp("transactions")
    made = run("gen", "--transactions", 2000, "--seed", 11)
    assert made.code == 0, made
    (folder / "in.jsonl").write_text(made.out)
    scored = run("score", "--bundle", CARD_FRAUD, "--in", folder / "in.jsonl", "--out", folder / "out.jsonl")
    assert scored.code == 0, scored
    return made.out.splitlines(), (folder / "out.jsonl").read_text().splitlines()


def post_all(server, documents, threads=8, headers=HEADERS):
    """Each document as a request of its own, from several connections; the answers in order: (status, body)."""
    answers = [None] * len(documents)
    failures = []

    def work(first):
        connection = server.connection()
        try:
            for i in range(first, len(documents), threads):
                connection.request("POST", "/v1/score", documents[i].encode(), headers)
                response = connection.getresponse()
                answers[i] = response.status, response.read().decode().rstrip("\n")
        except (OSError, http.client.HTTPException) as e:
            failures.append(e)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    return answers


def right_answers(server, transactions, count=500, threads=8):
    documents, records = transactions
    assert post_all(server, documents[:count], threads) == [(200, record) for record in records[:count]]


# --- the same answers, whatever the engine


@pytest.mark.parametrize("engine", ["synthetic:fixed_us=500,row_us=10,jitter=0.5,streams=3", "cpu*2", "cpu synthetic:gpu"])
def test_answers_are_those_of_assay_score(tmp_path, transactions, engine):
    with Server(tmp_path, {**PATIENT, "engine": engine}) as server:
        right_answers(server, transactions)
        assert server.metric("assay_engine_batched") == 1
        assert server.metric("assay_transactions_total", outcome="scored") == 500
        assert server.metric("assay_batch_wait_seconds_count", kind="caller") >= 500  # again where an engine was paused with it
        assert server.metric("assay_refused_total") == 0
        assert server.metric("assay_in_flight") == 0 and server.metric("assay_batch_waiting") == 0
        assert server.stop() == 0


def test_batches_form_while_the_engine_is_busy(tmp_path, transactions):
    documents, records = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=20000"}) as server:
        answer = server.post("/v1/score", "\n".join(documents), LINES)
        assert answer.status == 200 and answer.body.decode().splitlines() == records
        right_answers(server, transactions, 64, 16)
        metrics = server.metrics()
        batches = sum(v for (name, _), v in metrics.items() if name == "assay_engine_batch_seconds_count")
        assert 0 < batches < 1000


def test_the_cpu_can_be_made_to_batch_or_not(tmp_path, transactions):
    for mode, batched in ("inline", 0), ("batched", 1), ("auto", 0):
        with Server(tmp_path, {**PATIENT, "engine": "cpu", "batch.mode": mode}) as server:
            right_answers(server, transactions, 100)
            assert server.metric("assay_engine_batched") == batched
            assert (server.metric("assay_batch_wait_seconds_count") > 0) == bool(batched)
            assert server.stop() == 0


def test_the_policy_of_other_servers(tmp_path, transactions):
    settings = {**PATIENT, "engine": "synthetic:gpu", "batch.policy": "window", "batch.window_rows": 4, "batch.window_us": 2000}
    with Server(tmp_path, settings) as server:
        right_answers(server, transactions, 200)
        assert server.metric("assay_batch_size_bucket", le="4") == server.metric("assay_batch_size_count") > 0


def test_a_transaction_twice_in_one_body_is_scored_once(tmp_path, transactions):
    documents, records = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=5000"}) as server:
        answer = server.post("/v1/score", "\n".join([documents[0], documents[1], documents[0]]), LINES)
        assert answer.body.decode().splitlines() == [records[0], records[1], records[0]]
        assert server.metric("assay_transactions_total", outcome="repeated") == 1


def test_the_same_transaction_from_many_at_a_time_is_scored_once(tmp_path, transactions):
    documents, records = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=50000"}) as server:
        assert post_all(server, [documents[0]] * 16, threads=16) == [(200, records[0])] * 16
        assert server.metric("assay_transactions_total", outcome="scored") == 1
        assert server.metric("assay_transactions_total", outcome="repeated") == 15


# --- deadlines


def test_what_cannot_be_answered_in_time_is_refused_before_it_leaves_a_trace(tmp_path, transactions):
    documents, records = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=30000"}) as server:
        answer = server.post("/v1/score", documents[0], {"X-Deadline-Ms": "5"})
        assert answer.status == 429 and answer.headers["retry-after"] == "1"
        assert "X-Deadline-Ms" in answer.json()["detail"]
        assert server.metric("assay_refused_total", reason="busy") == 1
        assert server.metric("assay_batch_wait_seconds_count") == 0
        again = server.post("/v1/score", documents[0])
        assert again.status == 200 and again.body.decode() == records[0] + "\n"


@pytest.mark.parametrize("decision", ["approve", "review", "decline"])
def test_a_decision_can_stand_in_for_a_late_score(tmp_path, transactions, decision):
    documents, records = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=30000", "http.on_late": decision}) as server:
        answer = server.post("/v1/score", documents[0], {"X-Deadline-Ms": "5"})
        record = json.loads(records[0])
        assert answer.status == 200
        assert answer.json() == {**record, "score": None, "decision": decision, "reasons": [], "state": "fallback"}
        assert server.metric("assay_fallbacks_total", decision=decision) == 1
        assert server.metric("assay_transactions_total", outcome="refused") == 1
        again = server.post("/v1/score", documents[0])
        assert again.body.decode() == records[0] + "\n"


def test_each_of_many_is_refused_for_itself(tmp_path, transactions):
    documents, _ = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=30000"}) as server:
        answer = server.post("/v1/score", "[" + ",".join(documents[:3]) + "]", {"X-Deadline-Ms": "5"})
        assert answer.status == 200
        assert [(item["status"], item["item"]) for item in answer.json()] == [(429, 0), (429, 1), (429, 2)]


def test_a_repeat_of_what_is_under_way_has_a_deadline_of_its_own(tmp_path, transactions):
    documents, records = transactions
    stall = Trouble(tmp_path, "stall")
    with Server(tmp_path, {**PATIENT, "engine": f"synthetic:{stall.option}"}) as server:
        stall.begin()
        first = send(server, documents[0])
        server.wait_metric("assay_in_flight", 1, source="http")
        assert server.post("/v1/score", documents[0], {"X-Deadline-Ms": "100"}).status == 429
        stall.end()
        assert first.getresponse().read().decode() == records[0] + "\n"


def test_a_long_body_has_one_deadline(tmp_path, transactions):
    """Four groups of 64, each a batch of its own, and time for two."""
    documents, records = transactions
    with Server(tmp_path, {**PATIENT, "engine": "synthetic:fixed_us=200000"}) as server:
        answer = server.post("/v1/score", "\n".join(documents[:256]), {**LINES, "X-Deadline-Ms": "500"})
        lines = answer.body.decode().splitlines()
        assert len(lines) == 256 and all(json.loads(line)["status"] == 429 for line in lines[192:]), lines[192:194]
        assert all(line == record or json.loads(line)["status"] == 429 for line, record in zip(lines, records))


def test_the_log_holds_the_decision_that_the_caller_was_told(tmp_path, transactions):
    """Deadlines about as long as a row takes: some are scored, some get the fallback, some after the engine was done."""
    documents, _ = transactions
    log = tmp_path / "decisions.jsonl"
    with Server(tmp_path, {"engine": "cpu", "batch.mode": "inline", "http.on_late": "review", "decision_log.file": str(log)}) as server:
        told = {}
        for i, document in enumerate(documents[:400]):
            answer = server.post("/v1/score", document, {"X-Deadline-Ms": str(0.002 * (1 + i % 40))}).json()
            told[answer["transaction_id"]] = answer["decision"], answer["score"], answer["state"] == "fallback"
        assert server.stop() == 0
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["transaction_id"]: (line["decision"], line["score"], line.get("state") == "fallback") for line in logged} == told
    assert len(logged) == 400 and any(fallback for _, _, fallback in told.values())


@pytest.mark.parametrize("value", ["0", "-1", "x", "1x", "", "nan", "inf"])
def test_a_deadline_that_is_none_is_an_error(tmp_path_factory, transactions, value):
    with Server(tmp_path_factory.mktemp("deadline")) as server:
        answer = server.post("/v1/score", transactions[0][0], {"X-Deadline-Ms": value})
        assert answer.status == 400 and "X-Deadline-Ms" in answer.json()["detail"], answer


class Trouble:
    """A file that makes a synthetic engine stall, or fail, for as long as it is there."""

    def __init__(self, folder, kind, number=0):
        self.path = folder / f"{kind}-{number}"
        self.option = f"{kind}_file={self.path}"

    def begin(self):
        self.path.touch()

    def end(self):
        self.path.unlink()


def in_background(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def send(server, document, deadline_ms=60000):
    """Sends a transaction on a connection of its own, whose answer may be fetched later."""
    connection = server.connection()
    connection.request("POST", "/v1/score", document.encode(), {**HEADERS, "X-Deadline-Ms": str(deadline_ms)})
    return connection


def test_who_has_gone_is_not_scored(tmp_path, transactions):
    """Three wait for a fourth to fill their batch, and leave before it comes."""
    documents, records = transactions
    window = {"batch.policy": "window", "batch.window_rows": 4, "batch.window_us": 10000000}
    with Server(tmp_path, {**PATIENT, **window, "engine": "synthetic"}) as server:
        callers = [send(server, document) for document in documents[:3]]
        server.wait_metric("assay_batch_waiting", 3)
        for caller in callers:
            caller.close()
        assert server.post("/v1/score", documents[5]).body.decode() == records[5] + "\n"
        server.wait_metric("assay_refused_total", 3, reason="gone")
        assert server.metric("assay_transactions_total") == 4
        assert server.metric("assay_in_flight") == 0
        assert server.stop() == 0


# --- engines in trouble


def test_callers_of_a_stuck_batch_are_answered_at_their_deadline(tmp_path, transactions):
    documents, records = transactions
    stall = Trouble(tmp_path, "stall")
    with Server(tmp_path, {**PATIENT, "engine": f"synthetic:{stall.option}", "drain_s": 1}) as server:
        stall.begin()
        answer = server.post("/v1/score", documents[0], {"X-Deadline-Ms": "300"})
        assert answer.status == 429, answer
        assert server.metric("assay_refused_total", reason="late") == 1
        assert server.metric("assay_engine_health", engine="0") == 1
        again = server.post("/v1/score", documents[1], {"X-Deadline-Ms": "50"})  # it may well go on for as long again
        assert again.status == 429 and again.headers["retry-after"] == "1"
        assert server.metric("assay_refused_total", reason="busy") == 1
        assert server.metric("assay_in_flight") == 0
        stall.end()
        wait_until(lambda: server.metric("assay_engine_health", engine="0") == 0, "it does not heal")
        right_answers(server, transactions, 100)


def test_many_callers_and_a_stuck_batch(tmp_path, transactions):
    """Each is answered by its own deadline, in whatever order they came; then all slots are free again."""
    documents, records = transactions
    stall = Trouble(tmp_path, "stall")
    settings = {**PATIENT, "engine": f"synthetic:streams=2,{stall.option}", "http.slots": 64, "http.on_late": "review"}
    with Server(tmp_path, settings) as server:
        for _ in range(3):
            stall.begin()
            callers = [send(server, document, 400 - 5 * i) for i, document in enumerate(documents[:32])]
            decisions = [json.loads(caller.getresponse().read())["decision"] for caller in callers]
            assert decisions == ["review"] * 32
            stall.end()
            wait_until(lambda: server.metric("assay_engine_batches_in_flight") == 0, "the engine does not let go")
            right_answers(server, transactions, 200)
            documents, records = documents[200:], records[200:]
            transactions = documents, records


def test_a_stuck_engine_is_gone_round_and_taken_back(tmp_path, transactions):
    documents, _ = transactions
    stall = Trouble(tmp_path, "stall")
    engines = f"synthetic:{stall.option} synthetic:fixed_us=2000"
    with Server(tmp_path, {**PATIENT, "engine": engines, "dedupe_s": 0}) as server:
        stall.begin()
        right_answers(server, transactions)
        assert server.metric("assay_engine_health", engine="0") == 1
        stall.end()
        wait_until(lambda: right_answers(server, transactions, 16) or server.metric("assay_engine_health", engine="0") == 0,
                   "it is not taken back")
        assert server.metric("assay_refused_total") == 0  # the stuck batch's own rows went elsewhere, too


def test_the_rows_of_a_failed_batch_go_elsewhere(tmp_path, transactions):
    fail = Trouble(tmp_path, "fail")
    engines = f"synthetic:{fail.option} synthetic:fixed_us=2000"
    with Server(tmp_path, {**PATIENT, "engine": engines, "dedupe_s": 0}) as server:
        fail.begin()
        right_answers(server, transactions)
        assert server.metric("assay_engine_failures_total") > 0
        assert server.metric("assay_engine_health", engine="0") == 2
        fail.end()
        wait_until(lambda: right_answers(server, transactions, 16) or server.metric("assay_engine_health", engine="0") == 0,
                   "it is not taken back")
        assert server.metric("assay_refused_total") == 0
        assert server.metric("assay_transactions_total", outcome="failed") == 0


def test_with_no_engine_that_works_callers_are_told_so(tmp_path, transactions):
    documents, records = transactions
    fail = Trouble(tmp_path, "fail")
    with Server(tmp_path, {**PATIENT, "engine": f"synthetic:{fail.option}"}) as server:
        fail.begin()
        answer = server.post("/v1/score", documents[0])
        assert answer.status == 503 and "no engine works" in answer.json()["detail"]
        fail.end()
        answer = wait_until(lambda: (a := server.post("/v1/score", documents[0])).status == 200 and a, "it does not heal")
        assert answer.body.decode() == records[0] + "\n"


# --- the end


def test_what_waits_is_answered_before_the_end(tmp_path, transactions):
    documents, records = transactions
    stall = Trouble(tmp_path, "stall")
    with Server(tmp_path, {**PATIENT, **WINDOW, "engine": f"synthetic:batch_max=8,{stall.option}", "drain_s": PATIENCE_S}) as server:
        stall.begin()
        callers = [send(server, document) for document in documents[:24]]
        server.wait_metric("assay_in_flight", 24, source="http")
        server.send_signal(signal.SIGTERM)
        stall.end()
        assert [caller.getresponse().read().decode() for caller in callers] == [record + "\n" for record in records[:24]]
        assert server.stop() == 0


def test_the_end_does_not_wait_for_an_engine_for_ever(tmp_path, transactions):
    documents, _ = transactions
    stall = Trouble(tmp_path, "stall")
    with Server(tmp_path, {**PATIENT, **WINDOW, "engine": f"synthetic:{stall.option}", "drain_s": 1}) as server:
        stall.begin()
        callers = [send(server, document) for document in documents[:8]]
        server.wait_metric("assay_in_flight", 8, source="http")
        server.send_signal(signal.SIGTERM)
        for caller in callers:
            answer = caller.getresponse()
            assert answer.status == 503 and b"ending" in answer.read()
        assert server.stop() == 1
        assert server.events("http.cut") and server.events("engine.stuck")


# --- settings


@pytest.mark.parametrize("engine, message", [
    ("gpu", "gpu"), ("cpu*0", "cpu*"), ("cpu*x", "cpu*"), ("cpu*17", "at most 16"), ("synthetic:speed=1", "speed=1"), (" ", "none is named"),
    ("cpu:threads=2", "threads=2")])
def test_an_engine_that_there_is_not_is_named(tmp_path, engine, message):
    result = run("serve", "--set", f"bundle={CARD_FRAUD}", "--set", f"engine={engine}")
    assert result.code in (1, 2) and message in result.err, result


def test_inline_needs_an_engine_that_answers_at_once(tmp_path):
    result = run("serve", "--set", f"bundle={CARD_FRAUD}", "--set", "engine=synthetic:gpu", "--set", "batch.mode=inline")
    assert result.code == 1 and "batch.mode: inline" in result.err and "synthetic" in result.err
