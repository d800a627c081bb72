"""Golden rows: made by `assay model golden`, checked by verify and at every load, refused by the first bit that differs."""

import json
import shutil

from support import CARD_FRAUD, run


def bundle(tmp_path, change=None):
    """A copy of the example bundle; change(rows) may alter its golden rows (parsed lines)."""
    copy = tmp_path / "card-fraud"
    shutil.copytree(CARD_FRAUD, copy)
    if change:
        rows = [json.loads(line) for line in (copy / "golden.jsonl").read_text().splitlines()]
        change(rows)
        (copy / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return copy


def test_the_example_bundle_verifies_on_every_engine(tmp_path):
    result = run("verify", CARD_FRAUD)
    assert result.code == 0, result
    engines = [line.split()[0] for line in result.out.splitlines() if "to the bit" in line]
    assert "reference" in engines and "cpu" in engines
    assert "30 golden rows" in result.out


def test_golden_writes_what_verify_accepts(tmp_path):
    copy = bundle(tmp_path)
    (copy / "golden.jsonl").unlink()
    assert "no golden.jsonl" in run("verify", copy).out
    made = run("model", "golden", copy, input=run("gen", "--transactions", "50", "--seed", "9").out)
    assert made.code == 0 and len(made.out.splitlines()) == 50, made
    (copy / "golden.jsonl").write_text(made.out)
    result = run("verify", copy)
    assert result.code == 0 and "50 golden rows" in result.out, result


def test_new_rows_are_written_whatever_the_old_ones_say(tmp_path):
    def change(rows):
        rows[0]["score"] /= 2

    made = run("model", "golden", bundle(tmp_path, change), input=run("gen", "--transactions", "5").out)
    assert made.code == 0 and len(made.out.splitlines()) == 5, made


def test_a_score_that_differs_in_its_last_digit_refuses_the_bundle_everywhere(tmp_path):
    def change(rows):
        text = repr(rows[4]["score"])
        rows[4]["score"] = float(text[:-1] + ("1" if text[-1] != "1" else "2"))

    copy = bundle(tmp_path, change)
    transaction = json.dumps(json.loads((copy / "golden.jsonl").read_text().splitlines()[0])["transaction"])
    for result in (run("verify", copy), run("score", "--bundle", copy, input=transaction), run("config", "check", "--set", f"bundle={copy}"),
                   run("serve", "--set", f"bundle={copy}", "--set", "http.listen=127.0.0.1:0")):
        assert result.code == 1, result
        assert "1 of 30 golden rows differ; line 5:" in result.err and "expected" in result.err, result


def test_a_damaged_golden_file_says_where(tmp_path):
    copy = bundle(tmp_path)
    with open(copy / "golden.jsonl", "a") as golden:
        golden.write('{"transaction":{}}\n')
    result = run("verify", copy)
    assert result.code == 1 and "golden.jsonl:31: not a golden row" in result.err, result


def test_golden_names_the_line_that_cannot_be_scored(tmp_path):
    result = run("model", "golden", CARD_FRAUD, input='{"tx_id":"a"}\n')
    assert result.code == 1 and "line 1 can't be scored" in result.err and '"ts"' in result.err, result


def test_a_golden_row_that_cannot_be_read_says_why_and_once(tmp_path):
    copy = bundle(tmp_path, lambda rows: rows[0]["transaction"].update(amount="x"))
    result = run("verify", copy)
    assert result.code == 1 and result.err.count("a number is needed") == 1 and 'field "amount"' in result.err, result
