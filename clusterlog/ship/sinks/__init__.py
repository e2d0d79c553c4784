"""Ends of the road that cannot be asked: a file, standard output."""
