"""The raw events: frames on disk, the table that leads to them, and the ledger of their ids. The truth of the store."""
