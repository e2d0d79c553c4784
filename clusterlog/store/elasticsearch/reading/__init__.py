"""What finding stands on: clauses, what a server knows of its fields, searches that are judged, pages, numbers."""
