"""Rules become levels in force: loggers are set in one swap, requests escalated, and what stops a line is told."""
