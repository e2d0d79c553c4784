"""Requests going out: each carries the ids to the hosts that may know them, and ends in one call event."""
