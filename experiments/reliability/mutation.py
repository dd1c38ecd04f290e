"""Mutants of the package ``enrollment`` against the tests that call it in process, by mutmut: ``make test-mutation``.

mutmut changes functions, not what a module does on import, and no function with a decorator other than ``staticmethod``
and ``classmethod``.  A mutant counts as killed when a test fails, hangs, or mypy refuses it.  mutmut forks after the
import, so a function that is called by an import is tried once more in a process of its own.  A mutant that survives
has to be in survivors.toml, with the reason.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments import figures

PROJECT = Path(__file__).parent.parent.parent
# mutmut names a module by its path, so the package is at the top here.
TREE = PROJECT / ".local" / "mutation"
SURVIVORS = Path(__file__).parent / "survivors.toml"
LEAST_SCORE = 90

# What its exit codes stand for: a failed test, a time-out in different ways, mypy.
_KILLED = {1, 3, 36, 37, -24, 24, 152, 255}
_SURVIVED = {0, 5, 33}
# pytest's: all tests passed, a test failed, tests could not be collected, as where the import fails.
_TRIED = {0, 1, 2}


@dataclass(frozen=True)
class Mutant:
    """A changed function, and what became of it.

    Attributes:
        module: For instance ``table``.
        change: The function, and the lines that differ.
        is_killed: Whether it was noticed.
    """

    module: str
    change: str
    is_killed: bool


def main() -> None:
    """Run mutmut where something has changed, say what survives, and leave the figures."""
    _prepare()
    subprocess.run(  # noqa: S603
        [Path(sys.executable).parent / "mutmut", "run", *sys.argv[1:]],
        cwd=TREE,
        env=os.environ
        | {"PYTHONPATH": str(TREE / "cli"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
    )
    _try_on_import()
    report()


def report() -> None:
    """Say what survives, and leave the figures of the last run; end with an error where too much does."""
    os.chdir(TREE)
    mutants = list(_mutants())
    explained = {
        change: each["why"] for each in tomllib.loads(SURVIVORS.read_text())["survivors"] for change in each["changes"]
    }
    survivors = [mutant for mutant in mutants if not mutant.is_killed]
    unexplained = [mutant for mutant in survivors if mutant.change not in explained]
    for mutant in unexplained:
        sys.stdout.write(f"{mutant.change}\n")
    sys.stdout.writelines(
        f"survivors.toml explains what does not survive: {change}\n"
        for change in explained.keys() - {mutant.change for mutant in survivors}
    )

    by_module: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        killed = "killed" if mutant.is_killed else "explained" if mutant.change in explained else "unexplained"
        for module in (mutant.module, "all"):
            by_module[module][killed] += 1
    figures.record(
        "mutation",
        "Mutants of the package `enrollment`",
        [
            {
                "module": module,
                "mutants": counts.total(),
                "killed": counts["killed"],
                "explained": counts["explained"],
                "unexplained": counts["unexplained"],
                "score, %": round(100 * counts["killed"] / counts.total(), 1),
            }
            for module, counts in sorted(by_module.items(), key=lambda each: (each[0] == "all", each[0]))
        ],
    )
    score = 100 * by_module["all"]["killed"] / len(mutants)
    sys.stdout.write(f"{score:.1f} % of {len(mutants)} mutants are killed; {len(unexplained)} survive unexplained\n")
    if unexplained or score < LEAST_SCORE:
        sys.exit(1)


def _prepare() -> None:
    """Copy what the tests need; mutmut keeps its results beside it, and knows what has changed since."""
    TREE.mkdir(parents=True, exist_ok=True)
    for name in (
        "cli",
        "docs",
        "enrollment",
        "events",
        "experiments",
        "functions",
        "layers",
        "requirements",
        "tests",
        "mutants/experiments",
        "mutants/tests",
    ):
        shutil.rmtree(TREE / name, ignore_errors=True)
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=PROJECT, text=True).split("\0")  # noqa: S607
    for name in filter(None, tracked):
        if (PROJECT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, TREE / name)
    shutil.copytree(TREE / "layers" / "enrollment" / "enrollment", TREE / "enrollment")
    # Which tests reach a function is asked anew: mutmut knows nothing of functions that are new.
    (TREE / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)


def _try_on_import() -> None:
    """Try the survivors among the functions that are called by an import in processes that begin with the mutant."""
    called = {
        f"{'.'.join(path.relative_to(TREE).with_suffix('').parts)}.x_{name}"
        for path in (TREE / "enrollment").rglob("*.py")
        for name in _called_by_import(path)
    }
    selection = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["mutmut"]
    command = [sys.executable, "-m", "pytest", "-x", "-q", *selection["pytest_add_cli_args"]]
    command += selection["pytest_add_cli_args_test_selection"]

    def try_one(name: str) -> int:
        variables = {"MUTANT_UNDER_TEST": name, "PYTHONPATH": f"{TREE / 'mutants'}:{TREE / 'cli'}"}
        tried = subprocess.run(  # noqa: S603
            command, cwd=TREE / "mutants", env=os.environ | variables, capture_output=True, text=True, check=False
        )
        if tried.returncode not in _TRIED:
            sys.exit(f"{name}: the tests cannot be run\n{tried.stdout[-2000:]}")
        return tried.returncode

    if try_one("") != 0:
        sys.exit("the tests fail without a mutant")
    for meta in sorted((TREE / "mutants" / "enrollment").rglob("*.meta")):
        found = json.loads(meta.read_text())
        codes = found["exit_code_by_key"]
        for name, code in codes.items():
            if code in _SURVIVED and name.partition("__mutmut_")[0] in called:
                codes[name] = try_one(name)
        meta.write_text(json.dumps(found, indent=4))


def _called_by_import(path: Path) -> set[str]:
    """Return the names of a module's functions that are called where no function is defined."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def _mutants() -> Iterator[Mutant]:
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415 - only its own environment has it

    for meta in sorted(Path("mutants/enrollment").rglob("*.meta")):
        module = ".".join(meta.relative_to("mutants/enrollment").parts).removesuffix(".py.meta")
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            if code not in _KILLED | _SURVIVED:
                sys.exit(f"{name} was not tried: {code}")
            is_killed = code in _KILLED
            change = "" if is_killed else _change(name, get_diff_for_mutant(name))
            yield Mutant(module, change, is_killed)


def _change(name: str, difference: str) -> str:
    function = name.partition("__mutmut_")[0].removeprefix("enrollment.").replace("x_", "", 1).replace("xǁ", "")
    lines = difference.splitlines()[2:]
    before, after = ([line[1:].strip() for line in lines if line[:1] == sign] for sign in "-+")
    return f"{function.replace('ǁ', '.')}: {' '.join(before)} → {' '.join(after)}"


if __name__ == "__main__":
    main()
