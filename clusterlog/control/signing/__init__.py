"""Whose word counts: a key that every node has, what is sealed under it, and what is too old to be believed."""
