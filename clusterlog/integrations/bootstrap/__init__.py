"""The directory that ``clusterlog run`` puts into ``PYTHONPATH``: nothing but ``sitecustomize`` may lie in it."""
