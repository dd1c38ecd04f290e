"""API Gateway's events in, JSON out; used by functions only."""
