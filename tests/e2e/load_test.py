"""`assay load`: what it counts is what the server saw, every request falls where it belongs, and a stall shows from the
intended moment."""

import csv
import json
import selectors
import signal
import socket
import subprocess
import threading
import time
from xml.etree import ElementTree

import pytest

from kafka_support import Mock, Topics, lines_of
from support import ASSAY, PATIENCE_S, Server, environment, free_port, run

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"


class Double:
    """A server in place of ours, one thread. answer(n, body): the n-th request's answer in bytes, after whatever it does
    meanwhile; None: none ever; b"": the connection is closed. Requests are kept as (head, body)."""

    def __init__(self, answer):
        self.answer, self.requests, self.stopping = answer, [], False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        selector, buffers = selectors.DefaultSelector(), {}
        selector.register(self.listener, selectors.EVENT_READ)
        while not self.stopping:
            for key, _ in selector.select(0.05):
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    selector.register(connection, selectors.EVENT_READ)
                    buffers[connection] = b""
                elif not self._take(key.fileobj, buffers):
                    selector.unregister(key.fileobj)
                    del buffers[key.fileobj]
                    key.fileobj.close()
        for connection in buffers:
            connection.close()
        self.listener.close()

    def _take(self, connection, buffers):
        try:
            data = connection.recv(1 << 20)
        except OSError:
            return False
        buffers[connection] += data
        head, separator, body = buffers[connection].partition(b"\r\n\r\n")
        if not data:
            return False
        if not separator or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return True
        buffers[connection] = b""
        self.requests.append((head.decode(), body))
        answer = self.answer(len(self.requests), body)
        if answer:
            connection.sendall(answer)
        return answer != b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(PATIENCE_S)


def load(*args, code=0):
    """Runs it with --json and returns the object."""
    result = run("load", "--json", *args, timeout=4 * PATIENCE_S)
    assert result.code == code, result
    return json.loads(result.out.splitlines()[-1]) if code == 0 else result


def requests(report, what):
    return report[what]["requests"]


def adds_up(report):
    parts = [report[what] for what in ("good", "late", "refused", "failed")]
    assert all(sum(part[unit] for part in parts) == report["due"][unit] for unit in ("requests", "transactions")), report
    return report


def test_its_counts_are_those_of_the_server(tmp_path):
    with Server(tmp_path, {"http.listen": "127.0.0.1:0"}) as server:
        one = adds_up(load("--rate", 2000, "--requests", 1000, "--seed", 11, "--pid", server.process.pid, server.url))
        assert requests(one, "good") == 1000 and one["statuses"] == {"200": 1000} and one["seed"] == 11, one
        assert one["latency_ms"]["count"] == 1000 and one["server_cpu_s_per_million"] > 0 and one["server_rss_last"] > 1e6, one
        assert server.metric("assay_transactions_total", source="http", outcome="scored") == 1000
        many = adds_up(load("--rate", 500, "--requests", 200, "--batch", "2-9", "--seed", 12, server.url + "/v1/score"))
        assert requests(many, "good") == 200 and 400 <= many["good"]["transactions"] <= 1800, many
        assert server.metric("assay_transactions_total", source="http", outcome="scored") == 1000 + many["good"]["transactions"]
        assert server.metric("assay_http_requests_total", code="200") >= 1200


def test_it_goes_through_a_unix_socket_with_headers_and_a_file(tmp_path):
    path = tmp_path / "socket"
    (tmp_path / "tx.jsonl").write_text("".join(lines_of(20, seed=5)))
    with Server(tmp_path, {"http.listen": f"unix:{path}"}, ready=False) as server:
        report = load("--closed", "--connections", 2, "--requests", 50, "--file", tmp_path / "tx.jsonl", "--header", "X-Request-Id: till", f"unix:{path}")
        assert requests(report, "good") == 50, report
        # The file is sent again from its top, and a repeated id is answered from memory.
        assert server.metric("assay_transactions_total", source="http", outcome="scored") == 20
        assert server.metric("assay_transactions_total", source="http", outcome="repeated") == 30


def test_bad_transactions_have_failed_with_the_servers_words(tmp_path):
    lines = lines_of(9, seed=5)
    (tmp_path / "tx.jsonl").write_text("".join([*lines, '{"tx_id":"x","ts":1700000000,"amount":"much"}\n']))
    with Server(tmp_path) as server:
        report = adds_up(load("--closed", "--requests", 10, "--file", tmp_path / "tx.jsonl", server.url))
        assert requests(report, "good") == 9 and requests(report, "failed") == 1 and report["statuses"]["400"] == 1, report
        assert report["first_failure"].startswith("400 {") and "amount" in report["first_failure"], report
        array = adds_up(load("--closed", "--requests", 1, "--batch", 10, "--file", tmp_path / "tx.jsonl", server.url))
        assert array["good"]["transactions"] == 9 and array["failed"]["transactions"] == 1, array


def test_a_stall_shows_from_the_moment_intended():
    """At 200/s a stall of 1 s is felt by a fifth of 1000 requests, up to a second each, though 4 connections alone were
    stuck in it. A tool that waits politely would show 4 slow ones."""

    def answer(n, body):
        if n == 400:
            time.sleep(1)
        return OK

    with Double(answer) as server:
        report = adds_up(load("--arrivals", "constant", "--rate", 200, "--requests", 1000, "--connections", 4, server.url))
        assert requests(report, "good") == 1000, report
        assert report["latency_ms"]["p99"] > 900 and report["latency_ms"]["p95"] > 650 and report["latency_ms"]["p90"] > 400, report
        assert report["waited"] > 150 and report["longest_wait_ms"] > 900 and report["deepest"] > 150, report


def test_every_request_falls_where_it_belongs():
    def answer(n, body):
        return BUSY if n % 10 == 0 else BROKEN if n % 10 == 1 else b"" if n % 100 == 52 else b"nonsense\r\n" if n % 100 == 53 else OK

    with Double(answer) as server:
        report = adds_up(load("--rate", 1000, "--requests", 500, server.url))
        assert requests(report, "refused") == 50 and requests(report, "failed") == 60 and requests(report, "good") == 390, report
        assert report["statuses"] == {"200": 390, "429": 50, "500": 50}, report
        assert report["refusal_ms"]["count"] == 50 and report["latency_ms"]["count"] == 390, report
        text = run("load", "--rate", 1000, "--requests", 500, server.url).out
        assert "50 other statuses, 5 connections lost, 5 answers that were no HTTP" in text and "500 oops" in text, text


def test_a_decision_in_place_of_a_score_is_a_refusal():
    fallback = b'{"transaction_id":"1","score":null,"decision":"review","state":"fallback"}'
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s'
    with Double(lambda n, body: whole % (len(fallback), fallback) if n % 4 == 0 else OK) as server:
        report = adds_up(load("--rate", 500, "--requests", 100, server.url))
        assert requests(report, "refused") == 25 and report["fallbacks"] == 25 and requests(report, "good") == 75, report
    array = b'[%s,{"transaction_id":"2","state":"complete"},{"type":"about:blank","status":429,"item":2},{"type":"about:blank","status":400,"item":3}]' % fallback
    with Double(lambda n, body: whole % (len(array), array)) as server:
        report = adds_up(load("--rate", 500, "--requests", 10, "--batch", 4, server.url))
        assert report["refused"]["transactions"] == 20 and report["failed"]["transactions"] == 10 and report["good"]["transactions"] == 10, report


def test_what_is_later_than_the_slo_is_late():
    with Double(lambda n, body: OK) as server:
        report = adds_up(load("--rate", 500, "--requests", 100, "--slo-ms", 0.001, server.url))
        assert requests(report, "late") == 100 and requests(report, "good") == 0, report
        assert all("X-Deadline-Ms: 0.001" in head for head, _ in server.requests)
        report = adds_up(load("--rate", 500, "--requests", 100, "--slo-ms", 60000, "--deadline-ms", 0, server.url))
        assert requests(report, "good") == 100 and "X-Deadline-Ms" not in server.requests[-1][0], report


def test_no_answer_in_time_has_failed_and_the_connection_is_made_anew():
    with Double(lambda n, body: None if n in (3, 7) else OK) as server:
        # Two connections wait for what never comes; the others go on, so that nothing else comes near the timeout.
        report = adds_up(load("--rate", 200, "--requests", 100, "--connections", 4, "--timeout-ms", 4000, server.url))
        assert requests(report, "failed") == 2 and requests(report, "good") == 98, report
        assert "within the timeout" in report["first_failure"], report


def test_what_nobody_waits_for_any_more_is_not_sent():
    with Double(lambda n, body: None) as server:
        # All are due at once: when the first has timed out, the others have too.
        report = adds_up(load("--rate", 100000, "--requests", 50, "--connections", 1, "--timeout-ms", 300, server.url))
        assert requests(report, "failed") == 50 and len(server.requests) < 50, report
        text = run("load", "--rate", 100000, "--requests", 20, "--connections", 1, "--timeout-ms", 300, server.url).out
        assert "never sent" in text, text


def test_the_same_seed_sends_the_same_transactions():
    with Double(lambda n, body: OK) as server:
        for _ in range(2):
            load("--rate", 2000, "--requests", 50, "--connections", 1, "--seed", 3, server.url)
        bodies = [body for _, body in server.requests]
        assert bodies[:50] == bodies[50:] and len(set(bodies)) == 50
        assert [json.loads(body)["tx_id"] for body in bodies[:2]] == ["3-0000000001", "3-0000000002"]


def test_timeline_and_plot_hold_the_run(tmp_path):
    with Double(lambda n, body: BUSY if n % 2 else OK) as server:
        report = load("--arrivals", "ramp", "--rate", 100, "--rate-to", 900, "--duration", 2, "--interval-ms", 250, "--timeline", tmp_path / "t.csv", "--svg",
                      tmp_path / "t.svg", server.url)
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert len(rows) == 8 and [row["seconds"] for row in rows[:2]] == ["0.000", "0.250"], rows
    for what in ("due", "good", "refused", "failed"):
        assert sum(float(row[what]) for row in rows) * 0.25 == pytest.approx(requests(report, what), rel=1e-4), what
    assert float(rows[-1]["due"]) > 3 * float(rows[0]["due"]), rows
    svg = ElementTree.parse(tmp_path / "t.svg").getroot()
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "Latency by percentile" in texts and "refused" in texts and "ramp" in " ".join(texts), texts


def test_recorded_times_are_replayed(tmp_path):
    (tmp_path / "times").write_text("".join(f"{i * 0.01:.3f}\n" for i in range(100)))
    with Double(lambda n, body: OK) as server:
        began = time.monotonic()
        report = load("--arrivals", "replay", "--times", tmp_path / "times", "--duration", 0, "--speed", 0.5, server.url)
        assert requests(report, "good") == 100 and time.monotonic() - began > 1.9, report
        assert report["scheduled_s"] == pytest.approx(1.98), report


def test_search_finds_a_rate_below_what_the_server_can_do():
    def answer(n, body):
        time.sleep(0.005)
        return OK

    with Double(answer) as server:
        result = run("load", "--search", "--slo-ms", 250, "--rate", 20, "--duration", 2, "--tolerance", 0.3, "--confirmations", 1, server.url, timeout=5 * PATIENCE_S)
        assert result.code == 0 and "confirming" in result.out, result
        rate = float(result.out.split("highest rate: ")[1].split(" ")[0])
        assert 20 <= rate < 240, result
        assert "1000 are wanted" in result.out, result  # of some hundred requests nobody knows 1 %


def test_search_over_many_requests_does_not_warn():
    with Double(lambda n, body: OK) as server:
        result = run("load", "--search", "--slo-ms", 1000, "--rate", 20, "--rate-max", 20, "--duration", 2, "--percentile", 50, "--confirmations", 1, server.url)
        assert result.code == 0 and "highest rate: 20.0" in result.out and "warning" not in result.out, result


def test_search_says_where_nothing_holds():
    with Double(lambda n, body: BUSY) as server:
        result = run("load", "--search", "--slo-ms", 5, "--rate", 8, "--duration", 0.5, server.url)
        assert result.code == 1 and "not even 1 requests a second hold the SLO" in result.err, result


def test_scenarios_say_what_their_rules_lack():
    with Double(lambda n, body: OK) as server:
        text = run("load", "--scenario", "single-stream", "--duration", 0.3, server.url).out
        assert "scenario single-stream: 90th percentile of latency: " in text and "not conforming: " in text and "s of the 600 s needed" in text, text
        assert "queries of the 24576 needed" in text, text
        text = run("load", "--scenario", "server", "--rate", 200, "--slo-ms", 60000, "--duration", 0.5, server.url).out
        assert "/s holds (100 % within 60000 ms)" in text and "queries of the 270336 needed" in text, text
        server.requests.clear()
        report = load("--scenario", "multi-stream", "--duration", 0.3, server.url)
        assert report["conforming"] is False and report["due"]["transactions"] == 8 * requests(report, "due"), report
        assert all(len(json.loads(body)) == 8 for _, body in server.requests)
        text = run("load", "--scenario", "offline", "--duration", 0.3, server.url).out
        assert "scenario offline: transactions a second: " in text, text


def test_through_kafka_results_are_matched_by_id(tmp_path):
    bad = '{"tx_id":"bad-1","ts":1700000000,"customer_id":"c","amount":"much"}\n'
    (tmp_path / "tx.jsonl").write_text("".join([*lines_of(60, seed=8), bad]))
    with Mock() as mock:
        topics = Topics(mock)
        with Server(tmp_path, topics.settings()) as server:
            through = ["--kafka", mock.bootstrap, "--topic", topics.input, "--output", topics.output, "--timeout-ms", 60000]
            report = adds_up(load(*through, "--rate", 500, "--requests", 400, "--seed", 21))
            assert requests(report, "good") == 400, report
            assert server.metric("assay_transactions_total", source="kafka", outcome="scored") == 400
            report = adds_up(load(*through, "--rate", 500, "--requests", 61, "--file", tmp_path / "tx.jsonl", "--dead-letter", topics.dead))
            assert requests(report, "good") == 60 and requests(report, "failed") == 1 and "dead-letter" in report["first_failure"], report


def test_without_anyone_there_it_says_so():
    port = free_port()
    result = run("load", "--duration", 1, f"http://127.0.0.1:{port}")
    assert result.code == 1 and "Connection refused; is the server running there?" in result.err, result
    result = run("load", "--kafka", f"127.0.0.1:{port}", "--topic", "a", "--output", "b", "--duration", 1)
    assert result.code == 1 and "is the broker there?" in result.err, result


@pytest.mark.parametrize("args, part", [
    (["--arrivals", "poison"], "did you mean 'poisson'?"),
    (["--arrivals", "replay"], "--times FILE go together"),
    (["--arrivals", "ramp"], "--rate-to"),
    (["--scenario", "sever"], "did you mean 'server'?"),
    (["--scenario", "server"], "needs --slo-ms"),
    (["--scenario", "offline", "--search", "--slo-ms", "5"], "no rate to search for"),
    (["--search"], "needs --slo-ms"),
    (["--batch", "5-2"], "1 to 65536"),
    (["--batch", "many"], "a range such as 1-64"),
    (["--duration", "0"], "would never end"),
    (["--kafka", "b:9092", "--topic", "a"], "--output"),
    (["--output", "a"], "need --kafka"),
    (["--kafka", "b:9092", "--topic", "a", "--output", "b", "--batch", "2"], "do not go with --kafka"),
])
def test_what_does_not_go_together_is_refused(args, part):
    result = run("load", *args)
    assert result.code == 2 and part in result.err, result


@pytest.mark.parametrize("args, part", [
    (["https://127.0.0.1"], "TLS is not spoken"),
    (["ftp://127.0.0.1"], "http://host:port/path"),
    (["http://127.0.0.1:99999"], "host:port"),
    (["--header", "nonsense", "http://127.0.0.1:1"], "'Name: value' is needed"),
    (["--file", "/nowhere.jsonl"], "/nowhere.jsonl"),
    (["--arrivals", "replay", "--times", "/nowhere"], "/nowhere"),
    (["--pid", "4194304", "--duration", "0.1", "URL"], "no process"),
])
def test_what_cannot_be_done_is_said(args, part):
    with Double(lambda n, body: OK) as server:
        result = run("load", *[server.url if arg == "URL" else arg for arg in args])
    assert result.code == 1 and part in result.err, result


def test_an_interrupt_ends_it_with_a_report():
    with Double(lambda n, body: OK) as server:
        process = subprocess.Popen([ASSAY, "load", "--rate", "100", "--duration", "3600", server.url], stdout=subprocess.PIPE, text=True, env=environment())
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0 and "  due " in out, out
