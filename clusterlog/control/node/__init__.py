"""A process in its cluster: it follows the desired state, proves what is in force, and outlives the bus."""
