"""Whole workspaces out of a table and into another one, or back into the same."""
