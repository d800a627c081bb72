"""What the end-to-end tests share: run the binary, start a server on a free port, read its log and metrics.

    result = run("config", "check", "--config", path)         # exit code, out, err
    with Server(tmp_path, {"http.listen": "127.0.0.1:0"}) as server:
        answer = server.post("/v1/score", document)           # status, headers, body, .json()
        assert server.metric("assay_transactions_total", source="http", outcome="scored") == 1
        assert server.stop() == 0                             # SIGTERM and the exit code

The standard library and pytest only. ASSAY is the binary, ASSAY_SOURCE the root of the source tree, ASSAY_SHARED a folder
of larger inputs that may be absent (needs_shared skips with the reason).
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

ASSAY = os.environ.get("ASSAY") or str(Path(__file__).resolve().parents[2] / "build/release/assay")
SOURCE = Path(os.environ.get("ASSAY_SOURCE") or Path(__file__).resolve().parents[2])
SHARED = Path(os.environ.get("ASSAY_SHARED") or SOURCE / "../shared")
CARD_FRAUD = SOURCE / "config/bundles/card-fraud"

# A sanitizer build is slower, and a busy machine slower still: generous, since only a failing test waits so long.
PATIENCE_S = 60


class Result:
    """A finished run: .code, .out and .err as text."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit code {self.code}\n--- out\n{self.out[-2000:]}\n--- err\n{self.err[-2000:]}"


def environment(extra=None):
    """The environment without ASSAY_… settings of whoever runs the tests, plus extra."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ASSAY_")}
    clean.update(extra or {})
    return clean


def run(*args, input=None, env=None, timeout=PATIENCE_S, cwd=None):
    """Runs the binary to its end. input: str or bytes for stdin."""
    data = input.encode() if isinstance(input, str) else input
    done = subprocess.run([ASSAY, *map(str, args)], input=data if data is not None else b"", capture_output=True,
                          env=environment(env), timeout=timeout, cwd=cwd)
    return Result(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def wait_until(check, what, seconds=PATIENCE_S):
    """Calls check until it gives something true, and returns that; fails the test with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def free_port():
    """A port that was free just now, for what can't be told to take port 0."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def needs_program(name):
    """The path of a program, or a skip that says which one is missing."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def needs_shared(relative):
    """A path in the shared inputs, or a skip that says what is missing."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"shared input {relative} is not here")
    return path


def write_config(path, settings):
    """Writes settings with dotted keys as YAML (JSON strings and numbers are YAML); kafka.* goes under its own map."""
    kafka = {k[len("kafka."):]: v for k, v in settings.items() if k.startswith("kafka.")}
    lines = [f"{key}: {json.dumps(value)}" for key, value in settings.items() if not key.startswith("kafka.")]
    if kafka:
        lines.append("kafka:")
        lines += [f"  {key}: {json.dumps(value)}" for key, value in kafka.items()]
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def parse_metrics(text):
    """Text exposition 0.0.4 to {(name, frozenset of (label, value)): number}."""
    sample = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
    label = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = sample.match(line)
        assert match, f"not a sample: {line}"
        key = (match[1], frozenset(label.findall(match[2] or "")))
        assert key not in found, f"twice: {line}"
        found[key] = float(match[3])
    return found


def metric_value(metrics, name, /, **labels):
    """The sum of the samples of this name that have these labels; 0 without any."""
    want = set(labels.items())
    return sum(v for (n, have), v in metrics.items() if n == name and want <= have)


class Answer:
    """An HTTP answer: .status, .headers (lower-case names), .body (bytes), .json()."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:1000]!r}"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    """`assay serve` with the card-fraud bundle on a free port of loopback, unless settings say otherwise.

    settings: dotted keys, on top of the defaults here. Waits until it listens (ready=True: until /readyz says 200 too).
    """

    def __init__(self, folder, settings=None, ready=True, env=None, args=()):
        self.folder = Path(folder)
        self.settings = {"bundle": str(CARD_FRAUD), "http.listen": "127.0.0.1:0", "http.threads": 2, "log.format": "json",
                         "drain_s": 10, **(settings or {})}
        self.wait_ready, self.env, self.args = ready, env, list(args)
        self.process, self.address = None, None
        self.log_path = self.folder / f"server-{os.getpid()}-{time.monotonic_ns()}.log"

    def start(self):
        config = write_config(self.log_path.with_suffix(".yaml"), self.settings)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([ASSAY, "serve", "--config", str(config), *map(str, self.args)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=environment(self.env), start_new_session=True)
        if self.settings["http.listen"]:
            self.address = wait_until(self._listening, self.explain("it does not listen"))
            if self.wait_ready:
                wait_until(lambda: self._alive() and self.get("/readyz").status == 200, self.explain("it does not become ready"))
        return self

    def _alive(self):
        if self.process.poll() is not None:
            pytest.fail(self.explain(f"it ended with exit code {self.process.returncode}")())
        return True

    def _listening(self):
        self._alive()
        line = re.search(r'event"?[=:]"?http\.listening"?[ ,]"?address"?[=:]"?([^" ]+)', self.log())  # logfmt or JSON
        return line and line[1]

    def explain(self, what):
        return lambda: f"{what}; its log:\n{self.log()[-4000:]}"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def events(self, name=None):
        """The log lines as dicts, of one event or of all; lines that are no JSON are left out."""
        found = []
        for line in self.log().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and (name is None or event.get("event") == name):
                found.append(event)
        return found

    def connection(self, timeout=PATIENCE_S):
        if self.address.startswith("unix:"):
            return UnixConnection(self.address[len("unix:"):], timeout)
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    @property
    def url(self):
        return f"http://{self.address}"

    def request(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers=None):
        """body: bytes or str as they are, anything else as JSON."""
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        return self.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def metrics(self):
        return parse_metrics(self.get("/metrics").body.decode())

    def metric(self, name, /, **labels):
        return metric_value(self.metrics(), name, **labels)

    def wait_metric(self, name, at_least, /, seconds=PATIENCE_S, **labels):
        """Waits until the metric has grown to this and returns its value."""
        return wait_until(lambda: (v := self.metric(name, **labels)) >= at_least and v,
                          lambda: f"{name} {labels} stayed at {self.metric(name, **labels)}, {at_least} expected", seconds)

    def send_signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE_S):
        """Ends it by a signal (SIGTERM: it drains) and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(self.explain(f"it did not end within {timeout} s of signal {number}")())

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
