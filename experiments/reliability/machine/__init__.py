"""Sequences of requests that Hypothesis makes up, answered by the service and by the model."""
