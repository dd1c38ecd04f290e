"""Cut botocore's data down to the services and operations that the functions call.

usage: cut_botocore_data.py DATA SERVICE=OPERATION,... ...

DATA is the folder ``botocore/data``.  It describes 400 services in 25 MB, and each start reads the whole list of
endpoints and the whole description of each service that it uses.

A newer botocore must not fail a build because of this: whatever is not laid out as expected stays as published, and a
line on standard error says so.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

type Document = dict[str, Any]


def versions_of(service: Path) -> list[Path]:
    """Return the folders of a service's APIs, which are named for a day, the latest last."""
    return sorted(folder for folder in service.glob("[0-9][0-9][0-9][0-9]-*") if folder.is_dir())


def remove_other_services(data: Path, services: Collection[str]) -> None:
    """Remove the folders of all services but these."""
    for folder in list(data.iterdir()):
        if folder.name not in services and versions_of(folder):
            shutil.rmtree(folder)


def remove_what_no_client_reads(service: Path) -> None:
    """Remove a service's earlier APIs, of which botocore takes the latest, and the examples for its documentation."""
    for version in versions_of(service)[:-1]:
        shutil.rmtree(version)
    for examples in list(service.rglob("examples-1.json*")):
        examples.unlink()


def endpoints_of(endpoints: Document, services: Collection[str]) -> Document:
    """Return the list of endpoints with these services only."""
    partitions = [
        {**partition, "services": {name: found for name, found in partition["services"].items() if name in services}}
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def description_of(service: Document, operations: Collection[str]) -> Document:
    """Return a service's description with these operations and the shapes that they need, without documentation."""
    service = without_documentation(service)
    kept = {name: operation for name, operation in service["operations"].items() if name in operations}
    needed: set[str] = set()
    found = shapes_in(kept)
    while found:
        needed |= found
        found = shapes_in([service["shapes"][name] for name in found]) - needed
    shapes = {name: shape for name, shape in service["shapes"].items() if name in needed}
    return {**service, "operations": kept, "shapes": shapes}


def without_documentation(part: Any) -> Any:
    """Return a part of a description without its texts; a shape's member can be called ``documentation``, too."""
    if isinstance(part, list):
        return [without_documentation(element) for element in part]
    if not isinstance(part, dict):
        return part
    return {
        name: without_documentation(value)
        for name, value in part.items()
        if not (name == "documentation" and isinstance(value, str))
    }


def shapes_in(part: Any) -> set[str]:
    """Return the names of the shapes that a part of a description refers to."""
    if isinstance(part, list):
        return set().union(*map(shapes_in, part))
    if not isinstance(part, dict):
        return set()
    referred = {part["shape"]} if isinstance(part.get("shape"), str) else set()
    return referred.union(*map(shapes_in, part.values()))


def rewrite(file: Path, cut: Callable[[Document], Document]) -> None:
    """Replace a file of JSON by what is left of it, uncompressed, which is read sooner."""
    content = file.read_bytes()
    try:
        left = cut(json.loads(gzip.decompress(content) if file.suffix == ".gz" else content))
    except Exception as error:  # noqa: BLE001 - whatever it is, the published file does as well
        sys.stderr.write(f"{file} stays as published, because it is not laid out as expected: {error!r}\n")
        return
    file.unlink()
    file.with_name(file.name.removesuffix(".gz")).write_text(json.dumps(left, separators=(",", ":")))


def main() -> None:
    """Cut the data."""
    data = Path(sys.argv[1])
    services = {
        service: operations.split(",") for service, _, operations in (word.partition("=") for word in sys.argv[2:])
    }
    remove_other_services(data, services)
    for file in data.glob("endpoints.json"):
        rewrite(file, partial(endpoints_of, services=services))
    for service, operations in services.items():
        if not (data / service).is_dir():
            continue
        remove_what_no_client_reads(data / service)
        for file in list((data / service).glob("*/service-2.json*")):
            rewrite(file, partial(description_of, operations=operations))


if __name__ == "__main__":
    main()
