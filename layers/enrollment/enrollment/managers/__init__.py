"""Credential managers: the protocol that they speak, and those that speak it."""
