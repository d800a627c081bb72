"""The command line as a person meets it: help, slips, exit codes."""

import re

import pytest

from support import SOURCE, run

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
    result = run("--version")
    assert result.code == 0 and re.fullmatch(r"assay \d+\.\d+\.\d+\n", result.out), result


def test_unknown_command_names_the_nearest():
    result = run("comfig")
    assert result.code == 2 and result.out == "", result
    assert "unknown command 'comfig'" in result.err and ("config" not in COMMANDS or "did you mean 'config'?" in result.err), result


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
