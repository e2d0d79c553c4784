"""Mistakes that really occur in configurations, and names of earlier versions with what took their place."""

import pytest
from pipelines.config import parse
from pipelines.options import PLUGINS, problems


def of(kind, text):
    return problems(parse(f"{kind} {{ {text} }}"))


REMOVED = [
    (kind, name, old, new)
    for kind, plugins in PLUGINS.items()
    for name, known in plugins.items()
    for old, new in known.removed.items()
]


@pytest.mark.parametrize(("kind", "name", "old", "new"), REMOVED, ids=[f"{name}-{old}" for _, name, old, _ in REMOVED])
def test_a_name_that_was_taken_away_is_a_mistake_and_its_successor_is_named(kind, name, old, new):
    required = " ".join(f"{each} => 1" for each in PLUGINS[kind][name].required)
    (told,) = of(kind, f'{name} {{ {required} {old} => "x" }}')
    assert f"{old} was taken away: {new}" in told


def test_of_each_plugin_that_changed_in_version_9_the_old_names_are_known():
    assert {name for _, name, _, _ in REMOVED} == {"beats", "http", "tcp", "elasticsearch"}


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("input", "beat { port => 1 }", "no such plugin is known"),
        ("input", 'beats { port => 1 hots => "x" }', "hots is no option, did you mean host?"),
        ("input", "beats { }", "port is lacking"),
        ("input", 'beats { port => "five" }', "port: 'five' is no number"),
        ("input", "beats { port => 1 ssl_enabled => yes }", "ssl_enabled: 'yes' is no boolean"),
        ("input", "beats { port => 1 port => 2 }", "port is there twice"),
        ("input", 'beats { port => 1 ssl_client_authentication => "force" }', "'force' is none of none, optional"),
        ("input", "http { codec => jsn { } }", "codec jsn: no such plugin is known"),
        ("input", 'http { codec => json { ecs => "v8" } }', "codec json: ecs is no option"),
        ("input", "http { response_code => 418 }", "response_code: 418 is none of 200"),
        ("input", 'http { additional_codecs => ["json"] }', "is no hash"),
        ("input", 'beats { port => 1 ssl_certificate => "x" }', "a certificate, and ssl_enabled is not true"),
        (
            "input",
            'beats { port => 1 ssl_client_authentication => "none" ssl_certificate_authorities => ["x"] }',
            "authorities for the certificates of clients, and none is asked for",
        ),
        ("filter", 'mutate { id => "a" } mutate { id => "a" }', "id a is there twice"),
        ("filter", "if [a] { mutate { renam => {} } }", "renam is no option, did you mean rename?"),
        ("output", 'elasticsearch { data_stream => "true" index => "x" }', "index and data_stream exclude each other"),
        ("output", 'elasticsearch { data_stream => "true" action => "index" }', "nothing but create"),
        ("output", 'elasticsearch { data_stream => "true" manage_template => true }', "template is not managed here"),
        ("output", 'elasticsearch { api_key => "a:b" user => "c" }', "api_key and user are both set"),
    ],
)
def test_mistakes_are_told(kind, text, told):
    assert any(told in each for each in of(kind, text)), of(kind, text)


def test_what_comes_from_the_environment_without_a_default_is_believed():
    assert of("input", 'beats { port => "${PORT}" ssl_client_authentication => "${AUTH}" }') == []
    assert of("input", 'beats { port => 1 ssl_client_authentication => "${AUTH:force}" }')
