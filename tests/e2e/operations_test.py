"""What an operator relies on: the example settings, metrics, log lines, signals, exit codes."""

import json
import re
import signal
import subprocess

from support import CARD_FRAUD, SOURCE, Server, metric_value, needs_program, parse_metrics, run

COUNT = 200


def transactions(*options):
    result = run("gen", "--transactions", COUNT, *options)
    assert result.code == 0, result
    return result.out


def test_the_example_settings_are_right_and_commented_ones_too(tmp_path):
    example = SOURCE / "config/assay.yaml"
    result = run("config", "check", "--config", example)
    assert result.code == 0 and re.search(r"^bundle: card-fraud version \d", result.out, re.M), result
    # With the comment signs before settings taken away it must be right as well, but for the secret's file.
    text = re.sub(r"^(  )# (?=[a-z_.]+: )", r"\1", example.read_text(), flags=re.M)
    text = text.replace("bundles/card-fraud", str(CARD_FRAUD)).replace("file:/run/secrets/kafka-password", "secret")
    everything = tmp_path / "assay.yaml"
    everything.write_text(text)
    result = run("config", "show", "--config", everything)
    assert result.code == 0 and '  input: "transactions"' in result.out and "  bootstrap.servers: " in result.out, result


def test_metrics_add_up_and_promtool_accepts_them(tmp_path):
    document = transactions("--seed", 3)
    with Server(tmp_path) as server:
        answer = server.post("/v1/score", document, {"Content-Type": "application/x-ndjson"})
        assert answer.status == 200, answer
        records = [json.loads(line) for line in answer.body.splitlines()]
        assert len(records) == COUNT
        assert server.post("/v1/score", "{}").status == 400
        server.wait_metric("assay_transactions_total", COUNT, source="http", outcome="scored")
        response = server.get("/metrics")
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = response.body.decode()
        metrics = parse_metrics(text)
        assert metric_value(metrics, "assay_transactions_total", source="http", outcome="scored") == COUNT
        assert metric_value(metrics, "assay_decode_faults_total", reason="missing") == 1
        for decision in ("approve", "review", "decline"):
            expected = sum(r["decision"] == decision for r in records)
            assert metric_value(metrics, "assay_decisions_total", decision=decision) == expected
        assert metric_value(metrics, "assay_transaction_seconds_count", source="http") >= COUNT
        for stage in ("decode", "features", "score", "decide"):
            assert metric_value(metrics, "assay_stage_seconds_count", stage=stage) >= COUNT
        assert metric_value(metrics, "assay_batch_size_sum") == COUNT
        assert metric_value(metrics, "assay_in_flight") == 0
        assert metric_value(metrics, "assay_bytes_total", source="http", direction="in") >= len(document)
        assert metric_value(metrics, "assay_model_info", name=records[0]["model"], version=records[0]["version"]) == 1
        assert metric_value(metrics, "process_open_fds") > 3
        check = subprocess.run([needs_program("promtool"), "check", "metrics"], input=text.encode(), capture_output=True)
        assert check.returncode == 0 and check.stderr == b"", check.stderr.decode() + check.stdout.decode()


def test_buckets_are_cumulative_and_agree_with_the_count(tmp_path):
    with Server(tmp_path) as server:
        server.post("/v1/score", transactions(), {"Content-Type": "application/x-ndjson"})
        metrics = server.metrics()
    series = {}
    for (name, labels), value in metrics.items():
        if name.endswith("_bucket"):
            rest = frozenset(pair for pair in labels if pair[0] != "le")
            series.setdefault((name, rest), []).append((float(dict(labels)["le"]), value))
    assert len(series) > 5
    for (name, rest), buckets in series.items():
        counts = [count for _, count in sorted(buckets)]
        assert counts == sorted(counts)
        assert counts[-1] == metrics[(name.removesuffix("_bucket") + "_count", rest)]


def test_log_lines_are_json_and_never_one_a_transaction(tmp_path):
    with Server(tmp_path, {"log.level": "debug"}) as server:
        for _ in range(20):
            server.post("/v1/score", transactions("--seed", 5), {"Content-Type": "application/x-ndjson"})
        assert server.stop() == 0
        lines = server.log().splitlines()
        assert all(isinstance(json.loads(line), dict) for line in lines)
        assert len(lines) < 30
        names = [event["event"] for event in server.events()]
        assert names.index("bundle.loaded") < names.index("http.listening") < names.index("server.stopping")
        assert names[-1] == "server.stopped" and server.events("server.stopped")[0]["exit_code"] == 0


def test_logfmt_is_the_default(tmp_path):
    with Server(tmp_path, {"http.listen": f"unix:{tmp_path}/s", "log.format": "logfmt"}, ready=False) as server:
        server.stop()
        assert re.search(r"^time=\S+Z level=info event=server.stopped exit_code=0$", server.log(), re.M), server.log()


def test_both_signals_end_it(tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server(tmp_path) as server:
            assert server.stop(number) == 0


def test_settings_come_from_all_places_and_the_last_wins(tmp_path):
    with Server(tmp_path, {"http.threads": 3, "dedupe_s": 1}, env={"ASSAY_HTTP_THREADS": "2", "ASSAY_DEDUPE_S": "2"},
                args=["--set", "http.threads=1"]) as server:
        assert server.events("http.listening")[0]["threads"] == 1


def test_what_can_not_be_served_fails_with_a_message(tmp_path):
    for options, code, message in (
            ([], 1, "no bundle"),
            (["--set", "bundle=/nonexistent"], 1, "/nonexistent"),
            (["--set", f"bundle={CARD_FRAUD}", "--set", "http.listen=nonsense"], 1, "nonsense"),
            (["--set", f"bundle={CARD_FRAUD}", "--set", "http.threds=1"], 2, "did you mean 'http.threads'?"),
            (["--config", "/nonexistent.yaml"], 1, "/nonexistent.yaml"),
            (["surplus"], 2, "unexpected argument 'surplus'")):
        result = run("serve", *options)
        said = [line for line in result.err.splitlines() if not line.startswith("time=")]
        assert result.code == code and message in result.err and len(said) <= 3, (options, result)


def test_a_decision_log_that_cannot_be_written_is_told_once_and_not_with_every_try(tmp_path):
    with Server(tmp_path, {"decision_log.file": "/dev/full", "decision_log.full": "drop"}) as server:
        for i, line in enumerate(transactions().splitlines()[:10]):
            server.post("/v1/score", line)
            server.wait_metric("assay_decision_log_failures_total", i + 1)
        assert len(server.events("decision_log.failed")) == 1
        assert "No space left" in server.events("decision_log.failed")[0]["reason"]
        assert server.stop() == 0
