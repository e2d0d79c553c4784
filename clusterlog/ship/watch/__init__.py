"""Looking on while others write and ship: the spools of a home, followed without touching anything."""
