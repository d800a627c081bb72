"""Windows end to end: the training table against plain Python, nothing seen of the future, and the server as the table says."""

import csv
import io
import json
import random
import re
import time

import pytest

from kafka_support import SOURCE  # noqa: F401  (adds tests/kafka to the path)
from support import CARD_FRAUD, Server, run

import fdh

NDJSON = {"Content-Type": "application/x-ndjson"}
DAY = 86400

FEATURES = [
    ("amount", "amount", 0, 100), ("n_1h", "count(card, 1h)", 0, 10), ("sum_1d", "sum(amount, card, 1d)", 0, 500),
    ("ratio", "amount / mean(amount, card, 7d)", 0, 3), ("least", "min(amount, card, 1d)", 0, 50), ("most", "max(amount, card, all)", 0, 200),
    ("spread", "std(amount, card, 7d)", 0, 50), ("places", "distinct(terminal, card, 1d)", 0, 5), ("last", "last(amount, card, 1d)", 0, 100),
    ("pause", "since(card, 1d)", 0, 80000), ("age", "first_seen(card, 7d)", 0, 600000), ("large_1d", "count(card, 1d, where=amount > 50)", 0, 5),
    ("risk", "risk(terminal, 3d, delay=1d, prior=0.5)", 0, 1), ("risk_known", "risk(terminal, 3d, of=labelled)", 0, 1),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fdh.write_bundle(tmp_path_factory.mktemp("bundle"), FEATURES)


def history(n, seed, cards=20, terminals=8):
    """Transactions in order, with equal times among them, and labels that become known between minutes and days later, some
    of which are withdrawn."""
    draw, t, rows, labels = random.Random(seed), 1_600_000_000, [], []
    for i in range(n):
        t += draw.choice([0, 1, 60, 600, 3000])
        row = {"tx_id": i, "ts": t, "terminal_id": draw.randrange(terminals), "amount": round(draw.lognormvariate(3.5, 1), 2)}
        if draw.random() > 0.02:
            row["customer_id"] = draw.randrange(cards)
        rows.append(row)
        if draw.random() < 0.2:
            fraud = draw.random() < 0.6
            known = t + draw.randrange(2 * DAY)
            labels.append({"transaction_id": i, "fraud": fraud, "time": known})
            if draw.random() < 0.2:
                labels.append({"transaction_id": i, "fraud": not fraud, "time": known + draw.randrange(1, DAY)})
    draw.shuffle(labels)
    return rows, labels


def text(objects):
    return "".join(json.dumps(o, separators=(",", ":")) + "\n" for o in objects)


def table(bundle, rows, labels, folder):
    path = folder / f"labels-{time.monotonic_ns()}.jsonl"
    path.write_text(text(labels))
    result = run("features", "--bundle", bundle, "--labels", path, input=text(rows))
    assert result.code == 0, result
    return list(csv.reader(io.StringIO(result.out)))


def by_hand(rows, labels):
    """The same table, each window looked up in all that came before."""
    out = []
    for i, row in enumerate(rows):
        t, seen = row["ts"], rows[: i + 1]

        def within(key, span, delay=0):
            if key not in row:
                return None
            return [r for r in seen if r.get(key) == row[key] and t - delay - span < r["ts"] <= t - delay]

        def known(r):
            told = [(e["time"], e["fraud"]) for e in labels if e["transaction_id"] == r["tx_id"] and e["time"] <= t]
            return max(told)[1] if told else None

        day, week, ever, hour = (within("customer_id", s) for s in (DAY, 7 * DAY, 10 ** 10, 3600))
        if day is None:
            card = [None] * 11
        else:
            amounts = [r["amount"] for r in week]
            mean = sum(amounts) / len(amounts)
            before = [r for r in day if r is not row]
            std = (sum((a - mean) ** 2 for a in amounts) / (len(amounts) - 1)) ** 0.5 if len(amounts) > 1 else None
            card = [len(hour), sum(r["amount"] for r in day), row["amount"] / mean, min(r["amount"] for r in day),
                    max(r["amount"] for r in ever), std, len({r["terminal_id"] for r in day}), before[-1]["amount"] if before else None,
                    t - before[-1]["ts"] if before else None, t - week[0]["ts"], sum(r["amount"] > 50 for r in day)]
        late, now = within("terminal_id", 3 * DAY, DAY), within("terminal_id", 3 * DAY)
        told = [known(r) for r in now if known(r) is not None]
        risk = sum(known(r) is True for r in late) / len(late) if late else 0.5
        out.append([row["amount"], *card, risk, sum(told) / len(told) if told else 0])
    return out


def test_the_table_is_what_its_definition_says(bundle, tmp_path):
    rows, labels = history(1500, seed=1)
    heading, *got = table(bundle, rows, labels, tmp_path)
    assert heading == ["transaction_id", *(f[0] for f in FEATURES)]
    for row, values, want in zip(rows, got, by_hand(rows, labels), strict=True):
        assert values[0] == str(row["tx_id"])
        for name, value, wanted in zip(heading[1:], values[1:], want, strict=True):
            if wanted is None:
                assert value == "", (row, name, value)
            else:
                assert float(value) == pytest.approx(wanted, rel=1e-6, abs=1e-6), (row, name)


def test_labels_come_from_a_pipe_too(bundle, tmp_path):
    rows, labels = history(300, seed=7)
    (tmp_path / "history.jsonl").write_text(text(rows))
    as_csv = "\n\ntransaction_id,fraud,time\n" + "".join(f"{e['transaction_id']},{int(e['fraud'])},{e['time']}\n" for e in labels)
    for given in text(labels), as_csv:
        result = run("features", "--bundle", bundle, "--labels", "/dev/stdin", "--in", tmp_path / "history.jsonl", input=given)
        assert result.code == 0, result
        assert list(csv.reader(io.StringIO(result.out))) == table(bundle, rows, labels, tmp_path)


def test_no_row_sees_the_future(bundle, tmp_path):
    """Later transactions in another order, later labels shuffled among transactions: what came before stays as it was."""
    rows, labels = history(3000, seed=2)
    middle = rows[1500]["ts"]
    cut = next(i for i, r in enumerate(rows) if r["ts"] > middle)
    draw = random.Random(5)
    later = [dict(r) for r in rows[cut:]]
    times, ids = [r["ts"] for r in later], [r["tx_id"] for r in later]
    draw.shuffle(later)
    for r, t, id_ in zip(later, times, ids):
        r["ts"], r["tx_id"], r["amount"] = t, id_, r["amount"] + 1
    told_later = [dict(e) for e in labels if e["time"] > middle]
    for e in told_later:
        e["fraud"] = draw.random() < 0.5
        e["transaction_id"] = draw.randrange(len(rows))
    changed = table(bundle, rows[:cut] + later, [e for e in labels if e["time"] <= middle] + told_later, tmp_path)
    whole = table(bundle, rows, labels, tmp_path)
    assert whole[: cut + 1] == changed[: cut + 1]
    assert whole[cut + 1:] != changed[cut + 1:]
    assert table(bundle, rows[:cut], labels, tmp_path) == whole[: cut + 1]


def test_backtest_measures_what_it_scored_and_sees_no_future(bundle, tmp_path):
    rows, labels = history(3000, seed=3)
    for e in rows + labels:  # such ids need quotes in a table
        key = "tx_id" if "tx_id" in e else "transaction_id"
        e[key] = f'{e[key]},"'
    (tmp_path / "labels.jsonl").write_text(text(labels))
    plot, scores = tmp_path / "curves.svg", tmp_path / "scores.csv"
    options = ["backtest", "--bundle", bundle, "--labels", tmp_path / "labels.jsonl"]
    result = run(*options, "--json", "--plot", plot, "--scores", scores, input=text(rows))
    assert result.code == 0, result
    report = json.loads(result.out)
    truth = {}
    for e in sorted(labels, key=lambda e: e["time"]):
        truth[str(e["transaction_id"])] = e["fraud"]
    got = list(csv.DictReader(scores.open()))
    assert [r["transaction_id"] for r in got] == [str(r["tx_id"]) for r in rows]
    assert all((r["fraud"] == "1") == truth.get(r["transaction_id"], False) for r in got)
    frauds = [float(r["score"]) for r in got if r["fraud"] == "1"]
    honest = [float(r["score"]) for r in got if r["fraud"] == "0"]
    pairs = sum((f > h) + (f == h) / 2 for f in frauds for h in honest)
    assert report["auc"] == pytest.approx(pairs / len(frauds) / len(honest), rel=1e-9)
    assert (report["transactions"], report["frauds"], report["unlabelled"]) == (3000, len(frauds), 3000 - len(truth))
    at = next(a for a in report["thresholds"] if a["threshold"] == 0.6)
    assert at["alerts"] == sum(float(r["score"]) >= 0.6 for r in got)
    assert report["days"] == pytest.approx((rows[-1]["ts"] - rows[0]["ts"]) / DAY) and at["alerts_a_day"] == pytest.approx(at["alerts"] / report["days"])
    days = report["by_day"]
    assert [d["in_mean"] for d in days] == [rows[0]["ts"] % DAY <= DAY / 2, *[True] * (len(days) - 2), rows[-1]["ts"] % DAY >= DAY / 2]
    in_mean = [d["card_precision"] for d in days if d["in_mean"]]
    assert report["card_precision"] == pytest.approx(sum(in_mean) / len(in_mean))
    svg = plot.read_text()
    assert svg.startswith("<svg") and svg.count("<polyline") >= 4 and "nan" not in svg
    # A part is measured with the windows of the whole, and later labels change no score.
    middle = rows[1500]["ts"]
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle))
    part = run(*options, "--json", "--until", day, "--scores", tmp_path / "part.csv", input=text(rows))
    assert json.loads(part.out)["transactions"] == sum(r["ts"] < middle for r in rows)
    before = [(r["transaction_id"], r["score"]) for r, row in zip(got, rows) if row["ts"] < middle]
    (tmp_path / "labels.jsonl").write_text(text([{**e, "fraud": not e["fraud"]} if e["time"] >= middle else e for e in labels]))
    again = run(*options, "--json", "--until", day, "--scores", tmp_path / "other.csv", input=text(rows))
    assert again.code == 0, again
    for name in ("part.csv", "other.csv"):
        assert [(r["transaction_id"], r["score"]) for r in csv.DictReader((tmp_path / name).open())] == before, name


def test_backtest_prints_tables_and_refuses_what_is_wrong(bundle, tmp_path):
    rows, labels = history(500, seed=4)
    (tmp_path / "labels.csv").write_text("time,transaction_id,fraud\n" + "".join(
        f"{e['time']},{e['transaction_id']},{int(e['fraud'])}\n" for e in labels))
    result = run("backtest", "--bundle", bundle, "--labels", tmp_path / "labels.csv", input=text(rows) + "oops\n")
    assert result.code == 0 and "1 could not be scored and are left out" in result.out, result
    for heading in ("AUC ", "average precision", "card precision@100", "threshold    alerts", "at most a day", "share of frauds", "compromised"):
        assert heading in result.out, result
    short = [rows[0]["ts"] % DAY > DAY / 2, rows[-1]["ts"] % DAY < DAY / 2]
    days = result.out.splitlines()[-len({r["ts"] // DAY for r in rows}):]
    assert any(short) and [day.endswith(" *") for day in days] == [short[0], *[False] * (len(days) - 2), short[1]], result
    assert "the mean of the days below but those marked *, of which transactions cover less than half" in result.out, result
    for content, message in (("transaction_id,fraud\n1,1\n", "labels.csv:1: the heading has no column 'time'"),
                             ("transaction_id,fraud,time\n1,maybe,5\n", "labels.csv:2: fraud is 0, 1, true or false"),
                             ("transaction_id,fraud,time\n1,1,soon\n", "labels.csv:2: time is no number"),
                             ('{"transaction_id":1,"fraud":1,"time":5}\n', 'labels.csv:1: not a label: field "fraud"')):
        (tmp_path / "labels.csv").write_text(content)
        result = run("backtest", "--bundle", bundle, "--labels", tmp_path / "labels.csv", input=text(rows))
        assert result.code == 1 and message in result.err, result
    assert run("backtest", "--bundle", bundle, "--labels", tmp_path / "labels.csv", "--from", "May").code == 2
    assert run("backtest", "--bundle", bundle).code == 2


@pytest.mark.parametrize("command", ["features", "backtest"])
def test_a_past_that_is_not_the_one_meant_is_told(bundle, tmp_path, command):
    rows, labels = history(500, seed=9)
    file, late, unmet = tmp_path / "labels.jsonl", r"(\d+) of 500 transactions were late .*: sort the file by time", "belong to no transaction"
    file.write_text(text(labels))
    options = [command, "--bundle", bundle, "--labels", file]
    result = run(*options, input=text(rows))
    assert result.code == 0 and result.err == "", result
    result = run(*options, input=text(reversed(rows)))
    assert result.code == 0 and unmet not in result.err, result
    assert int(re.search(rf"assay {command}: {late}", result.err)[1]) > 250, result
    stray = [{**e, "transaction_id": "no such"} for e in labels[:7]]
    file.write_text(text(labels + stray))
    result = run(*options, input=text(rows))
    assert result.code == 0 and result.err == f"assay {command}: 7 of {len(labels) + 7} labels {unmet} of the file\n", result


@pytest.mark.parametrize("command", ["features", "backtest"])
def test_a_field_that_no_transaction_has_is_told(bundle, tmp_path, command):
    rows, labels = history(300, seed=11)
    (tmp_path / "labels.jsonl").write_text(text(labels))
    for row in rows[:-1]:
        row["card"] = row.pop("customer_id", None)
    options = [command, "--bundle", bundle, "--labels", tmp_path / "labels.jsonl"]
    rows[-1]["customer_id"] = 1
    assert run(*options, input=text(rows)).err == ""
    del rows[-1]["customer_id"]
    result = run(*options, input=text(rows))
    assert result.code == 0 and result.err == f"assay {command}: field 'card' (customer_id) was in none of 300 transactions\n", result


def test_backtest_refuses_to_measure_nothing(bundle, tmp_path):
    rows, labels = history(50, seed=10)
    (tmp_path / "labels.jsonl").write_text(text(labels))
    options = ["backtest", "--bundle", bundle, "--labels", tmp_path / "labels.jsonl"]
    result = run(*options, "--from", "2100-01-01", input=text(rows) + "oops\n")
    assert result.code == 1 and result.out == "", result
    assert "no transaction to measure: of 51 lines 50 lie outside --from and --until, 1 could not be scored, 0 have no label" in result.err, result
    (tmp_path / "labels.jsonl").write_text("")
    result = run(*options, "--labelled", input=text(rows))
    assert result.code == 1 and "50 have no label" in result.err, result


def test_a_line_that_is_no_transaction_is_left_out_of_the_table(bundle):
    result = run("features", "--bundle", bundle, input='{"tx_id":"a,\\"b","ts":5,"amount":1}\noops\n')
    assert result.code == 1 and "line 2: offset 0: not valid JSON" in result.err, result
    assert list(csv.reader(io.StringIO(result.out)))[1][:2] == ['a,"b', "1"]


def test_explain_says_what_is_kept(bundle):
    result = run("features", "explain", bundle)
    assert result.code == 0, result
    assert re.search(r"risk\(terminal, 3d, delay=1d, prior=0.5\)", result.out), result
    assert re.search(r"condition +amount > 50", result.out) and "state of a customer_id" not in result.out, result
    assert re.search(r"state of a card: \d+ windows", result.out) and re.search(r"a transaction +\d+ bytes", result.out), result
    assert "state: none" in run("features", "explain", fdh_without_windows(bundle)).out
    assert run("features", "explain", CARD_FRAUD).code == 0


def fdh_without_windows(bundle):
    return fdh.write_bundle(bundle.parents[1] / "plain")


def scored(bundle, rows):
    result = run("score", "--bundle", bundle, "--features", input=text(rows))
    assert result.code == 0, result
    return result.out.splitlines()


def test_the_server_gives_what_the_file_gives_and_counts_a_retry_once(bundle, tmp_path):
    rows, _ = history(600, seed=6)
    want = scored(bundle, rows)
    settings = {"bundle": str(bundle), "result.features": True, "http.threads": 1, "dedupe_s": 0, "state.dedupe_s": 31 * DAY}
    with Server(tmp_path, settings) as server:
        for row in rows[:3]:  # a trial leaves no trace, however often
            for _ in range(3):
                assert server.post("/v1/score?record=false", row).status == 200
        answer = server.post("/v1/score", text(rows), NDJSON)
        assert answer.body.decode().splitlines() == want
        # The table of answers is off: what comes again is recomputed as of its place, and counts once.
        again = server.post("/v1/score", text(rows[300:]), NDJSON)
        assert again.body.decode().splitlines() == want[300:]
        assert server.post("/v1/score?record=false", rows[10]).body.decode().strip() == want[10]
        assert server.metric("assay_state_applied_total", what="applied") == 600
        assert server.metric("assay_state_applied_total", what="repeat") == 300
        assert server.metric("assay_state_keys", key="card") == 20
        assert server.metric("assay_state_events", key="terminal") == 600
        assert server.metric("assay_state_bytes", kind="taken") > 0


def test_golden_rows_go_through_windows_in_order(bundle, tmp_path):
    rows, _ = history(200, seed=8)
    made = run("model", "golden", bundle, input=text(rows))
    assert "these rows span" in run("model", "golden", bundle, input=text(rows[:2])).err
    assert made.code == 0, made
    try:
        (bundle / "golden.jsonl").write_text(made.out)
        assert "200 golden rows, all to the bit" in run("verify", bundle).out
        (bundle / "golden.jsonl").write_text("".join(reversed(made.out.splitlines(keepends=True))))
        assert run("verify", bundle).code == 1
    finally:
        (bundle / "golden.jsonl").unlink()


def test_labels_over_http(bundle, tmp_path):
    now = int(time.time())
    row = {"ts": now, "terminal_id": 1, "customer_id": 2, "amount": 5}
    with Server(tmp_path, {"bundle": str(bundle), "result.features": True}) as server:
        def known_risk(id_, **more):
            return server.post("/v1/score", {"tx_id": id_, **row, **more}).json()["features"]["risk_known"]

        assert known_risk("a") == 0
        assert server.post("/v1/labels", {"transaction_id": "a", "fraud": True, "time": now}).json() == {"transaction_id": "a", "label": "applied"}
        assert known_risk("b") == 1
        answer = server.post("/v1/labels", [{"transaction_id": "b", "fraud": False, "time": now}, {"transaction_id": "a", "fraud": True, "time": now},
                                            {"fraud": True, "time": 5}, {"transaction_id": "later", "fraud": True, "time": now}])
        assert answer.status == 200
        outcomes = answer.json()
        assert [o.get("label") for o in outcomes] == ["applied", "repeated", None, "pending"]
        assert (outcomes[2]["reason"], outcomes[2]["field"], outcomes[2]["item"]) == ("missing", "transaction_id", 2)
        assert known_risk("c") == 0.5
        assert known_risk("later") == pytest.approx(2 / 3)
        lines = server.post("/v1/labels", text([{"transaction_id": "a", "fraud": False, "time": now}]) + "oops\n", NDJSON)
        assert [json.loads(line).get("label") for line in lines.body.splitlines()] == ["applied", None]
        assert known_risk("d") == pytest.approx(1 / 3)
        # A label is not seen before its time.
        assert server.post("/v1/labels", {"transaction_id": "d", "fraud": True, "time": now + 100}).json()["label"] == "applied"
        assert known_risk("e") == pytest.approx(1 / 3)
        assert known_risk("f", ts=now + 100) == 0.5
        for body, reason in (({"transaction_id": "a", "fraud": 1, "time": now}, "type"), ({"transaction_id": "a", "fraud": True}, "missing"),
                             ("[1,", "truncated"), ("", "empty"), ({"transaction_id": "a", "fraud": True, "time": "now"}, "type")):
            refused = server.post("/v1/labels", body)
            assert refused.status == 400 and refused.json()["reason"] == reason, (body, refused)
        assert server.post("/v1/labels?record=false", {"transaction_id": "a", "fraud": True, "time": now}).status == 400
        assert server.get("/v1/labels").status == 405
        assert server.metric("assay_labels_total", source="http", outcome="applied") == 4
        assert server.metric("assay_labels_total", source="http", outcome="rejected") == 6 - 2 + 1


def test_time_ahead_is_refused_and_time_behind_is_told(bundle, tmp_path):
    now = int(time.time())
    row = {"terminal_id": 1, "customer_id": 2, "amount": 5}
    with Server(tmp_path, {"bundle": str(bundle), "result.features": True, "state.disorder_s": 600, "state.future_s": 60}) as server:
        def score(id_, ts):
            return server.post("/v1/score", {"tx_id": id_, "ts": ts, **row})

        ahead = score("x", now + 3600)
        assert ahead.status == 400 and ahead.json()["reason"] == "future" and ahead.json()["field"] == "ts"
        assert score("a", now).json()["features"]["n_1h"] == 1  # the refused one left no trace, and may come again
        assert score("x", now).json()["features"]["n_1h"] == 2
        within, late = score("b", now - 300).json(), score("c", now - 30 * DAY).json()
        assert within["features"]["n_1h"] == 1 and within["state"] == "warming"
        assert late["features"]["n_1h"] == 1 and late["state"] == "late"
        assert score("a", now - 30 * DAY).json()["features"]["n_1h"] == 1  # a repeat, whatever time it claims now
        after = score("d", now).json()
        assert after["features"]["n_1h"] == 4  # the late one is in no window
        assert after["state"] == "warming"  # and nothing that was not taken in lengthens what is known
        for what, n in (("future", 1), ("disorder", 1), ("late", 1)):
            assert server.metric("assay_state_applied_total", what=what) == n, what


def test_state_is_complete_once_it_reaches_back_far_enough(bundle):
    rows = [{"tx_id": i, "ts": 1_600_000_000 + i * DAY, "terminal_id": 1, "customer_id": 1, "amount": 5} for i in range(10)]
    states = [json.loads(line)["state"] for line in scored(bundle, rows)]
    assert states == ["warming"] * 7 + ["complete"] * 3
