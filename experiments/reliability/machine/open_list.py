"""A list whose pages are read one by one."""

from dataclasses import dataclass

from experiments.reliability.model.calls import Call


@dataclass
class OpenList:
    """A list that is read page by page while other things happen."""

    call: Call
    who: str
    id_name: str
    there_at_first: set[str]
    seen: list[str]
    cursor: str
