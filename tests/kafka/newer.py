"""A newer librdkafka than the system's, from the wheel of confluent-kafka: a drop-in at run time.

    environment = newer.environment()      {"LD_LIBRARY_PATH": ...} for `assay serve`; Unavailable says why there is none

It is kept in .cache/librdkafka. The standard library and pip.
"""

import fcntl
import subprocess
import sys

from broker import SOURCE, Unavailable

CACHE = SOURCE / ".cache/librdkafka"
PACKAGE = "confluent-kafka==2.16.0"


def fetch():
    """The folder with librdkafka.so.1."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        link = CACHE / "librdkafka.so.1"
        if link.exists():
            return CACHE
        venv = CACHE / "venv"
        done = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            done = subprocess.run([str(venv / "bin/pip"), "-q", "install", "--only-binary", ":all:", PACKAGE], capture_output=True,
                                  text=True, timeout=300)
        libraries = list(venv.glob("lib/python*/site-packages/confluent_kafka.libs/librdkafka-*.so.1"))
        if done.returncode != 0 or not libraries:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise Unavailable(f"{PACKAGE} cannot be had: {lines[-1][:300] if lines else 'no library in it'}")
        link.symlink_to(libraries[0])
        return CACHE


def environment():
    return {"LD_LIBRARY_PATH": str(fetch())}
