"""Imports and exports a workspace's directory: ACS systems, their credential pools and their users."""
