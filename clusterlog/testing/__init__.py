"""For tests: contract suites that every engine of a kind must pass, and what they are made of.

Needs pytest and hypothesis, which clusterlog itself does not.
"""
