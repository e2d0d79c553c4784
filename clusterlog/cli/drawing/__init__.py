"""What people see of requests, errors and tables: rows of segments, each a text and the role by which it is painted."""
