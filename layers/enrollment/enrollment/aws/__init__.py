"""What AWS gives a function: its clients, its credentials, and the time that an invocation has."""
