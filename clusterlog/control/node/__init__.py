"""This process's part in its cluster: it follows the desired state, proves what is in force, and outlives the bus."""
