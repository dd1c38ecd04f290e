"""What tests and experiments share."""

pytest_plugins = ["tests.fixtures"]
