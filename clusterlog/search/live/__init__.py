"""Events as they are logged: which of them somebody wants to see, in which order, and how many a second."""
