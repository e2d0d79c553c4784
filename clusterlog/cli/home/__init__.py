"""A home at hand: what waits in its spools delivered, its store opened, for every command that asks or tells of it."""
