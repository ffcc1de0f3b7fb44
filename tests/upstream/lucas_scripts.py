"""Run every script of Lucas on genuine Lucas and on the embedded engine, and write down what became of them.

    LUCAS_SRC=CHECKOUT python tests/upstream/lucas_scripts.py [SCRIPT ...]

Without scripts, all of the checkout are run and the table of docs/compatibility.md is written; with some, theirs is
printed. Each run is a process of its own in a fresh copy of the scripts, with a time limit. Whoever needs the actor
platform finds an embedded controller where Lucas's scripts look for ignis, and genuine Lucas finds a master of its
cluster there; nothing else is provided: no Redis, no knative, no network. What is on PYTHONPATH is there on both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import psutil

from actorc.controller.local import LocalController

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "compatibility.md"
BEGIN: Final = "<!-- scripts of Lucas: written by tests/upstream/lucas_scripts.py -->"
END: Final = "<!-- end of the scripts of Lucas -->"
HEADER: Final = "| script | platform | genuine Lucas | embedded engine |"
FOLDERS: Final = ("benchmark", "demo", "tests")
SECONDS: Final = 60
GOOD: Final = ("runs", "serves")
NEEDS_LUCAS: Final = "says that it needs genuine Lucas"
OTHERWISE: Final = "runs, with another result"
APP_ID: Final = "scripts"
_PORT: Final = re.compile(r"localhost:(\d{5})")
_TIME: Final = re.compile(r"\d+\.\d+(e-?\d+)?")
_CHECKOUT: Final = re.compile(r"(?<![\w.])/[\w./+-]*/")
_REASON: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A file of the checkout."""

    name: str
    text: str

    @property
    def platform(self) -> str:
        """What it names: a platform that has to be there, `local-once`, or nothing if it does not import Lucas."""
        if "lucas.cluster" in self.text:
            return "cluster"
        if "lucas.actorc" in self.text or "import ActorContext" in self.text:
            return "actor"
        return "local-once" if re.search(r"^\s*(from|import) (lucas|index)\b", self.text, re.MULTILINE) else ""

    @property
    def port(self) -> int:
        """Where it looks for its platform."""
        found = _PORT.search(self.text)
        return int(found[1]) if found else 50051


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a script on one engine."""

    said: str
    """What the table shows."""
    last_line: str = ""
    """What it printed at its end, times aside."""


def scripts(checkout: Path) -> list[Script]:
    """Return what may be run of the checkout, in the order of the names; packages that scripts import are left out."""
    files = [file for folder in FOLDERS for file in sorted((checkout / folder).rglob("*.py"))]
    named = {str(file.relative_to(checkout)): file for file in files if "utils" not in file.parts}
    return [Script(name=name, text=file.read_text(encoding="utf-8")) for name, file in named.items()]


def row(script: Script, checkout: Path) -> str:
    """Run a script on both engines and return its row of the table."""
    genuine = run(script, checkout, genuine=True)
    embedded = run(script, checkout, genuine=False)
    said = embedded.said
    if genuine.said == said == "runs" and genuine.last_line != embedded.last_line:
        said = OTHERWISE
        print(f"{script.name}: {genuine.last_line!r} became {embedded.last_line!r}", file=sys.stderr)
    return f"| `{script.name}` | {script.platform} | {genuine.said} | {said} |"


def run(script: Script, checkout: Path, *, genuine: bool) -> Outcome:
    """Run a script with plain Python and genuine Lucas, or with `lucas-storage run`, and return what became of it."""
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        for folder in FOLDERS:
            shutil.copytree(checkout / folder, scratch / folder)
        file = scratch / script.name
        path = [str(checkout)] * genuine + os.environ.get("PYTHONPATH", "").split(os.pathsep)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("STORAGE_", "IGNIS_"))}
        env |= {"PYTHONPATH": os.pathsep.join(filter(None, path)), "MPLBACKEND": "Agg", "LUCAS_LOG": "4"}
        env |= {"LUCAS_STORAGE_CACHE_DIR": str(scratch / "cache")}
        if script.platform == "actor":
            address = stack.enter_context(controller(script.port, file.parent))
            env |= {"MASTER_ADDR": address, "IGNIS_ADDR": address, "APP_ID": APP_ID}
        elif script.platform == "cluster" and genuine:
            stack.enter_context(master(script.port, scratch, env))
        command = ["-c", "from lucas_storage.cli.main import main; main()", "run", file.name]
        return ended([sys.executable, *([file.name] if genuine else command)], file.parent, env)


def ended(command: list[str], cwd: Path, env: dict[str, str]) -> Outcome:
    """Run a command to its end, or to that of the time it has, and return what became of it."""
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome(said="serves" if listens(process.pid) else f"no end within {SECONDS} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for stream in (out, err):
            stream.seek(0)
        lines, complaint = out.read().split("\n"), err.read()
    if code:
        return Outcome(said=reason(complaint))
    return Outcome(said="runs", last_line=_TIME.sub("#", next(filter(None, reversed(lines)), "")))


def listens(pid: int) -> bool:
    """Say whether a process waits for connections."""
    return any(each.status == psutil.CONN_LISTEN for each in psutil.Process(pid).net_connections("tcp"))


def reason(complaint: str) -> str:
    """Return why a script failed, without the names of folders."""
    raised = [line for line in complaint.splitlines() if re.match(r"[A-Za-z_][\w.]*(Error|Exception|NotFound)\b", line)]
    shown = _CHECKOUT.sub("", (raised or complaint.splitlines() or ["no reason given"])[-1]).replace("|", "\\|")
    if "needs genuine Lucas" in shown:
        return NEEDS_LUCAS
    return shown if len(shown) <= _REASON else f"{shown[:_REASON].rstrip()}…"


@contextlib.contextmanager
def controller(port: int, folder: Path) -> Iterator[str]:
    """Run an embedded controller where a script looks for ignis."""
    with LocalController((APP_ID,), listen=f"127.0.0.1:{port}", cwd=folder) as running:
        yield running.address


@contextlib.contextmanager
def master(port: int, folder: Path, env: dict[str, str]) -> Iterator[None]:
    """Run a master of genuine Lucas's cluster, which runs functions by itself."""
    command = [sys.executable, "-m", "lucas.cluster.server", "master", "--port", str(port)]
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=env, **quiet) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=SECONDS)
            yield
        finally:
            process.kill()


def cells(line: str) -> list[str]:
    """Return the cells of a row."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def totals(rows: list[str]) -> str:
    """Return how many scripts run where."""
    kinds: Counter[str] = Counter()
    for _, platform, genuine, embedded in map(cells, rows):
        kinds["all"] += 1
        kinds["genuine"] += genuine in GOOD
        kinds["embedded"] += embedded in GOOD
        kinds["cluster"] += genuine in GOOD and embedded not in GOOD and platform == "cluster"
        kinds["lost"] += genuine in GOOD and embedded not in GOOD and platform != "cluster"
        kinds["won"] += genuine not in GOOD and embedded in GOOD
    return (
        f"Of {kinds['all']} scripts, {kinds['genuine']} run on genuine Lucas and {kinds['embedded']} on the engine:"
        f" {kinds['cluster']} on genuine\nLucas alone because they need its cluster, {kinds['lost'] or 'no'} other, and"
        f" {kinds['won']} on the engine alone."
    )


def write(rows: list[str]) -> None:
    """Put the table between its markers."""
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join([totals(rows), "", HEADER, "| --- | --- | --- | --- |", *rows])
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help="as in demo/fib/index.py")
    chosen = parser.parse_args().scripts
    checkout = Path(os.environ.get("LUCAS_SRC") or sys.exit("LUCAS_SRC names no checkout of Lucas")).resolve()
    rows = []
    for script in scripts(checkout):
        if not chosen or script.name in chosen:
            rows.append(row(script, checkout))
            print(rows[-1], flush=True)
    if not chosen:
        write(rows)
    print(totals(rows))


if __name__ == "__main__":
    main()
