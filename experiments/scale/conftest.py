"""The database of the experiments with real sizes is that of the reliability experiments."""

import pytest

from experiments.reliability.conftest import dynamodb_local

__all__ = ["dynamodb_local"]

pytest.register_assert_rewrite("experiments.scale.people")
