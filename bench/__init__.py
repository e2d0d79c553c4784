"""What clusterlog costs, side by side with its peers in one run, as ratios."""
