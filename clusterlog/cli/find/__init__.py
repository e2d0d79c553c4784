"""What is asked of a store: one request as a whole, or every event that matches."""
