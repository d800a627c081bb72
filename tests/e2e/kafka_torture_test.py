"""Kafka under fire (tests/kafka/torture.py): a few kills here, more with `./dev test --all`, any number with ./dev kafka-torture."""

import os
import re
import subprocess
import sys

import pytest

from support import ASSAY, SOURCE

LONG = os.environ.get("ASSAY_TEST_ALL")


def test_nothing_is_lost_under_fire():
    kills, nodes = (20, 3) if LONG else (5, 1)
    rate = 2000 if re.search("/(asan|tsan)/", ASSAY) else 20_000  # a sanitizer's server is many times slower
    done = subprocess.run([sys.executable, str(SOURCE / "tests/kafka/torture.py"), "--assay", ASSAY, "--kills", str(kills), "--nodes",
                           str(nodes), "--rate", str(rate)], capture_output=True, text=True, timeout=590, stdin=subprocess.DEVNULL)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    if last.startswith("skipped:"):
        pytest.skip(last[len("skipped: "):])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.fullmatch(rf"{kills} kills, [1-9]\d* records: 0 missing, \d+ repeated, 0 wrong", last), last
