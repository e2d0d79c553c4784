"""``clusterlog doctor``: what is wrong with a home, its delivery, or how an application logs, and how to mend it."""
