"""The parts of a start, by Python's ``-X importtime`` and a probe: a bar chart in the terminal, and an SVG."""

import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from xml.sax.saxutils import escape

from experiments.bench.contestants import FOLDER, Contestant
from experiments.bench.measurements import Database
from experiments.bench.sandbox import Sandbox

_PYTHON = str(Path(sys.base_prefix) / "bin/python3.13")
_RUNS = 5
_LEAST_SHARE = 0.01
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| ( *)(\S+)$")
_RUNTIME_CLIENT = "runtime client"
_REST = "the rest"
# Packages that are there for another one only.
_BELONGS_TO = {
    "_pydantic_core": "pydantic",
    "annotated_types": "pydantic",
    "awslambdaric": _RUNTIME_CLIENT,
    "dateutil": "botocore",
    "jmespath": "botocore",
    "probe": _RUNTIME_CLIENT,
    "pydantic_core": "pydantic",
    "runtime_client": _RUNTIME_CLIENT,
    "simplejson": _RUNTIME_CLIENT,
    "six": "botocore",
    "snapshot_restore_py": _RUNTIME_CLIENT,
    "typing_inspection": "pydantic",
    "urllib3": "botocore",
}

type Parts = dict[str, float]


def parts_of_start(contestant: Contestant, runtime: Path, at: Database) -> Parts:
    """Return the shares of a start, of 1, in the order in which they are spent.

    A package has its own modules and what is first imported for them of the standard library; the function's module has
    its own work but for the making of clients.

    Args:
        contestant: Whose start.
        runtime: The runtime client's folder.
        at: The database.
    """
    runs = [_one_start(contestant, runtime, at) for _ in range(_RUNS)]
    medians = {part: median(run.get(part, 0.0) for run in runs) for part in runs[-1]}
    shares = {part: milliseconds / sum(medians.values()) for part, milliseconds in medians.items()}
    shown = {part: share for part, share in shares.items() if share >= _LEAST_SHARE}
    return {**shown, _REST: 1 - sum(shown.values())}


def _one_start(contestant: Contestant, runtime: Path, at: Database) -> Parts:
    begun = time.perf_counter_ns()
    subprocess.run([_PYTHON, "-S", "-c", ""], check=True)  # noqa: S603
    interpreter = (time.perf_counter_ns() - begun) / 1e6
    command = [_PYTHON, "-X", "importtime"]
    with Sandbox(contestant, runtime, at.port, command=command, handler="probe.lambda_handler") as sandbox:
        total, log = sandbox.start_milliseconds, sandbox.log

    milliseconds: defaultdict[str, float] = defaultdict(float)
    client = in_client = 0.0
    names: dict[int, str] = {}  # by depth: what imports, read from the last line to the first
    for line in reversed(log.splitlines()):
        if line.startswith("bench: "):
            told = json.loads(line.removeprefix("bench: "))
            if told["what"] == "client":
                in_client += told.get("ends", 0) / 1e6 - told.get("begins", 0) / 1e6
                if "begins" in told:
                    client, in_client = client + in_client, 0.0
            continue
        imported = _IMPORT.match(line)
        if not imported:
            continue
        own, depth, package = int(imported[1]) / 1000, len(imported[2]) // 2, imported[3].partition(".")[0]
        if package in sys.stdlib_module_names or package.startswith("_"):
            package = names.get(depth - 1, _RUNTIME_CLIENT if depth == 0 else "app")
        names[depth] = package
        milliseconds[_BELONGS_TO.get(package, package)] += own
    # A client is made while the function's module is executed, and mostly of what is imported already.
    milliseconds["app"] -= client
    parts = {"interpreter": interpreter, _RUNTIME_CLIENT: milliseconds.pop(_RUNTIME_CLIENT)}
    rest = {"enrollment": milliseconds.pop("enrollment", 0.0), "app.py": max(milliseconds.pop("app"), 0.0)}
    packages = dict(sorted(milliseconds.items(), key=lambda part: part[1], reverse=True))
    parts |= {**packages, **rest, "making clients": client}
    return {**parts, "unaccounted": max(total - sum(parts.values()), 0.0)}


def bars(title: str, parts: Parts, width: int = 60) -> str:
    """Return a bar chart for the terminal."""
    lines = [f"  {part:<24} {share:4.0%}  {'█' * round(share * width)}" for part, share in parts.items()]
    return "\n".join([title, *lines])


def as_rows(charts: dict[str, Parts]) -> list[dict[str, str]]:
    """Return the shares as rows of a document's table, those of one chart beside those of the others."""
    parts = dict.fromkeys(part for shares in charts.values() for part in shares if part != _REST)
    return [
        {"part": part} | {title: f"{shares[part]:.0%}" if part in shares else "" for title, shares in charts.items()}
        for part in [*parts, _REST]
    ]


def write_svg(charts: dict[str, Parts]) -> Path:
    """Write the bar charts, each under its title, and return the file."""
    row, left, full = 18, 190, 560
    shapes: list[str] = []
    y = 10
    for title, parts in charts.items():
        y += 2 * row
        shapes.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}</text>')
        largest = max(parts.values())
        for part, share in parts.items():
            y += row
            shapes.append(
                f'<text x="{left - 8}" y="{y}" text-anchor="end">{escape(part)}</text>'
                f'<rect x="{left}" y="{y - 12}" width="{full * share / largest:.1f}" height="{row - 4}" fill="#47a"/>'
                f'<text x="{left + full * share / largest + 6:.1f}" y="{y}">{share:.0%}</text>'
            )
    picture = FOLDER / "start.svg"
    picture.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + full + 60}" height="{y + row}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )
    return picture
