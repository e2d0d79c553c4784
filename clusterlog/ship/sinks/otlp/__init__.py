"""OTLP over HTTP: to the OpenTelemetry collector, a back end that takes OTLP, or another ``serve``."""
