"""Syslog: for far ends that take nothing else. Nobody acknowledges anything."""
