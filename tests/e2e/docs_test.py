"""docs/operations.md against the source: every metric and every log event is there, and none that does not exist."""

import re

from support import SOURCE

PAGE = (SOURCE / "docs/operations.md").read_text()
SOURCES = [path.read_text() for path in sorted((SOURCE / "server").rglob("*"))
           if path.suffix in {".c", ".def"} and path.parent.name != "demo"]


def test_metrics_are_documented_and_exist():
    exist = {name for text in SOURCES for name in re.findall(r'"(assay_[a-z_]+)"', text)}
    exist |= {name for text in SOURCES for name in re.findall(r'"(process_[a-z_]+)"', text)}
    documented = set(re.findall(r"`((?:assay|process)_[a-z_]+)`", PAGE))
    assert len(exist) > 15
    assert exist - documented == set(), "not in docs/operations.md"
    assert documented - exist == set(), "in docs/operations.md but nowhere in the source"


def test_log_events_are_documented_and_exist():
    call = re.compile(r'\blog_(?:error|warn|info|debug)\(\s*"([a-z_.]+)"|write_line\([^"]*"(log\.[a-z]+)"')
    exist = {a or b for text in SOURCES for a, b in call.findall(text)}
    documented = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| [a-z ]+ \|", PAGE, re.M))
    assert len(exist) > 5
    assert exist - documented == set(), "not in docs/operations.md"
    assert documented - exist == set(), "in docs/operations.md but nowhere in the source"
