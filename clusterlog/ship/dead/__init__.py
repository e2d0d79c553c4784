"""Dead letters: events that a store will never take as they are, kept aside with the reason until somebody decides."""
