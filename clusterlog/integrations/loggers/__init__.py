"""Logging libraries that an application has set up for itself: their events go on the road as well, once."""
