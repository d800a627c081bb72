"""The command line as a person meets it: help, slips, exit codes."""

import re
import subprocess

import pytest

from support import ASSAY, CARD_FRAUD, SOURCE, environment, run

COMMANDS = re.findall(r'^COMMAND\("([a-z-]+)"', (SOURCE / "server/cmd/commands.def").read_text(), re.M)


def test_help_lists_every_command():
    for word in ("--help", "-h", "help"):
        result = run(word)
        assert result.code == 0 and result.err == "", result
        for command in COMMANDS:
            assert re.search(rf"^  {command} ", result.out, re.M), f"{command} is not in:\n{result.out}"


def test_no_command_is_a_usage_error():
    result = run()
    assert result.code == 2 and result.out == "" and "usage: assay COMMAND" in result.err, result


def test_version_names_itself():
    for word in ("--version", "version"):
        result = run(word)
        assert result.code == 0 and re.fullmatch(r"assay \d+\.\d+\.\d+\n", result.out), result


def test_unknown_command_names_the_nearest():
    result = run("comfig")
    assert result.code == 2 and result.out == "", result
    assert "unknown command 'comfig'" in result.err and "did you mean 'config'?" in result.err, result


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    for word in ("--help", "-h"):
        result = run(command, word)
        assert result.code == 0 and result.err == "", result
        assert result.out.startswith(f"usage: assay {command}"), result
        assert "--help" in result.out and "examples:" in result.out and "exit codes:" in result.out, result
        assert all(len(line) <= 120 for line in result.out.splitlines()), result


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_an_unknown_option(command):
    result = run(command, "--no-such-option-at-all")
    assert result.code == 2 and result.out == "", result
    assert "unknown option '--no-such-option-at-all'" in result.err and "usage: assay " in result.err, result


def test_config_refuses_an_unknown_action():
    result = run("config", "chek")
    assert result.code == 2 and "unknown action 'chek', did you mean 'check'?" in result.err, result
    assert run("config").code == 2


def test_config_errors_name_file_line_and_nearest_key(tmp_path):
    path = tmp_path / "assay.yaml"
    path.write_text("bundle: x\nhttp:\n  listne: 127.0.0.1:0\n")
    for verb in ("show", "check"):
        result = run("config", verb, "--config", path)
        assert result.code == 1 and result.out == "", result
        assert result.err == (f"assay: {path}:3: unknown key 'http.listne', did you mean 'http.listen'?; "
                              "`assay config docs` lists all\n"), result


def test_a_bad_override_is_a_usage_error():
    result = run("config", "show", "--set", "htp.threads=1")
    assert result.code == 2 and "did you mean 'http.threads'?" in result.err, result


def test_config_show_tells_origins_and_hides_secrets(tmp_path):
    path = tmp_path / "assay.yaml"
    path.write_text("http.threads: 3\nkafka: {sasl.password: hunter2}\n")
    result = run("config", "show", "--config", path, "--set", "dedupe_s=5", env={"ASSAY_LOG_LEVEL": "debug"})
    assert result.code == 0 and result.err == "", result
    assert "  threads: 3  # line 1\n" in result.out
    assert "\ndedupe_s: 5  # --set\n" in result.out
    assert "  level: debug  # ASSAY_LOG_LEVEL\n" in result.out
    assert '  sasl.password: "***"\n' in result.out and "hunter2" not in result.out


def test_config_show_can_be_read_back(tmp_path):
    first = run("config", "show", "--set", "stream.consumers=4")
    path = tmp_path / "again.yaml"
    path.write_text(first.out)
    second = run("config", "show", "--config", path)
    assert second.code == 0 and "  consumers: 4 " in second.out, second


def test_config_docs_need_no_settings():
    result = run("config", "docs", env={"ASSAY_HTTP_THREADS": "nonsense"})
    assert result.code == 0 and result.out.startswith("# Settings\n"), result
    assert "| `http.listen` | text |" in result.out


def test_a_full_disk_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ASSAY, "config", "docs"], stdout=full, stderr=subprocess.PIPE, env=environment())
    assert done.returncode == 1 and b"failed" in done.stderr


def test_config_check_looks_into_the_bundle(tmp_path):
    result = run("config", "check")
    assert result.code == 1 and "bundle is not set" in result.err, result
    config = tmp_path / "assay.yaml"
    config.write_text("bundle: nowhere\n")
    result = run("config", "check", "--config", config)
    assert result.code == 1 and f"{tmp_path}/nowhere" in result.err, result


def test_config_check_and_serve_refuse_an_address_that_is_none():
    for command in (["config", "check"], ["serve"]):
        for address in ("nowhere", "127.0.0.1:99999", "127.0.0.1:4294967296", "127.0.0.1:80x", "127.0.0.1:-1"):
            result = run(*command, "--set", f"bundle={CARD_FRAUD}", "--set", f"http.listen={address}")
            assert result.code == 1 and f"http.listen '{address}'" in result.err, result


def test_config_check_knows_the_properties_of_librdkafka():
    options = ["config", "check", "--set", f"bundle={CARD_FRAUD}", "--set", "stream.input=a", "--set", "stream.output=b",
               "--set", "stream.dead_letter=c", "--set", "kafka.bootstrap.servers=127.0.0.1:1"]
    result = run(*options)
    assert result.code == 0 and "kafka:  a -> b, dead letters to c" in result.out, result
    result = run(*options, "--set", "kafka.sesion.timeout.ms=6000")
    assert result.code == 1 and "kafka.session.timeout.ms" in result.err, result
    result = run(*options, "--set", "kafka.producer.linger.ms=soon")
    assert result.code == 1 and "kafka.producer.linger.ms" in result.err, result


def test_config_check_looks_at_what_is_switched_off_too():
    result = run("config", "check", "--set", f"bundle={CARD_FRAUD}", "--set", "kafka.sesion.timeout.ms=6000")
    assert result.code == 1 and "did you mean kafka.session.timeout.ms?" in result.err, result


def test_config_check_sees_that_the_decision_log_cannot_be_written_and_does_not_make_it(tmp_path):
    options = ["config", "check", "--set", f"bundle={CARD_FRAUD}"]
    result = run(*options, "--set", f"decision_log.file={tmp_path}/none/decisions.jsonl")
    assert result.code == 1 and "none/decisions.jsonl" in result.err and "No such file" in result.err, result
    result = run(*options, "--set", f"decision_log.file={tmp_path}/decisions.jsonl")
    assert result.code == 0 and list(tmp_path.iterdir()) == [], result
