"""What is asked of the cluster itself: levels, nodes, and what stops a line."""
