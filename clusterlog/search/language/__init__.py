"""KQL, read into a query as data and written again: what may be asked, and by which names."""
