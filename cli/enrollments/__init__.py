"""The operator's command ``enrollments``."""
