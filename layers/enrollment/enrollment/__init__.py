"""Enrollment automations: the domain and its table.

Imports go one way: ``api`` → the use cases (``automations``, ``tokens``) → ``model``, ``table``, ``errors``.
Only ``api`` knows API Gateway, only ``settings`` reads the environment, only ``table`` knows DynamoDB.
"""
