"""Tests of large numbers: `make test-large` runs them, alone on the machine."""

import os

import pytest

IS_ALONE = "ENROLLMENTS_SOON_SECONDS" in os.environ
takes_seconds = pytest.mark.skipif(not IS_ALONE, reason="takes seconds; `make test-large`")
