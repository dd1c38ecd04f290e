"""What leaves the system: events for the owner of the account, and messages for other functions."""
