"""A worker that can be told at which line to die or to stand still, and the lines there are.

As a program it prepares once, then lives one life, a fork of its own, for each order it reads.
"""

import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType, FrameType
from typing import IO, Any, NoReturn

from tests.services import ROOT, guard

FOLDER = ROOT / "campaigns"
FILES = {
    str(FOLDER / name): name.rpartition("/")[2]
    for name in (
        "delivery.py",
        "facts.py",
        "verdicts.py",
        "fence.py",
        "calling.py",
        "gateways/wire.py",
        "gateways/twilio.py",
    )
}


@dataclass(frozen=True, slots=True)
class Order:
    """One life: the business time, where the provider is, and at which line it ends, if any."""

    at: str
    url: str
    end_at: str = ""
    time: int = 1  # that this line is come to
    stop: bool = False  # there and go on when told to, instead of dying


@dataclass(frozen=True, slots=True)
class Life:
    """How often each line was come to, and whether the life ended there, or stands still."""

    died: bool
    reached: dict[str, int]
    stopped: bool = False


# --- lines -------------------------------------------------------------------------------------


def name(code: CodeType, line: int) -> str:
    """Such as fence.py:_record+3, which outlives changes elsewhere in the file."""
    return f"{FILES[code.co_filename]}:{code.co_qualname}+{line - code.co_firstlineno}"


def lines_of(code: CodeType) -> set[int]:
    """The lines of a function that are executed when it runs, its first only if it has no other."""
    lines = {line for _start, _end, line in code.co_lines() if line}
    return lines - {code.co_firstlineno} or lines


def functions() -> Iterator[CodeType]:
    """Every function in those files, and every one within it."""
    for path in FILES:
        module = compile(Path(path).read_text(encoding="utf-8"), path, "exec")
        yield from (code for code in _within(module) if code.co_flags & inspect.CO_NEWLOCALS)


def _within(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _within(inner)


class Watch:
    """Counts the lines that are come to in every thread, and kills the process at one of them."""

    def __init__(self, order: Order) -> None:
        self.reached: Counter[str] = Counter()
        self._order = order

    def begin(self) -> None:
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def end(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _enter(self, frame: FrameType, event: str, told: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if frame.f_code.co_firstlineno in lines_of(frame.f_code):
            self._come_to(frame)
        return self._step

    def _step(self, frame: FrameType, event: str, told: Any) -> Any:
        if event == "line" and frame.f_lineno != frame.f_code.co_firstlineno:
            self._come_to(frame)
        return self._step

    def _come_to(self, frame: FrameType) -> None:
        place = name(frame.f_code, frame.f_lineno)
        self.reached[place] += 1
        if place == self._order.end_at and self.reached[place] == self._order.time:
            # To this thread: another would take it up while this one runs on for an instant.
            ending = signal.SIGSTOP if self._order.stop else signal.SIGKILL
            signal.pthread_kill(threading.get_ident(), ending)


# --- lives -------------------------------------------------------------------------------------


def live(order: Order) -> None:
    """Carry out what is due in a fork, which ends here or earlier; what it came to is printed."""
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        os.close(ours)
        _live_and_end(order, theirs)
    os.close(theirs)
    _pid, ending = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(ending):
        _tell(Life(died=False, reached={}, stopped=True))
        sys.stdin.readline()  # the word to go on
        os.kill(child, signal.SIGCONT)
        _pid, ending = os.waitpid(child, 0)
    died = os.WIFSIGNALED(ending) and os.WTERMSIG(ending) == signal.SIGKILL
    assert died or not ending, f"ended by {ending}, not as it was told"
    with open(ours, encoding="utf-8") as told:
        said = told.read()
    _tell(Life(died, json.loads(said) if said else {}))


def _tell(life: Life) -> None:
    print(json.dumps(asdict(life)), flush=True)


def _live_and_end(order: Order, tell: int) -> NoReturn:
    ending = 1
    try:
        with open(tell, "w", encoding="utf-8") as told:
            json.dump(_work(order), told)
        ending = 0
    finally:
        if ending:
            traceback.print_exc()
        os._exit(ending)


def _work(order: Order) -> dict[str, int]:
    # Once it is prepared: these need the settings.
    from django.conf import settings  # noqa: PLC0415

    from campaigns import delivery  # noqa: PLC0415

    settings.TWILIO_BASE_URL = order.url
    at = datetime.fromisoformat(order.at)
    watch = Watch(order)
    watch.begin()
    delivery.turns(now=lambda: at, until=float("inf"))
    watch.end()
    return dict(watch.reached)


def _prepare() -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.db import connections  # noqa: PLC0415

    from campaigns import delivery, quiet_hours  # noqa: F401, PLC0415

    quiet_hours.window(
        quiet_hours.load(),
        at=datetime.now(UTC),
        country="US",
        states=("NY",),
        zones=("America/New_York",),
    )
    connections.close_all()


class Mortal:
    """The prepared process, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live(self, order: Order) -> Life:
        """What became of one life, or where it stands still."""
        return self._ask(json.dumps(asdict(order)))

    def go_on(self) -> Life:
        """What became of the life that stood still."""
        return self._ask("go on")

    def _ask(self, word: str) -> Life:
        told, said = _pipes(self._process)
        told.write(f"{word}\n")
        told.flush()
        line = said.readline()
        assert line, "the prepared process is gone; its error stands above"
        return Life(**json.loads(line))


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@contextmanager
def mortal(env: Mapping[str, str]) -> Iterator[Mortal]:
    """A prepared process in this environment."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.mortal"],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        guard.toggle(process.pid)
        try:
            yield Mortal(process)
        finally:
            _pipes(process)[0].close()
            process.wait(10)
            guard.toggle(process.pid)


if __name__ == "__main__":
    _prepare()
    while order := sys.stdin.readline():
        live(Order(**json.loads(order)))
