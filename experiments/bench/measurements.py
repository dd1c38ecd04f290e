"""Takes turns: every contestant starts once a round, in another order each time, and then all answer event by event.

So whatever else the machine does meanwhile is shared out, and a ratio is of neighbours.
"""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from experiments.bench.contestants import EVENTS, FOLDER, Contestant
from experiments.bench.sandbox import Sandbox

_OWN_WORK_REQUESTS = 200
_COUNTED_REQUESTS = 10


@dataclass(frozen=True)
class Database:
    """The database's stand-in.

    Attributes:
        port: Where it listens.
    """

    port: int

    def asked(self) -> list[str]:
        """Return the operations that it was asked for since the last time."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as response:
            asked: list[str] = json.load(response)
            return asked


@contextmanager
def database(latency_milliseconds: float) -> Iterator[Database]:
    """Run the database's stand-in.

    Args:
        latency_milliseconds: How long it waits before each answer.
    """
    command = [sys.executable, "-m", "experiments.bench.dynamodb", str(latency_milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            yield Database(int(process.stdout.readline()))
        finally:
            process.terminate()


@dataclass
class Found:
    """The measurements of a contestant.  A list has one element for each round, or for each turn of warm requests.

    Attributes:
        start: Milliseconds from the process's start until it asks for an event.
        first: Milliseconds of the first request.
        sum_cpu: CPU milliseconds of both.
        warm: Milliseconds of each warm request.
        warm_cpu: CPU milliseconds of the process for each warm request, the runtime client's included.
        peak: Megabytes of memory at the most.
        own: Median CPU milliseconds in the handler, without what it spends in botocore's API calls.
        asked_first: Requests to DynamoDB for the first request.
        asked_warm: Requests to DynamoDB for each warm one.
        instructions_start: Million instructions until the first request is answered, and the process ended.
        instructions_warm: Million instructions for each warm request.
    """

    start: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    sum_cpu: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    warm_cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    own: float | None = None
    asked_first: int = 0
    asked_warm: float = 0
    instructions_start: float | None = None
    instructions_warm: float | None = None

    @property
    def sum(self) -> list[float]:
        """Start and first request."""
        return [start + first for start, first in zip(self.start, self.first, strict=True)]

    @property
    def percentile_99(self) -> float:
        """Of the warm requests."""
        return quantiles(self.warm, n=100)[98]


type Findings = dict[Contestant, Found]


def take_turns(runtime: Path, contestants: list[Contestant], at: Database, rounds: int, requests: int) -> Findings:
    """Time starts and requests.

    Args:
        runtime: The runtime client's folder.
        contestants: In the order of the first round.
        at: The database.
        rounds: How often each one is started.
        requests: How many warm requests each one answers a round.
    """
    found: Findings = {contestant: Found() for contestant in contestants}
    for turn in range(-1, rounds):  # the first brings files into memory, and does not count
        shift = turn % len(contestants)
        with ExitStack() as running:
            sandboxes = {}
            for contestant in contestants[shift:] + contestants[:shift]:
                at.asked()
                sandbox = running.enter_context(Sandbox(contestant, runtime, at.port))
                sandboxes[contestant] = sandbox
                first = sandbox.invoke(EVENTS[contestant.event])
                _require_success(contestant, first.body)
                if turn < 0:
                    continue
                found[contestant].start.append(sandbox.start_milliseconds)
                found[contestant].first.append(first.milliseconds)
                found[contestant].sum_cpu.append(sandbox.start_cpu_milliseconds + first.cpu_milliseconds)
                found[contestant].asked_first = len(at.asked())
            if turn < 0:
                continue
            for _ in range(requests):
                for contestant, sandbox in sandboxes.items():
                    answer = sandbox.invoke(EVENTS[contestant.event])
                    found[contestant].warm.append(answer.milliseconds)
                    found[contestant].warm_cpu.append(answer.cpu_milliseconds)
            for contestant, sandbox in sandboxes.items():
                at.asked()
                for _ in range(_COUNTED_REQUESTS):
                    sandbox.invoke(EVENTS[contestant.event])
                found[contestant].asked_warm = len(at.asked()) / _COUNTED_REQUESTS
                found[contestant].peak.append(sandbox.peak_megabytes)
    return found


def _require_success(contestant: Contestant, body: bytes) -> None:
    answer = json.loads(body)
    if "policyDocument" in answer:
        assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow", (contestant, answer)
    else:
        assert answer["statusCode"] == 200, (contestant, answer)


def look_inside(runtime: Path, at: Database, findings: Findings) -> None:
    """Add the functions' own work, in processes that are not timed otherwise."""
    for contestant, found in findings.items():
        with Sandbox(contestant, runtime, at.port, handler="probe.lambda_handler") as sandbox:
            for _ in range(_OWN_WORK_REQUESTS):
                sandbox.invoke(EVENTS[contestant.event])
            told = [json.loads(line) for line in re.findall(r"^bench: (.+)$", sandbox.log, re.MULTILINE)]
        # The first ones are not warm.
        found.own = median([entry["ns"] / 1e6 for entry in told if entry["what"] == "handler"][20:])


def count_instructions(runtime: Path, at: Database, findings: Findings) -> None:
    """Add the instructions, as valgrind counts them: nearly the same in each run, however busy the machine is."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        sys.exit("valgrind is needed for --instructions")
    for contestant, found in findings.items():
        counts = {}
        for requests in (1, 1 + _COUNTED_REQUESTS):
            counted = FOLDER / "callgrind.out"
            options = ["--tool=callgrind", f"--callgrind-out-file={counted}"]
            command = [valgrind, "--quiet", *options, str(Path(sys.base_prefix) / "bin/python3.13")]
            with Sandbox(contestant, runtime, at.port, command=command) as sandbox:
                for _ in range(requests):
                    sandbox.invoke(EVENTS[contestant.event])
            totals = re.findall(r"^(?:totals|summary): (\d+)$", counted.read_text(), re.MULTILINE)
            counts[requests] = int(totals[-1]) / 1e6
        found.instructions_start = counts[1]
        found.instructions_warm = (counts[1 + _COUNTED_REQUESTS] - counts[1]) / _COUNTED_REQUESTS
