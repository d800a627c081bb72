"""The server with GPUs that are none (tests/support/cuda_fake): devices found, failing, lost every two seconds; every answer right, nothing lost.

The fake module computes real scores after a time like a GPU's, so a wrong, mixed-up or lost row shows.
"""

import json
import subprocess
import time
from pathlib import Path

from batching_test import post_all, right_answers, transactions  # noqa: F401, a fixture
from kafka_support import Ledger, Mock, Topics, assert_whole, expect, finished, lines_of, write
from support import ASSAY, CARD_FRAUD, Server, run, wait_until

MODULE = Path(ASSAY).parent / "tools/libassay-cuda-fake.so"
LIKE_A_GPU = "fixed_us=10,row_us=0.03,jitter=0.3"
PATIENT = {"http.slo_ms": 60000, "dedupe_s": 0}  # no deadline that a slow machine could miss, every row scored
BATCHED = {**PATIENT, "batch.mode": "batched"}
# The CPU, made so slow that rows go to the GPU whenever it is there: for this model it would get none of them.
BESIDE_SLOW_CPU = {**BATCHED, "engine": "cuda synthetic:fixed_us=50000"}


def fake(options=LIKE_A_GPU, **more):
    return {"ASSAY_CUDA_MODULE": str(MODULE), "ASSAY_FAKE_CUDA": options, **more}


def losing(folder, options):
    """Losses begin once the file is there: no server has started so fast that none could fall into its start."""
    return fake(options, ASSAY_FAKE_CUDA_BEGIN=str(folder / "begin"))


def device_rows(server):
    return server.metric("assay_device_rows_total")


def test_auto_finds_the_devices_and_says_so(tmp_path, transactions):
    with Server(tmp_path, {**BATCHED, "engine": "auto"}, env=fake("devices=2," + LIKE_A_GPU)) as server:
        (found,) = server.events("engine.found")
        assert found["found"] == "2 fake GPUs"
        assert [e["name"] for e in server.events("engine.measured")] == ["cpu", "cuda", "cuda"]
        right_answers(server, transactions)
        assert server.metric("assay_device_up", engine="1") == 1 and server.metric("assay_device_up", engine="2") == 1
        assert server.get("/readyz").body == b"ready\n"
        assert server.stop() == 0


def test_a_light_model_stays_with_the_thread_that_received_it(tmp_path):
    with Server(tmp_path, {"engine": "auto"}, env=fake()) as server:
        assert server.metric("assay_engine_batched") == 0
        assert server.metric("assay_device_up", engine="1") == 1


def test_no_module_is_no_obstacle(tmp_path, transactions):
    with Server(tmp_path, {"engine": "auto"}, env={"ASSAY_CUDA_MODULE": "/nowhere.so"}) as server:
        (found,) = server.events("engine.found")
        assert "/nowhere.so" in found["found"]
        right_answers(server, transactions, 50)


def test_cuda_asked_for_and_not_there_is_an_error():
    result = run("serve", "--set", f"bundle={CARD_FRAUD}", "--set", "engine=cuda", env=fake("devices=0"))
    assert result.code == 1 and "no driver" in result.err


def test_every_command_can_use_it(transactions):
    documents, records = transactions
    scored = run("score", "--bundle", CARD_FRAUD, "--engine", "cuda", input="\n".join(documents[:300]), env=fake())
    assert scored.code == 0, scored
    assert scored.out.splitlines() == records[:300]
    checked = run("verify", CARD_FRAUD, env=fake())
    assert checked.code == 0 and "cuda         card-fraud 1: 30 golden rows, all to the bit" in checked.out
    shown = run("model", "show", CARD_FRAUD / "model.json", "--engine", "cuda", env=fake())
    assert shown.code == 0 and "fake GPU" in shown.out and "kernel" in shown.out
    config = run("config", "check", "--set", f"bundle={CARD_FRAUD}", env=fake())
    assert config.code == 0 and "cuda:   1 fake GPU" in config.out


def test_a_lost_device_is_seen_gone_round_and_taken_back(tmp_path, transactions):
    """Away for a second from the third on: callers notice nothing."""
    options = LIKE_A_GPU + ",lose_every_ms=3000,lose_ms=1000"
    with Server(tmp_path, BESIDE_SLOW_CPU, env=losing(tmp_path, options)) as server:
        (tmp_path / "begin").touch()
        seen = []

        def lost_and_back():
            right_answers(server, transactions, 50)
            seen.append(server.get("/readyz").body.decode())
            return (server.metric("assay_device_recoveries_total") >= 1 and any("is down: " in text for text in seen) and
                    server.metric("assay_device_up") == 1)

        wait_until(lost_and_back, "the device to be lost and to come back")
        assert all(text.startswith("ready\n") for text in seen)
        assert server.metric("assay_device_faults_total") >= 1
        before = device_rows(server)
        wait_until(lambda: right_answers(server, transactions, 50) is None and device_rows(server) > before, "the device to score again")
        assert server.events("engine.down") and "fake device" in server.events("engine.down")[0]["reason"]
        assert server.stop() == 0


def test_load_over_http_with_a_loss_every_two_seconds(tmp_path, transactions):
    """`assay load` counts every answer; what they say is looked at beside it."""
    options = LIKE_A_GPU + ",lose_every_ms=2000,lose_ms=20"
    with Server(tmp_path, BESIDE_SLOW_CPU, env=losing(tmp_path, options)) as server:
        (tmp_path / "begin").touch()
        load = subprocess.Popen([ASSAY, "load", "--rate", "200", "--duration", "8", "--slo-ms", "60000", "--json", f"{server.url}/v1/score"],
                                stdout=subprocess.PIPE, text=True)
        while load.poll() is None:
            right_answers(server, transactions, 100)
        report = json.loads(load.stdout.read())
        assert report["due"]["requests"] > 1000 and report["good"] == report["due"], report
        assert server.metric("assay_device_faults_total") >= 2
        assert server.stop() == 0


def test_kafka_with_a_loss_every_two_seconds(tmp_path):
    lines = lines_of(3000)
    with Mock() as broker:
        topics = Topics(broker)
        options = LIKE_A_GPU + ",lose_every_ms=2000,lose_ms=20"
        with Server(tmp_path, {**topics.settings(), **BESIDE_SLOW_CPU}, env=losing(tmp_path, options)) as server:
            (tmp_path / "begin").touch()
            for begin in range(0, 3000, 250):  # over some seconds, so that losses fall among them
                topics.send(write(tmp_path / "part.jsonl", lines[begin:begin + 250]))
                finished(server, begin + 250)
                time.sleep(0.5)
            assert server.metric("assay_device_faults_total") >= 2
            assert server.stop() == 0
        assert_whole(Ledger(expect(CARD_FRAUD, lines)).read(topics.results()))
        assert topics.dead_letters() == []
