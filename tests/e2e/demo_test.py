"""assay demo: one command shows the whole path; what goes in comes out, and Ctrl-C ends it with a summary."""

import re
import signal
import subprocess
import time

from support import ASSAY, PATIENCE_S, environment, run


def numbers(out):
    match = re.search(r"(\d+) transactions in, (\d+) results out, (\d+) missing", out)
    assert match, out
    return tuple(int(n) for n in match.groups())


def test_every_transaction_gets_its_result_and_frauds_are_found():
    result = run("demo", "--seconds", "3", "--rate", "1000", "--http", "127.0.0.1:0", timeout=2 * PATIENCE_S)
    assert result.code == 0, result
    sent, results, missing = numbers(result.out)
    assert sent > 0 and results == sent and missing == 0, result
    precision, recall = (float(x) for x in re.search(r"alerts: precision ([\d.]+), recall ([\d.]+)", result.out).groups())
    assert precision > 0.5 and recall > 0.3, result
    assert "curl -s http://127.0.0.1:" in result.out
    assert "\033[" not in result.out, "no cursor movement where there is no terminal"


def test_interrupt_ends_it_cleanly_with_a_summary():
    demo = subprocess.Popen([ASSAY, "demo", "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        for line in demo.stdout:
            if b"results/s" in line:
                break
        time.sleep(1)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=PATIENCE_S)
    finally:
        demo.kill()
    assert demo.returncode == 0, err
    sent, results, missing = numbers(out.decode())
    assert missing == 0 and results == sent > 0
