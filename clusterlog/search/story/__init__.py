"""One request put together again: its events in causal order, the clocks that told them, and what is to be said."""
