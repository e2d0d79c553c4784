"""``POST /v1/logs`` and ``/v1/traces``: OTLP/HTTP, so that OpenTelemetry in any language joins the same request.

A request's way: ``web.intake.body`` (its bytes) → ``protobuf`` (by the tables of ``schema``), or JSON → one document a
record → ``web.intake``, as any stranger's. ``answers`` is what the protocol wants to hear, ``endpoint`` leads through.
"""
