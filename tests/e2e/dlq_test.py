"""assay dlq: dead letters listed, shown and sent back; card numbers in them masked where that is wanted."""

import json

import pytest

from kafka_support import Ledger, Mock, Topics, assert_whole, expect, finished, header, lines_of, write
from support import CARD_FRAUD, Server, run


@pytest.fixture(scope="module")
def mock():
    with Mock() as broker:
        yield broker


@pytest.fixture(scope="module")
def buried(mock, tmp_path_factory):
    """Topics with three dead letters in them: missing, syntax, empty."""
    folder, topics = tmp_path_factory.mktemp("buried"), Topics(mock, partitions=1)
    one = json.loads(lines_of(1, seed=31)[0])
    topics.send_records(folder, [
        {"key": "k0", "value": json.dumps({k: v for k, v in one.items() if k != "amount"}), "headers": [["traceparent", "00-1"]]},
        {"key": "k1", "value": "not \u001b[31mJSON"}, {"key": "k2", "value": None}])
    with Server(folder, topics.settings()) as server:
        finished(server, 3)
        assert server.stop() == 0
    return topics, {**one, "amount": None}


def dlq(topics, *args, **more):
    pairs = [part for name, value in topics.settings(**more).items() for part in ("--set", f"{name}={value}")]
    return run("dlq", *args, *pairs)


def test_list_tells_place_reason_and_source_and_counts(buried):
    topics, _ = buried
    result = dlq(topics, "list")
    lines = result.out.splitlines()
    assert result.code == 0 and len(lines) == 4, result
    assert [line.split()[0] for line in lines[:3]] == ["0/0", "0/1", "0/2"]
    assert [line.split()[2] for line in lines[:3]] == ["missing", "syntax", "empty"]
    assert [line.split()[3] for line in lines[:3]] == [f"{topics.input}/0/{i}" for i in range(3)]
    assert 'field "amount"' in lines[0]
    assert lines[3] == "3 dead letters: 1 missing, 1 syntax, 1 empty"
    assert dlq(topics, "list", "--reason", "syntax").out.splitlines()[-1] == "1 dead letters: 1 syntax"
    found = [json.loads(line) for line in dlq(topics, "list", "--json", "--limit", "2").out.splitlines()]
    assert [(f["place"], f["reason"], f["cut"]) for f in found] == [("0/0", "missing", False), ("0/1", "syntax", False)]


def test_show_prints_one_whole_and_nothing_that_steers_a_terminal(buried):
    topics, _ = buried
    result = dlq(topics, "show", "0/0")
    assert result.code == 0 and "header     traceparent: 00-1" in result.out and "header     assay-reason: missing" in result.out, result
    result = dlq(topics, "show", "0/1")
    assert "key        k1" in result.out and r"not \x1b[31mJSON" in result.out and "\x1b" not in result.out, result
    assert dlq(topics, "show", "0/1", "--value").out == "not \x1b[31mJSON"
    assert "a tombstone" in dlq(topics, "show", "0/2").out


@pytest.mark.parametrize("args,code,said", [
    (("show",), 2, "which one?"), (("show", "7"), 2, "PARTITION/OFFSET"), (("show", "0/99"), 1, "0 of the 1 places"),
    (("show", "9/0"), 1, "none of number 9"), (("replay",), 2, "--all"), (("lst",), 2, "did you mean 'list'")])
def test_what_is_wrong_is_said(buried, args, code, said):
    result = dlq(buried[0], *args)
    assert result.code == code and said in result.err, result


def test_a_topic_that_is_not_there_is_said(mock):
    topics = Topics(mock, make=False)
    mock.say(f"topic_error {topics.dead} 3")
    result = dlq(topics, "list")
    assert result.code == 1 and topics.dead in result.err, result
    result = run("dlq", "list")
    assert result.code == 1 and "stream.dead_letter is not set" in result.err, result


def test_brokers_that_do_not_answer_are_said(tmp_path):
    settings = ["--set", f"bundle={CARD_FRAUD}", "--set", "stream.input=a", "--set", "stream.output=b", "--set", "stream.dead_letter=c",
                "--set", "kafka.bootstrap.servers=127.0.0.1:1"]
    result = run("dlq", "list", *settings)
    assert result.code == 1 and "no broker answered" in result.err and "127.0.0.1:1" in result.err and "refused" in result.err, result


def test_replay_sends_back_what_was_and_it_is_scored_once_the_cause_is_mended(mock, tmp_path):
    topics, good = Topics(mock, partitions=2), lines_of(50, seed=32)
    topics.send_records(tmp_path, [{"key": json.loads(line)["customer_id"], "value": line.rstrip("\n").replace('"amount"', '"sum"'),
                                    "headers": [["traceparent", f"00-{i}"]]} for i, line in enumerate(good)])
    topics.send_records(tmp_path, [{"key": "k", "value": "hopeless"}])
    with Server(tmp_path, topics.settings()) as server:
        finished(server, 51)
        assert server.stop() == 0
    assert len(topics.dead_letters()) == 51 and topics.results() == []
    # The cause: a field was renamed. A bundle that knows it mends it.
    bundle = tmp_path / "mended"
    bundle.mkdir()
    for path in CARD_FRAUD.iterdir():
        if path.is_file() and path.name != "golden.jsonl":
            (bundle / path.name).write_bytes(path.read_bytes())
    text = (bundle / "bundle.yaml").read_text()
    assert "amount:" in text
    (bundle / "bundle.yaml").write_text(text.replace("  amount: {", "  amount: {field: sum, ", 1).replace("  amount:       {", "  amount:       {field: sum, ", 1))
    dry = dlq(topics, "replay", "--reason", "missing", "--dry-run")
    assert dry.code == 0 and dry.out == f"50 records would be sent to {topics.input}, 0 left out\n", dry
    sent = dlq(topics, "replay", "--reason", "missing")
    assert sent.code == 0 and sent.out == f"50 records sent to {topics.input}, 0 left out\n", sent
    with Server(tmp_path, topics.settings(bundle=str(bundle))) as server:
        finished(server, 50)
        assert server.stop() == 0
    lines = [line.replace('"amount"', '"sum"') for line in good]
    results = topics.results()
    assert_whole(Ledger(expect(bundle, lines)).read(results))
    assert sorted(header(r, "traceparent") for r in results) == sorted(f"00-{i}" for i in range(50))
    assert all(header(r, "assay-reason") is None for r in results)


def test_card_numbers_are_masked_where_wanted_and_such_letters_stay(mock, tmp_path):
    topics = Topics(mock, partitions=1)
    topics.send_records(tmp_path, [{"key": "4111111111111111", "value": '{"pan":"5500 0055 5555 5559"}'}, {"key": "k", "value": '{"n":1}'}])
    with Server(tmp_path, topics.settings(**{"stream.dead_letter_mask": "cards"})) as server:
        finished(server, 2)
        assert server.stop() == 0
    masked, plain = topics.dead_letters()
    assert masked["key"] == "411111******1111" and masked["value"] == '{"pan":"5500 00** **** 5559"}'
    assert header(masked, "assay-masked") == "2" and header(plain, "assay-masked") is None and plain["value"] == '{"n":1}'
    result = dlq(topics, "replay", "--all")
    assert result.code == 0 and "1 records sent" in result.out and "0/0 is left out: card numbers in it were masked" in result.err, result
