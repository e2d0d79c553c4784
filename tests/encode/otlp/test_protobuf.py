"""Protocol Buffers read by our own schema, held against the official one."""

import base64

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from clusterlog.encode.otlp.protobuf import decoded
from clusterlog.encode.otlp.schema import LOGS, TRACES, Message

IDS = ("traceId", "spanId", "parentSpanId")
NUMBERS = ("timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "intValue")


def official(message):
    """What the official reader makes of it, with numbers and ids as ours has them, without what ours passes over."""
    return _known(MessageToDict(message, use_integers_for_enums=True))


def _known(told):
    if isinstance(told, list):
        return [_known(each) for each in told]
    if not isinstance(told, dict):
        return told
    found = {}
    for name, value in told.items():
        if name in IDS:
            value = base64.b64decode(value).hex()
        if name in NUMBERS:
            value = int(value)
        if name not in ("flags", "traceState", "droppedAttributesCount", "schemaUrl", "eventName"):
            found[name] = _known(value)
    return found


def test_a_span_reads_as_by_the_official_schema():
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="s")
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scoped = group.scope_spans.add()
    scoped.scope.name = "lib"
    span = scoped.spans.add(trace_id=bytes(range(16)), span_id=b"\1" * 8, parent_span_id=b"\2" * 8, name="GET", kind=2)
    span.start_time_unix_nano, span.end_time_unix_nano = 1, (1 << 64) - 1
    span.trace_state, span.flags, span.dropped_attributes_count = "a=b", 257, 3
    span.events.add(name="exception", time_unix_nano=5).attributes.add(key="k").value.double_value = -1.5
    span.links.add(trace_id=b"\3" * 16, span_id=b"\4" * 8)
    span.status.code, span.status.message = 2, "broken"
    assert decoded(request.SerializeToString(), TRACES) == official(request)


_values = st.recursive(
    st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1).map(lambda each: AnyValue(string_value=each)),
        st.integers(-(1 << 63), (1 << 63) - 1).map(lambda each: AnyValue(int_value=each)),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda each: AnyValue(double_value=each)),
        st.booleans().map(lambda each: AnyValue(bool_value=each)),
        st.binary(min_size=1).map(lambda each: AnyValue(bytes_value=each)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: AnyValue(array_value=ArrayValue(values=each))),
        inner.map(lambda each: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=each)]))),
    ),
    max_leaves=6,
)


@given(_values, st.integers(0, (1 << 64) - 1), st.integers(0, 24), st.binary(max_size=16))
def test_any_log_record_reads_as_by_the_official_schema(value, time, severity, id):
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=time, severity_number=severity)
    record.body.CopyFrom(value)
    record.trace_id, record.event_name, record.flags = id, "e", 1
    record.attributes.add(key="a").value.CopyFrom(value)
    assert decoded(request.SerializeToString(), LOGS) == official(request)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    for message in (LOGS, TRACES):
        try:
            assert type(decoded(data, message)) is dict
        except ValueError:
            continue


def test_fields_nobody_knows_are_read_over():
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    unknown = b"\xf8\x3f\x05" + b"\xfa\x3f\x03abc" + b"\xf9\x3f" + bytes(8) + b"\xfd\x3f" + bytes(4)
    assert decoded(unknown + request.SerializeToString() + unknown, LOGS) == official(request)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x0a\x05ab", "middle of a field"),
        (b"\x80", "middle of a number"),
        (b"\x08" + b"\x80" * 11, "more than 10 bytes"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x00", "number 0"),
    ],
)
def test_what_is_no_message_is_refused_with_where(data, said):
    with pytest.raises(ValueError, match=said):
        decoded(data, Message())


def test_values_within_each_other_without_end_are_refused():
    value = b""
    for _ in range(300):
        value = b"\x2a" + _length(b"\x0a" + _length(value))
    record = b"\x2a" + _length(value)
    request = b"\x0a" + _length(b"\x12" + _length(b"\x12" + _length(record)))
    with pytest.raises(ValueError, match="nested too deeply"):
        decoded(request, LOGS)


def _length(data):
    size, out = len(data), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*out, size)) + data
