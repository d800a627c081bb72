#!/usr/bin/env python3
"""How long results stay away when something ends, and what more processes bring, on a real Apache Kafka with the shipped defaults.

    python3 bench/kafka_recovery.py [--assay build/release/assay] [--part crash|broker|freeze|rolling|scale]...

Steady traffic runs meanwhile; times come from the timestamps that results carry (set when they are produced). Prints one line a
figure. Exit code 0; a line that begins with "skipped:" where Java or Maven is missing. The standard library only.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "tests/kafka"))
from broker import Broker, Unavailable  # noqa: E402
from torture import ENVIRONMENT, Member  # noqa: E402

PARTITIONS, RATE, LINES = 8, 2000, 20_000
SCALE_RECORDS = 600_000
PARTS = ("crash", "broker", "freeze", "rolling", "scale")


class Ground:
    """A broker with topics of its own for each part, and traffic into them."""

    def __init__(self, assay, folder):
        self.assay, self.folder, self.tool = assay, folder, Path(assay).parent / "tools/kafka_tool"
        self.broker, self.number, self.members, self.traffic = Broker(folder=folder / "broker", heap="512m"), 0, [], None
        self.lines = folder / "lines.jsonl"
        with open(self.lines, "wb") as out:
            subprocess.run([assay, "gen", "--transactions", str(LINES), "--seed", "1"], check=True, stdout=out, env=ENVIRONMENT)

    def begin(self, members, static):
        """New topics, and so many processes."""
        self.number += 1
        self.input, self.output, dead = (f"{name}-{self.number}" for name in ("in", "out", "dead"))
        for topic, partitions in ((self.input, PARTITIONS), (self.output, PARTITIONS), (dead, 1)):
            self.broker.create_topic(topic, partitions)
        settings = {"bundle": SOURCE / "config/bundles/card-fraud", "stream.input": self.input, "stream.output": self.output,
                    "stream.dead_letter": dead, "kafka.bootstrap.servers": self.broker.bootstrap, "kafka.group.id": f"group-{self.number}"}
        self.members = [Member(i, self.assay, self.folder, settings) for i in range(members)]
        for i, member in enumerate(self.members):
            member.settings.pop("kafka.group.instance.id", None)
            if static:
                member.settings["kafka.group.instance.id"] = f"member-{i}"
            member.start()

    def send(self):
        command = [str(self.tool), "send", "--broker", self.broker.bootstrap, "--topic", self.input, "--file", str(self.lines), "--loop",
                   "--keys", "5000", "--rate", str(RATE), "--property", "linger.ms=1", "--property", "reconnect.backoff.max.ms=100"]
        self.traffic = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def committed(self):
        lines = self.broker.tool("committed", "--topic", self.input, "--group", f"group-{self.number}").splitlines()
        return [sum(int(line.split()[i]) for line in lines) for i in (1, 2)]

    def end(self):
        """Lets everything be worked off and stops all; returns the timestamps of the results, by partition, in seconds."""
        if self.traffic:
            self.traffic.terminate()
            self.traffic.wait()
            self.traffic = None
        until = time.monotonic() + 120
        done, there = self.committed()
        while done < there and time.monotonic() < until:
            time.sleep(0.2)
            done, there = self.committed()
        for member in self.members:
            member.end()
        times = {}
        for line in self.broker.tool("read", "--topic", self.output).splitlines():
            record = json.loads(line)
            times.setdefault(record["partition"], []).append(record["timestamp"] / 1000)
        if done < there:
            raise RuntimeError(f"{done} of {there} records committed: {[member.tail() for member in self.members]}")
        return times

    def close(self):
        for process in [self.traffic, *(member.process for member in self.members)]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.broker.close()


def settle(ground, members, static):
    ground.begin(members, static)
    ground.send()
    time.sleep(6)


def first_after(times, moment):
    """Seconds from a moment to the first result after it, in any partition."""
    return min(t for partition in times.values() for t in partition if t > moment) - moment


def pause(times, since):
    """The longest time without a result in any partition."""
    worst = 0
    for partition in times.values():
        late = sorted(t for t in partition if t > since - 1)
        worst = max([worst, *(b - a for a, b in zip(late, late[1:], strict=False))])
    return worst


def show(what, seconds, goal=None):
    met = "" if goal is None else f"   goal: at most {goal} s, {'met' if seconds <= goal else 'MISSED'}"
    print(f"  {what:<86} {seconds:7.2f} s{met}", flush=True)


def crash(ground):
    settle(ground, 1, True)
    ground.members[0].kill()
    time.sleep(1)
    moment = time.time()
    ground.members[0].start()
    time.sleep(3)
    show("kill -9 of a static member: from its restart to the first new result", first_after(ground.end(), moment), 1)


def broker(ground):
    settle(ground, 1, True)
    moment = time.time()
    ground.broker.kill()
    time.sleep(2)
    ground.broker.start_again()
    answers = time.time()
    time.sleep(10)
    times = ground.end()
    show("kill -9 of the only broker, started again after 2 s: from the kill to the first new result", first_after(times, moment + 0.1) + 0.1, 8)
    show("  of these from the moment when it takes connections again", first_after(times, answers))


def freeze(ground):
    settle(ground, 1, True)
    ground.broker.freeze()
    time.sleep(10)
    moment = time.time()
    ground.broker.thaw()
    time.sleep(5)
    show("the broker stopped for 10 s: from its going on to the first new result", first_after(ground.end(), moment))


def rolling(ground):
    settle(ground, 4, True)
    since = time.time()
    for member in ground.members:
        member.end()
        member.start()
        time.sleep(2)
    show("rolling restart of 4 static members: longest time without a result in a partition", pause(ground.end(), since), 3)
    settle(ground, 1, False)
    since = time.time()
    added = Member(9, ground.assay, ground.folder, {k: v for k, v in ground.members[0].settings.items() if k != "http.listen"})
    added.settings.pop("kafka.group.instance.id", None)
    ground.members.append(added)
    added.start()
    time.sleep(5)
    show("a second process joins: longest time without a result in a partition", pause(ground.end(), since))


def scale(ground):
    for members in (1, 2, 4):
        ground.begin(0, False)
        subprocess.run([str(ground.tool), "send", "--broker", ground.broker.bootstrap, "--topic", ground.input, "--file", str(ground.lines),
                        "--keys", "5000", "--times", str(SCALE_RECORDS // LINES)], check=True, stdout=subprocess.DEVNULL)
        number = ground.number
        settings = {"bundle": SOURCE / "config/bundles/card-fraud", "stream.input": ground.input, "stream.output": ground.output,
                    "stream.dead_letter": f"dead-{number}", "kafka.bootstrap.servers": ground.broker.bootstrap, "kafka.group.id": f"group-{number}"}
        ground.members = [Member(2 * i + 1, ground.assay, ground.folder, settings) for i in range(members)]
        for member in ground.members:
            member.start()
        times = ground.end()
        every = sorted(t for partition in times.values() for t in partition)
        middle = every[len(every) // 10], every[len(every) * 9 // 10]  # without the joining and the tail
        print(f"  {members} process{'es' if members > 1 else '':<78} {0.8 * len(every) / max(middle[1] - middle[0], 0.001):>9,.0f} results a second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--assay", default=str(SOURCE / "build/release/assay"), help="the binary; kafka_tool is looked for beside it")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be repeated")
    options = parser.parse_args()
    assay = str(Path(options.assay).resolve())
    os.environ["ASSAY"] = assay  # broker.py finds kafka_tool by it
    version = subprocess.run([assay, "--version"], capture_output=True, text=True).stdout.strip()
    print(f"{version}, Apache Kafka, one broker, {PARTITIONS} partitions, {RATE:,} records a second; load {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="assay-recovery-") as folder:
        try:
            ground = Ground(assay, Path(folder))
        except Unavailable as why:
            print(f"skipped: no real Kafka broker: {why}")
            return 0
        try:
            for part in options.part or PARTS:
                globals()[part](ground)
        finally:
            ground.close()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
