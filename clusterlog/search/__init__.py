"""From stored events to answers: the query language, and one request put together again from what its nodes logged."""
