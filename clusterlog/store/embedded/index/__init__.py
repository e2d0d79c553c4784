"""The search index: a view of the raw events that can be thrown away and made again."""
