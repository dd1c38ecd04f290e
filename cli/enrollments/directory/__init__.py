"""The directory from and to files: ACS systems, their credential pools and their users."""
