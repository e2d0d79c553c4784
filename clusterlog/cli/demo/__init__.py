"""A load-balanced shop on this machine: real processes, real HTTP, and what each request must leave in the store."""
