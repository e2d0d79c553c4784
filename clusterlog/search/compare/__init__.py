"""Two requests beside each other: what only one of them did, what took longer, what had other values."""
