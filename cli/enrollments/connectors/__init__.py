"""``enrollments connectors``: the connectors of credential managers."""
