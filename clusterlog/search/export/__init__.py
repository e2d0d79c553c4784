"""One request in the formats of others: for a file, an OpenTelemetry back end, a trace viewer, a ticket."""
