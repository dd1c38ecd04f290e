"""Move a module's imports to where what they bring is used: in functions, which a start may never call.

usage: defer_imports.py [--only MODULE,...] FILE...

An import stays where it is when anything outside functions uses it, or nothing does.  A function then imports at each
call, which is cheap but not free: this is for modules whose functions are for other uses than ours.  Whether something
is a name of a module that nobody has imported is answered without importing it.
"""

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

type Function = ast.FunctionDef | ast.AsyncFunctionDef
type ImportStatement = ast.Import | ast.ImportFrom

_BRANCHES = (ast.For, ast.If, ast.Try, ast.While, ast.With)
_BLOCKS = ("body", "orelse", "finalbody")


def outermost_functions(body: list[ast.stmt]) -> Iterator[Function]:
    """Yield the functions of a module and of its classes."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif isinstance(statement, ast.ClassDef):
            yield from outermost_functions(statement.body)


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that are used anywhere in nodes."""
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def names_at_import(module: ast.Module) -> set[str]:
    """Return the names that are used when a module is imported, or that it exports."""
    later: list[ast.AST] = [part for function in outermost_functions(module.body) for part in function.body]
    futures = [statement for statement in module.body if isinstance(statement, ast.ImportFrom)]
    if any(statement.module == "__future__" and statement.names[0].name == "annotations" for statement in futures):
        annotations = [getattr(node, kind, None) for node in ast.walk(module) for kind in ("annotation", "returns")]
        later += [annotation for annotation in annotations if isinstance(annotation, ast.expr)]
    inside = {id(inner) for node in later for inner in ast.walk(node)}
    names = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and id(node) not in inside}
    for statement in module.body:
        if isinstance(statement, ast.Assign) and names_in(statement.targets) == {"__all__"}:
            names |= set(ast.literal_eval(statement.value))
    return names


def first_use(block: list[ast.stmt], names: set[str], lines: list[str]) -> ast.stmt:
    """Return the statement before which an import serves all uses in a block, as deep in it as there is one."""
    using = [statement for statement in block if names_in([statement]) & names]
    first = using[0]
    if len(using) > 1 or not isinstance(first, _BRANCHES):
        return first
    inner = [getattr(first, field) for field in _BLOCKS if names_in(getattr(first, field, [])) & names]
    around = [value for field, value in ast.iter_fields(first) if field not in _BLOCKS]
    around = [node for value in around for node in (value if isinstance(value, list) else [value])]
    if len(inner) > 1 or names_in(node for node in around if isinstance(node, ast.AST)) & names:
        return first
    deeper = first_use(inner[0], names, lines)
    return first if lines[deeper.lineno - 1].lstrip().startswith("elif") else deeper


def imports(module: ast.Module, only: Collection[str]) -> Iterator[tuple[ImportStatement, set[str]]]:
    """Yield the imports that can be deferred, each with the names that it brings."""
    needed_at_once = names_at_import(module)
    for statement in module.body:
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        modules = {alias.name for alias in statement.names} if isinstance(statement, ast.Import) else {statement.module}
        names = {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        if not names & needed_at_once and (not only or modules & set(only)):
            yield statement, names


def without_identities(source: str, only: Collection[str]) -> str:
    """Return a source in which ``x is Name`` asks whether the name's module is imported at all."""
    module = ast.parse(source)
    lines = source.splitlines(keepends=True)
    origin = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement, _ in imports(module, only)
        if isinstance(statement, ast.ImportFrom) and statement.level == 0
        for alias in statement.names
    }
    if "sys" not in {alias.name for node in module.body if isinstance(node, ast.Import) for alias in node.names}:
        return source
    for node in ast.walk(module):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Is):
            continue
        name = node.comparators[0]
        if isinstance(name, ast.Name) and name.id in origin:
            whence, known_as = origin[name.id]
            line = lines[name.lineno - 1]
            asked = f'getattr(sys.modules.get("{whence}"), "{known_as}", object())'
            lines[name.lineno - 1] = line[: name.col_offset] + asked + line[name.end_col_offset :]
    return "".join(lines)


def deferred(source: str, only: Collection[str]) -> str:
    """Return a module's source with its imports where they are used.

    Args:
        source: Of the module.
        only: The modules whose imports are deferred; none, and all are.
    """
    used = names_in([ast.parse(source)])
    source = without_identities(source, only)
    module = ast.parse(source)
    lines = source.splitlines(keepends=True)
    inserted: defaultdict[int, str] = defaultdict(str)
    for statement, names in imports(module, only):
        users = [function for function in outermost_functions(module.body) if names_in(function.body) & names]
        if not users and not names & used:
            continue
        numbers = range(statement.lineno - 1, statement.end_lineno or statement.lineno)
        for user in users:
            place = first_use(user.body, names, lines)
            inserted[place.lineno - 1] += "".join(" " * place.col_offset + lines[number] for number in numbers)
        for number in numbers:
            lines[number] = ""
    return "".join(inserted[number] + line for number, line in enumerate(lines))


parser = argparse.ArgumentParser()
parser.add_argument("--only", type=lambda names: names.split(","), default=())
parser.add_argument("files", nargs="+", type=Path)
arguments = parser.parse_args()
for path in arguments.files:
    before = path.read_text()
    after = deferred(before, arguments.only)
    if after == before:
        sys.exit(f"{path}: no import can be deferred")
    path.write_text(f"# Changed from what its authors wrote: imports are where they are used.\n{after}")
