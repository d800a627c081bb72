"""The include arrows of docs/design.md: who may include whom, and where third-party headers may stand."""

import os
import re
from pathlib import Path

SOURCE = Path(os.environ.get("ASSAY_SOURCE") or Path(__file__).resolve().parents[2])

# Folder -> the folders of ours that it may include from.
ARROWS = {
    "model": {"model"},
    "kernels": {"kernels", "model"},
    "config": {"config", "model"},
    "server": {"server", "config", "model"},
    "bench": {"bench", "server", "config", "kernels", "model"},
}
# Inside model: what each part may include, besides itself.
MODEL_ARROWS = {
    "base": {"base"},
    "input": {"base", "input"},
    "features": {"base", "input", "features"},
    "state": {"base", "input", "features", "state"},
}
# Third-party header -> the files (or folders) that may include it. Three files at most, each with its reason to be there.
THIRD_PARTY = {
    "librdkafka/": ("server/kafka/", "server/gen/kafka_writer.c", "server/load/target_kafka.c", "server/demo/", "bench/"),
    "microhttpd.h": ("server/http/", "bench/"),
    "jansson.h": ("bench/", "server/demo/judge.c", "server/kafka/"),
    "yaml.h": ("model/base/yaml.c",),
    "openssl/": ("model/bundle", "model/base/"),
    "cuda": ("kernels/cuda/", "bench/gpu/naive.cu"),
    "cublas": ("kernels/cuda/",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def includes():
    """(file, is quoted, header) of everything that is compiled into the product."""
    for folder in ARROWS:
        for path in sorted((SOURCE / folder).rglob("*")):
            if path.suffix in {".c", ".h", ".def", ".cu", ".cuh"}:
                for kind, header in INCLUDE.findall(path.read_text()):
                    yield path.relative_to(SOURCE).as_posix(), kind == '"', header


def test_there_is_something_to_check():
    assert len(list(includes())) > 100


def test_own_headers_are_named_from_the_root_and_exist():
    assert [f'{f}: "{h}"' for f, quoted, h in includes() if quoted and not (SOURCE / h).is_file()] == []


def test_folders_include_only_what_lies_below_them():
    wrong = [f"{f} includes {h}" for f, quoted, h in includes() if quoted and h.split("/")[0] not in ARROWS[f.split("/")[0]]]
    # main.c alone constructs: it names the backends of kernels/.
    wrong = [w for w in wrong if not w.startswith("server/main.c includes kernels/")]
    assert wrong == []


def test_parts_of_the_model_include_only_what_lies_below_them():
    wrong = []
    for f, quoted, h in includes():
        parts, target = f.split("/"), h.split("/")
        if quoted and parts[0] == "model" and len(parts) > 2 and parts[1] in MODEL_ARROWS and target[0] == "model":
            if len(target) == 2 or target[1] not in MODEL_ARROWS[parts[1]]:
                wrong.append(f"{f} includes {h}")
    assert wrong == []


def test_only_main_names_concrete_parts():
    """A source or a backend is reached through its table; no file outside its folder but main.c includes its headers."""
    wrong = []
    for f, quoted, h in includes():
        for part in ("server/http/", "server/kafka/", "kernels/"):
            if quoted and h.startswith(part) and not f.startswith((part, "bench/")) and f != "server/main.c":
                wrong.append(f"{f} includes {h}")
    assert wrong == []


def test_third_party_headers_stay_in_their_files():
    wrong = []
    for f, quoted, h in includes():
        for prefix, places in THIRD_PARTY.items():
            if not quoted and h.startswith(prefix) and not f.startswith(places):
                wrong.append(f"{f} includes <{h}>")
    assert wrong == []


def test_every_angle_header_is_known():
    """A new third-party header has to be put in the table above, with its place."""
    standard = re.compile(
        r"^(assert|ctype|dirent|errno|fcntl|fenv|float|getopt|glob|immintrin|inttypes|libgen|limits|linux/.*|locale|math|netdb|"
        r"net/.*|netinet/.*|poll|pthread|sched|semaphore|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|"
        r"stdlib|stdnoreturn|string|strings|sys/.*|syslog|termios|time|unistd|arpa/.*|cpuid|x86intrin|dlfcn|link|malloc|"
        r"xmmintrin|emmintrin|nmmintrin)(\.h)?$")
    wrong = [f"{f} includes <{h}>" for f, quoted, h in includes()
             if not quoted and not standard.match(h) and not h.startswith(tuple(THIRD_PARTY))]
    assert wrong == []
