#!/usr/bin/env python3
"""Kafka under fire: steady traffic through several `assay serve`, while they and the brokers are killed, stopped, restarted,
added and removed, leaders move and connections break; then a ledger of every record.

    python3 tests/kafka/torture.py --kills 20 --rate 20000 --nodes 3

A round is a kill -9 (four times of five of a process, else of a broker) and one thing more, drawn from a deck so that each
comes its turn: a process stopped past its session timeout, restarted in order, added, removed, or all connections of the
process behind a bad line cut. With three nodes a killed broker moves its leaders, and they move home when it is back.

The last line is `N kills, M records: 0 missing, K repeated, 0 wrong`; wrong counts whatever the ledger (kafka_tool ledger)
finds other than expected: bytes, key, reason, order within a key, answers to nothing. Exit code 1 unless all is well and
repeats are within what was in flight. The standard library only.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from broker import SOURCE, Broker, Unavailable, kafka_tool  # noqa: E402
from forward import Forward  # noqa: E402

PARTITIONS, LINES, KEYS = 8, 20_000, 5_000
MEMBERS_LEAST, MEMBERS_MOST = 2, 4
SESSION_S = 4
SLOTS = 8192
PATIENCE_S = 180
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}


class Member:
    """One `assay serve`. Static members come back under their name; others are new to the group every time."""

    def __init__(self, number, assay, folder, settings):
        self.name, self.assay, self.process, self.frozen = f"member-{number}", assay, None, False
        self.log_path = folder / f"{self.name}.log"
        self.settings = {**settings, "http.listen": f"unix:{folder}/{self.name}.sock"}
        if number % 2 == 0:
            self.settings["kafka.group.instance.id"] = self.name

    def start(self):
        pairs = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.assay, "serve", *pairs], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=ENVIRONMENT, start_new_session=True)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself with exit code {self.process.returncode}: {self.tail()}")

    def tail(self):
        return self.log_path.read_text(errors="replace")[-3000:]


class Torture:
    def __init__(self, options, folder):
        self.options, self.folder, self.draw = options, folder, random.Random(options.seed)
        self.members, self.made, self.counts, self.hits = [], 0, {}, 0
        self.later = []  # (when, what to do): processes to wake, brokers to start
        self.deck = []
        self.lines, self.expected = folder / "lines.jsonl", folder / "expected.jsonl"
        self.forwards = [Forward() for _ in range(options.nodes)]
        self.broker = Broker(topics={"in": PARTITIONS, "out": PARTITIONS, "dead": 1}, folder=folder / "broker", nodes=options.nodes,
                             forwards=[forward.port for forward in self.forwards])
        for forward, node in zip(self.forwards, self.broker.nodes, strict=True):
            forward.target = node.forwarded

    # --- the ground

    def write_lines(self):
        """Transactions, one in a hundred broken, and what `assay score` says of them."""
        bundle = SOURCE / "config/bundles/card-fraud"
        good = subprocess.run([self.options.assay, "gen", "--transactions", str(LINES), "--seed", str(self.options.seed)], check=True,
                              capture_output=True, text=True, env=ENVIRONMENT).stdout.splitlines()
        broken = [line[:self.draw.randrange(1, len(line))] if i % 100 == 7 else line for i, line in enumerate(good)]
        self.lines.write_text("\n".join(broken) + "\n")
        subprocess.run([self.options.assay, "score", "--bundle", str(bundle), "--in", str(self.lines), "--out", str(self.expected)],
                       env=ENVIRONMENT, stderr=subprocess.DEVNULL)  # its exit code says that there were broken ones

    def settings(self, forwarded):
        servers = ",".join(f"127.0.0.1:{forward.port}" for forward in self.forwards) if forwarded else self.broker.bootstrap
        return {"bundle": SOURCE / "config/bundles/card-fraud", "stream.input": "in", "stream.output": "out", "stream.dead_letter": "dead",
                "stream.slots": SLOTS, "kafka.bootstrap.servers": servers, "kafka.group.id": "torture", "drain_s": 60,
                "kafka.session.timeout.ms": SESSION_S * 1000, "kafka.heartbeat.interval.ms": 500, "kafka.max.poll.interval.ms": 60_000,
                **dict(pair.split("=", 1) for pair in self.options.set)}

    def start_traffic(self):
        tool = Path(self.options.assay).parent / "tools/kafka_tool"
        command = [str(tool), "send", "--broker", self.broker.bootstrap, "--topic", "in", "--file", str(self.lines), "--loop",
                   "--keys", str(KEYS), "--rate", str(self.options.rate), "--property", "linger.ms=5",
                   "--property", "reconnect.backoff.max.ms=500"]
        with open(self.folder / "traffic.log", "wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)

    # --- what is done to it

    def say(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1
        print(f"{time.monotonic() - self.start:7.1f} s  {what}", flush=True)

    def end(self, member):
        """An orderly end, which must be one. Time goes on meanwhile: the only broker may be down, and is to come back."""
        member.process.terminate()
        member.frozen = True
        end = time.monotonic() + PATIENCE_S
        while member.process.poll() is None:
            if time.monotonic() > end:
                raise RuntimeError(f"{member.name} has not ended {PATIENCE_S} s after SIGTERM: {member.tail()}")
            self.rest(0.05)
        member.frozen = False
        if member.process.returncode != 0:
            raise RuntimeError(f"{member.name} ended with exit code {member.process.returncode} after SIGTERM: {member.tail()}")

    def awake(self):
        return [member for member in self.members if not member.frozen]

    def add(self):
        if len(self.members) >= MEMBERS_MOST:
            return self.restart() if len(self.awake()) <= MEMBERS_LEAST else self.remove()
        # Every second one stands behind the bad line.
        self.members.append(Member(self.made, self.options.assay, self.folder, self.settings(self.made % 2 == 1)))
        self.made += 1
        self.members[-1].start()
        self.say("process added")

    def remove(self):
        if len(self.awake()) <= MEMBERS_LEAST:
            return self.restart() if len(self.members) >= MEMBERS_MOST else self.add()
        member = self.draw.choice(self.awake())
        self.end(member)
        self.members.remove(member)
        self.say("process removed")

    def restart(self):
        member = self.draw.choice(self.awake())
        self.end(member)
        member.start()
        self.say("process restarted in order")

    def stop(self):
        if len(self.awake()) < 2:
            return self.restart()
        member = self.draw.choice(self.awake())
        member.process.send_signal(signal.SIGSTOP)
        member.frozen = True
        self.hits += 1
        self.say("process stopped past its session timeout")

        def wake():
            member.process.send_signal(signal.SIGCONT)
            member.frozen = False
        self.later.append((time.monotonic() + SESSION_S * 1.5, wake))

    def cut(self):
        if not sum(forward.cut() for forward in self.forwards):
            return self.restart()
        self.say("connections cut")

    def kill_process(self):
        member = self.draw.choice(self.awake())
        member.kill()
        self.hits += 1
        self.say("kill -9 of a process")
        member.frozen = True  # until it is back nothing else can be done to it

        def back():
            member.start()
            member.frozen = False
        self.later.append((time.monotonic() + self.draw.choice((0, 0, 1, 2)), back))

    def kill_broker(self):
        down = [node for node in self.broker.nodes if node.process.poll() is not None]
        if down:
            return self.kill_process()
        node = self.draw.choice(self.broker.nodes)
        node.kill()
        self.hits += len(self.members)
        self.say("kill -9 of a broker")
        self.later.append((time.monotonic() + self.draw.uniform(0.5, 2), node.launch))

    def other(self):
        if not self.deck:
            self.deck = [self.stop, self.restart, self.add, self.cut, self.remove]
            self.draw.shuffle(self.deck)
        self.deck.pop()()

    def rest(self, seconds):
        """Lets time pass, doing what is due."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            due = [item for item in self.later if item[0] <= time.monotonic()]
            self.later = [item for item in self.later if item not in due]
            for _, act in due:
                act()
            for member in self.awake():
                member.check()
            time.sleep(0.05)

    def round(self, i):
        self.rest(self.draw.uniform(0.5, 2))
        if i % 5 == 4:
            self.kill_broker()
        else:
            self.kill_process()
        self.rest(self.draw.uniform(0.5, 2))
        self.other()
        while sum(not member.frozen for member in self.members) == 0:
            self.rest(0.1)

    # --- the whole

    def run(self):
        self.start = time.monotonic()
        self.write_lines()
        while len(self.members) < MEMBERS_LEAST + 1:
            self.add()
        traffic = self.start_traffic()
        try:
            self.rest(3)
            for i in range(self.options.kills):
                self.round(i)
            while self.later:
                self.rest(0.2)
            for node in self.broker.nodes:
                node.await_answer()
            traffic.terminate()
            sent = int(traffic.communicate(timeout=PATIENCE_S)[0] or 0)
            if traffic.returncode != 0:
                raise RuntimeError(f"the traffic ended with {traffic.returncode}: {(self.folder / 'traffic.log').read_text()[-1000:]}")
        finally:
            traffic.kill()
        seconds = time.monotonic() - self.start
        print(f"{seconds:7.1f} s  traffic ended: {sent:,} records, {sent / seconds:,.0f} a second on average", flush=True)
        self.finish()

    def finish(self):
        """Everything must be committed now, and everybody must end in order."""
        end, done, there = time.monotonic() + PATIENCE_S, -1, 0
        while done != there or there == 0:
            if time.monotonic() > end:
                raise RuntimeError(f"{done} of {there} records committed; {[member.tail() for member in self.members]}")
            self.rest(0.5)
            text = kafka_tool(self.broker.bootstrap, "committed", "--topic", "in", "--group", "torture")
            done, there = (sum(int(line.split()[i]) for line in text.splitlines()) for i in (1, 2))
        while self.members:
            self.end(self.members[0])
            del self.members[0]

    def ledger(self):
        tool = Path(self.options.assay).parent / "tools/kafka_tool"
        done = subprocess.run([str(tool), "ledger", "--broker", self.broker.bootstrap, "--input", "in", "--output", "out", "--dead-letter",
                               "dead", "--lines", str(self.lines), "--expected", str(self.expected)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=3600)
        if not done.stdout:
            raise RuntimeError(f"kafka_tool ledger: {done.stderr[-2000:]}")
        *places, last = done.stdout.splitlines()
        print("".join(f"  {place}\n" for place in places), end="")
        return json.loads(last)

    def close(self):
        for member in self.members:
            if member.process and member.process.poll() is None:
                member.process.kill()
                member.process.wait()
        for forward in self.forwards:
            forward.close()
        self.broker.close()


def report(torture, found):
    """Prints the figures; returns whether all is well."""
    # What a process that is hit may do again: what it had in flight, and what it had done since its last commit.
    allowed = torture.hits * (SLOTS + torture.options.rate)
    for what, n in sorted(torture.counts.items()):
        print(f"  {n:5} x {what}")
    restarts = sum(path.read_text(errors="replace").count("event=kafka.restart") for path in torture.folder.glob("member-*.log"))
    print(f"  {restarts:5} x clients made anew by a process")
    print(f"  results {found['results']:,}, dead letters {found['dead_letters']:,}; repeats allowed {allowed:,}; missing "
          f"{found['missing']}, wrong {found['wrong']}, out of order within a key {found['reordered']}, foreign {found['foreign']}")
    wrong = found["wrong"] + found["reordered"] + found["foreign"]
    kills = torture.options.kills
    print(f"{kills} kills, {found['records']} records: {found['missing']} missing, {found['repeated']} repeated, {wrong} wrong")
    return found["missing"] == 0 and wrong == 0 and found["repeated"] <= allowed and found["records"] > 0


def main():
    parser = argparse.ArgumentParser(description="Kafka under fire, and a ledger of every record.")
    parser.add_argument("--assay", default=str(SOURCE / "build/release/assay"), help="the binary; kafka_tool is looked for beside it")
    parser.add_argument("--kills", type=int, default=20, help="how many times something is killed with -9")
    parser.add_argument("--rate", type=int, default=20_000, help="records a second")
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3), help="brokers")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is done when")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the servers; may be repeated")
    options = parser.parse_args()
    options.assay = str(Path(options.assay).resolve())
    os.environ["ASSAY"] = options.assay  # broker.py finds kafka_tool by it
    print(f"torture: seed {options.seed}, {options.nodes} brokers, {options.rate:,} records a second, load {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores", flush=True)
    folder, torture, well = Path(tempfile.mkdtemp(prefix="assay-torture-")), None, False
    try:
        torture = Torture(options, folder)
        torture.run()
        well = report(torture, torture.ledger())
    except Unavailable as why:
        print(f"skipped: no real Kafka broker: {why}")
        well = True
    finally:
        if torture:
            torture.close()
        if well:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs are in {folder}", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
