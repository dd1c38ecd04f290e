"""A list of ten thousand, in a file of its own: it takes as long as many others together."""

import pytest

from tests.acceptance.crowd import crowd, occurrences
from tests.acceptance.large import takes_seconds
from tests.acceptance.sdk import Sdk, installed, python


@takes_seconds
@pytest.mark.timeout(300)
def test_a_paginator_returns_each_of_ten_thousand_once_while_others_come_and_go() -> None:
    sdk = installed(Sdk(python(3)))
    with crowd(10_000) as ten_thousand:
        with ten_thousand.coming_and_going() as done:
            records = sdk.all_pages(ten_thousand.service, "/user_identities/list", {"limit": 1000})

        assert occurrences(records, ten_thousand.ids) == ({1}, 1)
        assert min(done["created"], done["deleted"]) > 0
