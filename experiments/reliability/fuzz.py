"""Bodies and tokens that atheris makes up, guided by which lines of the service they reach: ``make fuzz``.

Arguments are libFuzzer's.  What it finds it keeps in .local/fuzz, and a file that it names there runs again as an
argument.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["enrollment", "app"]):
    from experiments.reliability.handlers import running_service

from experiments.reliability.hostile import as_text, plain, routes, seeds, token_event_of

FOLDER = Path(__file__).parent.parent.parent / ".local" / "fuzz"
_ROUTES = [route for route in routes() if route[1] == "POST"]
_RESOURCES = [resource for resource, _ in _ROUTES]
_AT_ONCE = 500  # then the table is looked at, and made what it was


def main() -> None:
    """Fuzz until libFuzzer's arguments say that it is enough; a finding ends it."""
    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for index, (resource, text) in enumerate(seeds()):
        target = len(_ROUTES) if resource is None else _RESOURCES.index(resource)
        (corpus / f"seed-{index}").write_bytes(text.encode() + bytes([target]))
    with running_service() as service:
        asked = 0

        def try_out(data: bytes) -> None:
            nonlocal asked
            asked += 1
            target, text = data[-1] % (len(_ROUTES) + 1) if data else 0, data[:-1].decode(errors="surrogateescape")
            event = token_event_of(text) if target == len(_ROUTES) else plain(*_ROUTES[target], body=text)
            problems = [*service.ask(event).problems, *(service.restore() if asked % _AT_ONCE == 0 else [])]
            if problems:
                raise AssertionError(f"{problems}\n{as_text(event)}")

        atheris.Setup([sys.argv[0], f"-artifact_prefix={FOLDER}/", *sys.argv[1:], str(corpus)], try_out)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
