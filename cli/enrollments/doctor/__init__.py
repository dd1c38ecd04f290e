"""``enrollments doctor``: whether a deployed system works, and what to do if it does not."""
