"""Events as OpenTelemetry tells them, and back: what the sink sends, ``export`` prints and ``serve`` reads.

An event's way out: ``records`` (a span or a log record, by the names in ``fields``) → ``requests`` (by process and
scope, in OTLP's JSON) → ``protobuf`` (by the tables of ``schema``), or JSON as it is. Back: ``protobuf`` →
``restored``, where it was one of ours; of others' records ``encode.foreign`` makes events.
"""
