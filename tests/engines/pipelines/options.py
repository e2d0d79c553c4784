"""Options of the plugins of Logstash 9, typed in from their declarations, and what is wrong with a configuration.

Names that earlier versions knew are here with what has come in their place: with one of them Logstash 9 does not start.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.config import Plugin, Section, resolved

Kind = str | tuple[str, ...]
"""Of a value: ``string number boolean array hash codec any``, or the words of which it is one."""

_CERTIFICATES = {
    "ssl_enabled": "boolean",
    "ssl_certificate": "string",
    "ssl_key": "string",
    "ssl_key_passphrase": "string",
    "ssl_certificate_authorities": "array",
    "ssl_supported_protocols": "array",
    "ssl_cipher_suites": "array",
}
_CLIENTS: dict[str, Kind] = {"ssl_client_authentication": ("none", "optional", "required")}
_ECS: dict[str, Kind] = {"ecs_compatibility": ("disabled", "v1", "v8")}
_COMMON: dict[str, dict[str, Kind]] = {
    "input": {"id": "string", "codec": "codec", "add_field": "hash", "tags": "array", "type": "string"},
    "filter": {
        "id": "string",
        **dict.fromkeys(("add_tag", "remove_tag", "remove_field"), "array"),
        "add_field": "hash",
        "periodic_flush": "boolean",
    },
    "output": {"id": "string", "codec": "codec", "workers": "number"},
    "codec": {},
}
for _options in _COMMON.values():
    _options["enable_metric"] = "boolean"


@dataclass(frozen=True, slots=True)
class Known:
    """A plugin: its options, those it cannot do without, and those that were taken away."""

    options: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)


_BEATS = Known(
    {
        **_CERTIFICATES,
        **_CLIENTS,
        **_ECS,
        **dict.fromkeys(
            ("port", "ssl_handshake_timeout", "client_inactivity_timeout", "executor_threads", "event_loop_threads"),
            "number",
        ),
        "host": "string",
        "enrich": "array",
        "include_codec_tag": "boolean",
        "add_hostname": "boolean",
    },
    ("port",),
    {
        "ssl": "ssl_enabled",
        "ssl_verify_mode": "ssl_client_authentication",
        "cipher_suites": "ssl_cipher_suites",
        "tls_min_version": "ssl_supported_protocols",
        "tls_max_version": "ssl_supported_protocols",
        "ssl_peer_metadata": 'enrich => ["ssl_peer_metadata"]',
    },
)
_TCP = Known(
    {
        **_CERTIFICATES,
        **_CLIENTS,
        **_ECS,
        "host": "string",
        "port": "number",
        "mode": ("server", "client"),
        "proxy_protocol": "boolean",
        "ssl_verification_mode": ("full", "none"),
        "ssl_extra_chain_certs": "array",
        "tcp_keep_alive": "boolean",
        "dns_reverse_lookup_enabled": "boolean",
    },
    ("port",),
    {
        "ssl_enable": "ssl_enabled",
        "ssl_cert": "ssl_certificate",
        "ssl_verify": "ssl_client_authentication or ssl_verification_mode",
    },
)
_HTTP = Known(
    {
        **_CERTIFICATES,
        **_CLIENTS,
        **_ECS,
        **dict.fromkeys(("host", "user", "password"), "string"),
        **dict.fromkeys(("port", "threads", "max_pending_requests", "max_content_length"), "number"),
        **dict.fromkeys(("additional_codecs", "response_headers"), "hash"),
        **dict.fromkeys(("ssl_keystore_path", "ssl_keystore_password", "ssl_keystore_type"), "string"),
        **dict.fromkeys(("ssl_truststore_path", "ssl_truststore_password", "ssl_truststore_type"), "string"),
        **dict.fromkeys(("remote_host_target_field", "request_headers_target_field"), "string"),
        "response_code": ("200", "201", "202", "204"),
        "ssl_handshake_timeout": "number",
    },
    (),
    {
        "ssl": "ssl_enabled",
        "verify_mode": "ssl_client_authentication",
        "ssl_verify_mode": "ssl_client_authentication",
        "keystore": "ssl_keystore_path",
        "keystore_password": "ssl_keystore_password",
        "cipher_suites": "ssl_cipher_suites",
        "tls_min_version": "ssl_supported_protocols",
        "tls_max_version": "ssl_supported_protocols",
    },
)
_ELASTICSEARCH = Known(
    {
        **_CERTIFICATES,
        **_ECS,
        "hosts": "array",
        **dict.fromkeys(("api_key", "user", "password", "cloud_id", "cloud_auth", "proxy", "path"), "string"),
        **dict.fromkeys(("ssl_keystore_path", "ssl_keystore_password", "ssl_truststore_path"), "string"),
        **dict.fromkeys(("ssl_truststore_password", "ca_trusted_fingerprint"), "string"),
        "ssl_verification_mode": ("full", "none"),
        "data_stream": ("true", "false", "auto"),
        **dict.fromkeys(("data_stream_type", "data_stream_dataset", "data_stream_namespace"), "string"),
        **dict.fromkeys(("data_stream_sync_fields", "data_stream_auto_routing", "manage_template"), "boolean"),
        **dict.fromkeys(("document_id", "index", "action", "pipeline", "routing"), "string"),
        **dict.fromkeys(("template", "template_name", "template_overwrite", "ilm_enabled"), "any"),
        **dict.fromkeys(("retry_initial_interval", "retry_max_interval", "timeout", "pool_max"), "number"),
        **dict.fromkeys(("pool_max_per_route", "resurrect_delay", "sniffing_delay", "compression_level"), "number"),
        **dict.fromkeys(("dlq_custom_codes", "drop_error_types", "silence_errors_in_log"), "array"),
        **dict.fromkeys(("dlq_on_failed_indexname_interpolation", "sniffing", "http_compression"), "boolean"),
        "custom_headers": "hash",
        "sniffing_path": "string",
    },
    (),
    {
        "ssl": "ssl_enabled",
        "cacert": "ssl_certificate_authorities",
        "ssl_certificate_verification": "ssl_verification_mode",
        "keystore": "ssl_keystore_path",
        "keystore_password": "ssl_keystore_password",
        "truststore": "ssl_truststore_path",
        "truststore_password": "ssl_truststore_password",
    },
)
_FILTERS = {
    "date": Known({"match": "array", **dict.fromkeys(("target", "timezone", "locale"), "string")}),
    "fingerprint": Known(
        {
            "source": "array",
            **dict.fromkeys(("target", "key"), "string"),
            "method": "SHA1 SHA256 SHA384 SHA512 MD5 MURMUR3 MURMUR3_128 IPV4_NETWORK UUID PUNCTUATION".split(),
            **dict.fromkeys(("base64encode", "concatenate_sources", "concatenate_all_fields"), "boolean"),
            **_ECS,
        }
    ),
    "grok": Known(
        {
            **dict.fromkeys(("match", "pattern_definitions"), "hash"),
            **dict.fromkeys(("overwrite", "tag_on_failure", "patterns_dir"), "array"),
            **dict.fromkeys(("break_on_match", "keep_empty_captures", "named_captures_only"), "boolean"),
            **dict.fromkeys(("target", "tag_on_timeout", "timeout_scope", "patterns_files_glob"), "string"),
            "timeout_millis": "number",
            **_ECS,
        }
    ),
    "json": Known(
        {
            **dict.fromkeys(("source", "target"), "string"),
            "tag_on_failure": "array",
            "skip_on_invalid_json": "boolean",
            **_ECS,
        },
        ("source",),
    ),
    "mutate": Known(
        {
            **dict.fromkeys("rename update replace convert split join merge copy coerce".split(), "hash"),
            **dict.fromkeys("gsub uppercase lowercase capitalize strip".split(), "array"),
            "tag_on_failure": "string",
        }
    ),
    "ruby": Known(
        {
            **dict.fromkeys(("code", "init", "path", "tag_on_exception"), "string"),
            "script_params": "hash",
            "tag_with_exception_message": "boolean",
        }
    ),
    "truncate": Known({"fields": "array", "length_bytes": "number"}, ("length_bytes",)),
    "uuid": Known({"target": "string", "overwrite": "boolean", **_ECS}),
}
_CODECS = {
    "json": Known({**dict.fromkeys(("charset", "target"), "string"), **_ECS}),
    "json_lines": Known(
        {
            **dict.fromkeys(("charset", "delimiter", "target"), "string"),
            "decode_size_limit_bytes": "number",
            **_ECS,
        }
    ),
    "line": Known({**dict.fromkeys(("charset", "delimiter", "format"), "string"), **_ECS}),
    "plain": Known({**dict.fromkeys(("charset", "format"), "string"), **_ECS}),
}
_UDP = Known(
    {
        **dict.fromkeys(("port", "buffer_size", "receive_buffer_bytes", "queue_size", "workers"), "number"),
        **dict.fromkeys(("host", "source_ip_fieldname"), "string"),
        **_ECS,
    },
    ("port",),
)
_DEAD = Known(
    {
        **dict.fromkeys(("path", "pipeline_id", "sincedb_path", "start_timestamp"), "string"),
        **dict.fromkeys(("commit_offsets", "clean_consumed"), "boolean"),
    },
    ("path",),
)
PLUGINS: Mapping[str, Mapping[str, Known]] = {
    "input": {
        "beats": _BEATS,
        "http": _HTTP,
        "tcp": _TCP,
        "udp": _UDP,
        "dead_letter_queue": _DEAD,
        "pipeline": Known({"address": "string"}, ("address",)),
    },
    "filter": _FILTERS,
    "output": {
        "elasticsearch": _ELASTICSEARCH,
        "pipeline": Known({"send_to": "array", "ensure_delivery": "boolean"}, ("send_to",)),
    },
    "codec": _CODECS,
}

SETTINGS = frozenset(
    """
    node.name path.data path.logs path.config api.enabled api.http.host api.http.port api.environment api.auth.type
    pipeline.id pipeline.workers pipeline.batch.size pipeline.batch.delay pipeline.ordered pipeline.ecs_compatibility
    pipeline.buffer.type pipeline.unsafe_shutdown pipeline.separate_logs pipeline.reloadable
    queue.type queue.max_bytes queue.max_events queue.page_capacity queue.drain queue.checkpoint.writes
    queue.checkpoint.acks queue.checkpoint.interval queue.compression path.queue
    dead_letter_queue.enable dead_letter_queue.max_bytes dead_letter_queue.storage_policy dead_letter_queue.retain.age
    dead_letter_queue.flush_interval dead_letter_queue.flush_check_interval path.dead_letter_queue
    config.reload.automatic config.reload.interval config.support_escapes config.test_and_exit config.string
    ssl.reload.automatic log.level log.format allow_superuser
    """.split()
)
"""What ``logstash.yml`` and ``pipelines.yml`` may set."""
REMOVED_SETTINGS = {"http.host": "api.http.host", "http.port": "api.http.port", "modules": "nothing: they are gone"}


def problems(sections: tuple[Section, ...]) -> list[str]:
    """Everything in a configuration that Logstash 9 would not start with, or not as it is meant."""
    found: list[str] = []
    ids: list[str] = []
    for section in sections:
        for plugin in section.plugins():
            found += _of(plugin, section.kind)
            ids += [plugin.get("id")] if plugin.get("id") else []
    return [*found, *(f"id {each} is there twice" for each in sorted({id for id in ids if ids.count(id) > 1}))]


def _of(plugin: Plugin, kind: str) -> Iterator[str]:
    where = f"line {plugin.line}: {kind} {plugin.name}"
    known = PLUGINS[kind].get(plugin.name)
    if known is None:
        yield f"{where}: no such plugin is known"
        return
    names = [name for name, _ in plugin.attributes]
    options = {**_COMMON[kind], **known.options}
    for name, value in plugin.attributes:
        if name in known.removed:
            yield f"{where}: {name} was taken away: {known.removed[name]}"
        elif name not in options:
            near = difflib.get_close_matches(name, options, 1)
            yield f"{where}: {name} is no option" + (f", did you mean {near[0]}?" if near else "")
        else:
            yield from _of_value(f"{where}: {name}", value, options[name])
    yield from (f"{where}: {name} is lacking" for name in known.required if name not in names)
    yield from (f"{where}: {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    yield from _together(where, plugin)


def _of_value(where: str, value: Any, kind: Kind) -> Iterator[str]:
    if kind == "codec":
        codec = value if isinstance(value, Plugin) else Plugin(str(value))
        yield from _of(codec, "codec")
        return
    value = resolved(value)
    unknown = isinstance(value, str) and "${" in value
    fits = {
        "string": isinstance(value, str),
        "number": isinstance(value, int | float) or unknown,
        "boolean": value in ("true", "false") or unknown,
        "array": isinstance(value, tuple | str),
        "hash": isinstance(value, dict),
        "any": True,
    }
    if isinstance(kind, str):
        if not fits[kind]:
            yield f"{where}: {value!r} is no {kind}"
    elif str(value) not in kind and not unknown:
        yield f"{where}: {value!r} is none of {', '.join(kind)}"


def _together(where: str, plugin: Plugin) -> Iterator[str]:
    """Options that do not go together."""
    if plugin.get("ssl_client_authentication") == "none" and plugin.get("ssl_certificate_authorities"):
        yield f"{where}: authorities for the certificates of clients, and none is asked for"
    if plugin.get("ssl_certificate") and plugin.get("ssl_enabled") != "true":
        yield f"{where}: a certificate, and ssl_enabled is not true"
    if plugin.name == "elasticsearch" and plugin.get("data_stream") == "true":
        for name in ("index", "template", "template_name", "template_overwrite", "ilm_enabled"):
            if plugin.get(name) is not None:
                yield f"{where}: {name} and data_stream exclude each other"
        if plugin.get("action", "create") != "create":
            yield f"{where}: into a data stream nothing but create goes"
        if plugin.get("manage_template") == "true":
            yield f"{where}: a data stream's template is not managed here"
    if plugin.get("api_key") and plugin.get("user"):
        yield f"{where}: api_key and user are both set"
