"""What brings events from the spools to a store, and shows how far it is."""
