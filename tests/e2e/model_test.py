"""assay model: show, predict, and what both do with files that are damaged or not what they seem."""

import json
import re
import struct
import subprocess
import sys

import pytest

from support import ASSAY, SOURCE, environment, run

FIXTURES = SOURCE / "tests/fixtures/golden"
PLAIN = FIXTURES / "xgb32-poisson"
NAMED = FIXTURES / "xgb32-names"  # features: amount, é "q", a,b, x=1

# The arrays that XGBoost writes with a type, and their types.
TYPED = {
    **dict.fromkeys(("left_children", "right_children", "parents", "split_indices", "categories", "categories_nodes"), "l"),
    **dict.fromkeys(("categories_segments", "categories_sizes"), "L"),
    **dict.fromkeys(("default_left", "split_type"), "U"),
    **dict.fromkeys(("split_conditions", "base_weights", "leaf_weights", "loss_changes", "sum_hessian", "weight_drop"), "d"),
}
PACK = {"l": ">i", "L": ">q", "U": ">B", "d": ">f"}


def ubj(value, key=None):
    """A document as XGBoost writes UBJ."""
    if isinstance(value, dict):
        return b"{" + b"".join(ubj(k)[1:] + ubj(v, k) for k, v in value.items()) + b"}"
    if isinstance(value, str):
        text = value.encode()
        return b"SL" + struct.pack(">q", len(text)) + text
    if isinstance(value, list):
        kind = TYPED.get(key)
        head = b"[" + (b"$" + kind.encode() if kind else b"") + b"#L" + struct.pack(">q", len(value))
        return head + b"".join(struct.pack(PACK[kind], v) if kind else ubj(v) for v in value)
    if isinstance(value, int):
        return b"i" + struct.pack(">b", value) if -128 <= value < 128 else b"l" + struct.pack(">i", value)
    return b"d" + struct.pack(">f", value)


def model_of(case):
    return json.loads((FIXTURES / case / "model.json").read_text())


def booster(model):
    inner = model["learner"]["gradient_booster"]
    return inner.get("model") or inner["gbtree"]["model"]


def write(tmp_path, model, name="model.json"):
    path = tmp_path / name
    path.write_bytes(ubj(model) if name.endswith(".ubj") else json.dumps(model).encode())
    return path


def refused(result, *words):
    assert result.code == 1 and result.out == "" and result.err.startswith("assay: "), result
    for word in words:
        assert word in result.err, result


# --- show -------------------------------------------------------------------------------------------------------------------


def test_show_tells_what_is_in_the_file():
    result = run("model", "show", NAMED / "model.json", "--engine", "reference")
    assert result.code == 0 and result.err == "", result
    for pattern in (r"kind +forest, XGBoost JSON, written by XGBoost 3\.2\.0", r"objective +binary:logistic", r"inputs +4 features, float32",
                    r"outputs +1 margin, 1 score, float32", r"score +sigmoid", r"trees +3", r"nodes +\d+ splits, \d+ leaves",
                    r"depth +3 at most", r"memory +\d+ bytes", r"\d+ +\d+ +[\d.]+%  amount", r'  é "q"$', r"engine +reference",
                    *(rf"batch of {n} +[\d.]+ us, [\d.]+ us a row; tail [\d.]+ us" for n in (1, 2, 4, 64, 256, 1024)),
                    r"served +inline: a row in a batch of 256 costs [\d.]+ us (less|more) than alone; batches pay from 60 us on"):
        assert re.search(pattern, result.out, re.M), f"{pattern} is not in:\n{result.out}"


def test_show_counts_splits_as_the_file_has_them():
    trees = booster(model_of("xgb32-names"))["trees"]
    splits = [0] * 4
    for tree in trees:
        for left, feature in zip(tree["left_children"], tree["split_indices"]):
            splits[feature] += left != -1
    out = run("model", "show", NAMED / "model.json", "--engine", "reference").out
    shown = {int(f): int(n) for f, n in re.findall(r"^ +(\d) +(\d+) +[\d.]+%  ", out, re.M)}
    assert [shown[f] for f in range(4)] == splits


def test_show_names_the_best_iteration():
    best = model_of("xgb32-early")["learner"]["attributes"]["best_iteration"]
    assert f"best_iteration is {best}" in run("model", "show", FIXTURES / "xgb32-early/model.json").out


def test_show_lets_no_control_character_through(tmp_path):
    model = model_of("xgb32-names")
    model["learner"]["feature_names"] = ["a\x1b[31m", "b", "c", "d"]
    out = run("model", "show", write(tmp_path, model)).out
    assert "a?[31m" in out and "\x1b" not in out


# --- predict ----------------------------------------------------------------------------------------------------------------


def rows(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_are_found_by_name(tmp_path):
    header = 'amount,"é ""q""","a,b",x=1'
    straight = run("model", "predict", NAMED / "model.json", rows(tmp_path, header + "\n1,2,3,4\n0.5,,-1,nan\n"))
    assert straight.code == 0 and len(straight.out.splitlines()) == 3, straight
    mixed = 'id,x=1,"a,b",label,amount,"é ""q"""\nfirst,4,3,no,1,2\nsecond,NA,-1,,0.5,null\n'
    assert run("model", "predict", NAMED / "model.json", rows(tmp_path, mixed)).out == straight.out


def test_made_up_names_bind_only_where_they_are_used(tmp_path):
    model = model_of("xgb32-poisson")
    model["learner"]["feature_names"] = ["f0", "f1", "f2", "f3"]
    path = write(tmp_path, model)
    want = run("model", "predict", path, rows(tmp_path, "f0,f1,f2,f3\n1,2,3,4\n"))
    assert want.code == 0 and run("model", "predict", path, rows(tmp_path, "a,b,c,d\n1,2,3,4\n")).out == want.out
    assert run("model", "predict", path, rows(tmp_path, "f3,f2,f1,f0,y\n4,3,2,1,0\n")).out == want.out
    refused_row = run("model", "predict", path, rows(tmp_path, "f0,f1,f2,x\n1,2,3,4\n"))
    assert refused_row.code == 1 and "no column 'f3'" in refused_row.err, refused_row


def test_bytes_that_spreadsheets_add_do_not_matter(tmp_path):
    plain = run("model", "predict", PLAIN / "model.json", rows(tmp_path, "f0,f1,f2,f3\n1,2,3,4\n"))
    dressed = rows(tmp_path, b'\xef\xbb\xbf"f0", f1 ,f2,"f3"\r\n\r\n"+1",2.0, 3 ,4e0\r\n'.replace(b" f1 ", b"f1"))
    assert plain.code == 0 and run("model", "predict", PLAIN / "model.json", dressed).out == plain.out
    text = "f0,f1,f2,f3\n1,2,3,4\n"
    assert run("model", "predict", PLAIN / "model.json", "-", input=text).out == plain.out


def test_missing_may_be_a_value(tmp_path):
    want = run("model", "predict", PLAIN / "model.json", rows(tmp_path, "f0,f1,f2,f3\nnan,2,,4\n"))
    got = run("model", "predict", PLAIN / "model.json", rows(tmp_path, "f0,f1,f2,f3\n-999,2,0.1,4\n"), "--missing", "-999", "--missing=0.1")
    assert want.code == 0 and got.out == want.out, got


@pytest.mark.parametrize("case,text,words", [
    (NAMED, "amount,x=1\n1,2\n", ["rows.csv:1: no column 'é \"q\"'"]),
    (NAMED, 'amount,amount,"é ""q""","a,b",x=1\n1,1,2,3,4\n', ["two columns are called 'amount'"]),
    (NAMED, 'amuont,"é ""q""","a,b",x=1\n1,2,3,4\n', ["no column 'amount'", "did you mean 'amuont'?"]),
    (PLAIN, "f0,f1,f2\n1,2,3\n", ["3 columns, the model has 4 features"]),
    (PLAIN, "f0,f1,f2,f3\n1,2,3,4\n1,2,3\n", ["rows.csv:3: 3 cells, the header has 4"]),
    (PLAIN, "f0,f1,f2,f3\n1,2,x,4\n", ["rows.csv:2: column 'f2': 'x' is no number"]),
    (PLAIN, "f0,f1,f2,f3\n1,2,1e39,4\n", ["column 'f2': '1e39'", "float32"]),
    (PLAIN, "f0,f1,f2,f3\n1,2,0x10,4\n", ["'0x10'"]),
    (PLAIN, 'f0,f1,f2,"f3\n1,2,3,4\n', ["rows.csv:1: a quote is not closed"]),
    (PLAIN, 'f0,f1,f2,"f3"x\n1,2,3,4\n', ["something follows a closing quote"]),
    (PLAIN, "f0,f1,f2,f3\n1,2\0,3,4\n", ["rows.csv:2: a zero byte"]),
    (PLAIN, "", ["is empty"]),
])
def test_rows_that_are_wrong_are_named(tmp_path, case, text, words):
    result = run("model", "predict", case / "model.json", rows(tmp_path, text))
    assert result.code == 1 and result.err.startswith("assay: "), result
    for word in words:
        assert word in result.err, result


def test_slips_on_the_command_line():
    for args, words in ((("shwo",), "did you mean 'show'?"), (("predict", "m", "r", "--trees", "bets"), "did you mean 'best'?"),
                        (("predict", PLAIN / "model.json", PLAIN / "rows.csv", "--engine", "gpu"), "there is no engine 'gpu'; there are: auto"),
                        (("predict", PLAIN / "model.json", PLAIN / "rows.csv", "--missing", "x"), "--missing cannot be 'x'"),
                        (("predict", "m"), "an argument is missing"), ((), "an argument is missing")):
        result = run("model", *args)
        assert result.code == 2 and result.out == "" and words in result.err, result


def test_files_that_are_not_there(tmp_path):
    refused(run("model", "show", tmp_path / "none.ubj"), "none.ubj: No such file")
    refused(run("model", "show", tmp_path), "is no regular file")
    refused(run("model", "predict", PLAIN / "model.json", tmp_path / "none.csv"), "none.csv: No such file")
    refused(run("model", "predict", PLAIN / "model.json", tmp_path), "is a directory")


def test_a_full_disk_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ASSAY, "model", "predict", PLAIN / "model.json", PLAIN / "rows.csv"], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), timeout=60)
    assert done.returncode == 1 and b"writing to stdout failed" in done.stderr


def test_json_and_ubj_are_one_model(tmp_path):
    for case in sorted(p.parent.name for p in FIXTURES.glob("xgb*/model.json")):
        one = run("model", "predict", FIXTURES / case / "model.json", FIXTURES / case / "rows.csv")
        two = run("model", "predict", write(tmp_path, model_of(case), "model.ubj"), FIXTURES / case / "rows.csv")
        assert one.code == 0 and two.code == 0 and one.out == two.out, f"{case}: {two}"


# --- damaged and hostile files ------------------------------------------------------------------------------------------------


def tree_change(change):
    def apply(model):
        change(booster(model)["trees"][1])
    return apply


@pytest.mark.parametrize("words,change", [
    (["trees[1]", "node 0: left child 900 does not exist"], tree_change(lambda t: t["left_children"].__setitem__(0, 900))),
    (["trees[1]", "a cycle, not a tree"], tree_change(lambda t: t["right_children"].__setitem__(1, 0))),
    (["node 0: right child -5"], tree_change(lambda t: t["right_children"].__setitem__(0, -5))),
    (["feature 4 does not exist"], tree_change(lambda t: t["split_indices"].__setitem__(0, 4))),
    (["left_children has"], tree_change(lambda t: t["left_children"].pop())),
    (["split_conditions has 0 entries"], tree_change(lambda t: t.pop("split_conditions"))),
    (["tree_param.num_nodes"], tree_change(lambda t: t.pop("tree_param"))),
    (["num_nodes", "a count in quotes"], tree_change(lambda t: t["tree_param"].update(num_nodes="-1"))),
    (["is not a finite number"], tree_change(lambda t: t["split_conditions"].__setitem__(-1, float("nan")))),
    (["is not a number"], tree_change(lambda t: t["split_conditions"].__setitem__(0, float("nan")))),
    (["categories_nodes does not name it"], tree_change(lambda t: t["split_type"].__setitem__(0, 1))),
    (["leaf_weights", "base_weights"], tree_change(lambda t: (t["tree_param"].update(size_leaf_vector="3"), t.pop("base_weights")))),
    (["0 weights for"], lambda m: m["learner"]["gradient_booster"].update(name="gblinear")),
    (["save_config"], lambda m: m["learner"]["gradient_booster"].pop("model")),
    (["num_trees is 3, but there are 2"], lambda m: (booster(m)["trees"].pop(), booster(m)["tree_info"].pop())),
    (["num_feature is missing"], lambda m: m["learner"]["learner_model_param"].pop("num_feature")),
    (["objective 'my:own'"], lambda m: m["learner"]["objective"].update(name="my:own")),
])
@pytest.mark.parametrize("kind", ["json", "ubj"])
def test_damage_is_named(tmp_path, words, change, kind):
    model = model_of("xgb32-pruned" if "cycle" in words[-1] else "xgb32-poisson")
    change(model)
    result = run("model", "show", write(tmp_path, model, f"model.{kind}"))
    refused(result, f"model.{kind}", *words)


def test_every_cut_is_refused(tmp_path):
    for name in ("model.json", "model.ubj"):
        whole = write(tmp_path, model_of("xgb32-cat"), name).read_bytes()
        for cut in list(range(1, len(whole), 97)) + [len(whole) - 1]:
            path = tmp_path / f"cut-{name}"
            path.write_bytes(whole[:cut])
            refused(run("model", "show", path))


@pytest.mark.parametrize("content,words", [
    (b"", ["is empty"]),
    (b"\x80\x04\x95\x10", ["pickle"]),
    (b"PK\x03\x04rest", ["ZIP"]),
    (b"CBM1....", ["CatBoost", "format=\"json\""]),
    (b"binf\0\0\0?", ["old binary", "save_model(\"model.ubj\")"]),
    (b"\x1f\x8b\x08", ["gzip"]),
    (b"booster[0]:\n0:[f0<1]", ["text dump"]),
    (b"[{\"nodeid\":0}]", ["JSON, but not a model"]),
    (b"just words", ["not a known model file"]),
    (b"{\"version\":[3,2,0]}", ["'learner' is missing"]),
])
def test_foreign_files_are_recognised(tmp_path, content, words):
    path = tmp_path / "model"
    path.write_bytes(content)
    refused(run("model", "show", path), *words)


def hostile_terse_nodes(n):
    """A tree of n nodes in a byte or four each, far fewer than any library writes."""
    def array(key, kind, item):
        return ubj(key)[1:] + b"[$" + kind + b"#L" + struct.pack(">q", n) + item * n
    tree = b"{" + array("left_children", b"i", b"\xff") + array("right_children", b"i", b"\xff") + array("split_indices", b"i", b"\0")
    tree += array("split_conditions", b"i", b"\0") + array("default_left", b"i", b"\0") + ubj("tree_param")[1:] + ubj({"num_nodes": str(n)}) + b"}"
    return (b"{" + ubj("learner")[1:] + b"{" + ubj("gradient_booster")[1:] + b"{" + ubj("model")[1:] + b"{" + ubj("trees")[1:]
            + b"[#L" + struct.pack(">q", 1) + tree + b"}}}}")


def hostile_categories(n):
    """n categorical nodes whose one category is the highest there is: a bitset of 2 MB each."""
    tree = {"tree_param": {"num_nodes": str(2 * n + 1)}, "left_children": [], "right_children": [], "split_type": [],
            "categories": [(1 << 24) - 1] * n, "categories_nodes": list(range(n)), "categories_segments": list(range(n)), "categories_sizes": [1] * n}
    for i in range(n):
        tree["left_children"].append(n + i)
        tree["right_children"].append(i + 1 if i + 1 < n else 2 * n)
        tree["split_type"].append(1)
    tree["left_children"] += [-1] * (n + 1)
    tree["right_children"] += [-1] * (n + 1)
    tree["split_type"] += [0] * (n + 1)
    for key in ("split_indices", "split_conditions", "default_left"):
        tree[key] = [0] * (2 * n + 1)
    return ubj({"learner": {"gradient_booster": {"model": {"trees": [tree]}}}})


def peak_bytes(limit, *args):
    """Peak memory, exit code and stderr of a run, in which a wild allocation fails at once."""
    # A process in between, since a child's peak starts with that of its parent.
    measure = ("import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)\n"
               "child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)\n"
               "_, status, usage = os.wait4(child, 0)\n"
               "print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", measure, str(limit + (256 << 20)), ASSAY, *args], capture_output=True, text=True,
                          env=environment(), timeout=120)
    err, _, last = done.stderr.rstrip("\n").rpartition("\n")
    code, peak = map(int, last.split())
    return peak, code, err


HOSTILE = {
    "terse nodes": lambda: hostile_terse_nodes(20_000_000),
    "huge categories": lambda: hostile_categories(400),
    "brackets": lambda: b"[" * 50_000_000,
    "objects": lambda: b'{"learner":' * 5_000_000,
    "names": lambda: b'{"learner":{"feature_names":[' + b'"",' * 20_000_000,
    "numbers": lambda: b'{"learner":{"gradient_booster":{"model":{"tree_info":[' + b"0," * 40_000_000,
    "escapes": lambda: b'{"learner":{"objective":{"name":"' + b"\\n" * 40_000_000 + b'"',
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_memory_is_bounded_by_the_file(tmp_path, make):
    binary = open(ASSAY, "rb").read()
    if b"__asan_init" in binary or b"__tsan_init" in binary:
        pytest.skip("a sanitizer has memory of its own")
    path = tmp_path / "model"
    path.write_bytes(make())  # and no longer held: a child starts with the peak of its parent
    limit = 4 * path.stat().st_size + (64 << 20)

    idle, _, _ = peak_bytes(limit, "--version")
    peak, code, err = peak_bytes(limit, "model", "show", str(path))
    assert code == 1 and err.startswith("assay: "), err
    assert peak - idle <= limit, f"{peak - idle} bytes above {idle}, the limit is {limit}: {err}"
