"""Requests and answers, one module a subject."""
