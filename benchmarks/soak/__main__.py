"""``python -m benchmarks.soak [--minutes 20] [--seed 1] [--report docs/soak.md]``; exits 1 if anything was lost."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from .content import content, state
from .load import BUCKET, REGISTER
from .network import BadNetwork
from .report import Facts, written
from .service import Service
from .verdict import Verdict, Window, judge

DIRECT, HARMED = 2, 2
"""Load processes that reach the server directly, and over a bad network."""
ODDS = 400
"""Pieces of 64 KiB or less that the bad network passes on for each fault."""
PAUSE = 8.0
"""Seconds between two events, on average."""
SIEGE = 150.0
"""Seconds of each; an idle limit of the server, which is a minute, passes twice meanwhile."""
STANDSTILL = 4.0
WORKERS = 2


class Soak:
    """Runs load processes and events, and counts them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self.service = Service(folder, WORKERS)
        self.events: Counter[str] = Counter()
        self.sieges: list[Window] = []
        self._loads: dict[str, subprocess.Popen[bytes]] = {}
        self._incarnations = 0

    def run(self, seconds: float) -> None:
        """Run load and events for some seconds."""
        self.service.start()
        self._initial = content("the first", 200)
        with self.service.client() as client:
            client.put_object(BUCKET, REGISTER, self._initial)
        self.network = BadNetwork(self.service.endpoint, ODDS)
        for kind, count in (("direct", DIRECT), ("harmed", HARMED)):
            for _ in range(count):
                self._start_load(kind)
        end = time.monotonic() + seconds
        self._siege()
        while time.monotonic() < end:
            time.sleep(self._random.expovariate(1 / PAUSE))
            self._event()
        self._end_loads()

    def end(self) -> None:
        """End every running process that this one started."""
        self._end_loads()
        self.service.end()

    def judged(self) -> Verdict:
        """Kill the server once more, read everything back, and return the verdict."""
        self.service.kill()
        self.service.start()
        with self.service.client() as client:
            verdict = judge(sorted(self._folder.glob("*.jsonl")), client, state(self._initial), self.sieges)
        self.service.terminate()
        return verdict

    def facts(self, minutes: float, seed: int) -> Facts:
        """Return what happened, once the server has ended."""
        return Facts(
            minutes=minutes,
            seed=seed,
            events=self.events,
            faults=self.network.faults,
            siege=SIEGE,
            fsck=self.service.fsck(),
            stored=self.service.size(),
            errors=self.service.errors(),
        )

    def _event(self) -> None:
        events = {
            self._kill_server: 8,
            self._stop_server: 2,
            self._end_server: 2,
            self._kill_load: 4,
            self._siege: 1,
        }
        event = self._random.choices(list(events), list(events.values()))[0]
        self.events[event.__name__.strip("_").replace("_", " ")] += 1
        event()
        self._replace_loads()

    def _kill_server(self) -> None:
        self.service.kill()
        self.service.start()

    def _end_server(self) -> None:
        self.service.terminate()
        self.service.start()

    def _stop_server(self) -> None:
        self.service.signal(signal.SIGSTOP)
        time.sleep(STANDSTILL)
        self.service.signal(signal.SIGCONT)

    def _kill_load(self) -> None:
        self._loads[self._random.choice(list(self._loads))].kill()

    def _siege(self) -> None:
        """Run strangers against the server for a while without other events."""
        command = [sys.executable, "-m", "benchmarks.soak.strangers", self.service.endpoint, str(SIEGE)]
        with subprocess.Popen(command) as strangers:
            begin = time.monotonic() + 3
            strangers.wait()
            self.sieges.append((begin, time.monotonic() - 1))

    def _end_loads(self) -> None:
        for process in self._loads.values():
            process.kill()
            process.wait()

    def _replace_loads(self) -> None:
        for name, process in list(self._loads.items()):
            if process.poll() is not None:
                del self._loads[name]
                self._start_load(name.partition("-")[0])

    def _start_load(self, kind: str) -> None:
        self._incarnations += 1
        name = f"{kind}-{self._incarnations}"
        access_key, secret_key = self.service.keys
        scratch = self._folder / "scratch"
        scratch.mkdir(exist_ok=True)
        self._loads[name] = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak.load", self._way(kind), name, str(self._folder)],
            env=os.environ
            | {"STORAGE_ACCESS_KEY": access_key, "STORAGE_SECRET_KEY": secret_key}
            | {"SOAK_SCRATCH": str(scratch), "XDG_STATE_HOME": str(scratch)},
        )

    def _way(self, kind: str) -> str:
        return self.network.endpoint if kind == "harmed" else self.service.endpoint


def main() -> int:
    """Run, judge, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), chosen.seed)
        try:
            soak.run(chosen.minutes * 60)
            verdict = soak.judged()
            text = written(soak.facts(chosen.minutes, chosen.seed), verdict)
        finally:
            soak.end()
    sys.stdout.write(text)
    if chosen.report:
        chosen.report.write_text(text, encoding="utf-8")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
