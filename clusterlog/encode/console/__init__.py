"""Events as lines for people who develop: what is shown, in which ink, and how they pass progress bars."""
