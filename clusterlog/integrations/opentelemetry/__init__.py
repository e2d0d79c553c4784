"""OpenTelemetry, joined where an application has loaded its SDK: its ids win, and its finished spans go on the road."""
