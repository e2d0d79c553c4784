"""Logstash's language as its own grammar reads it: what it accepts, and what it does not start with."""

import pytest
from pipelines.config import Branch, Condition, Plugin, Refused, Selector, parse, resolved, variables


def plugin(text):
    (section,) = parse(f"filter {{ {text} }}")
    return section.steps[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-2.5", -2.5),
        ("true", "true"),
        ('"a \\" b"', 'a \\" b'),
        ("'say \"x\"\n y'", 'say "x"\n y'),
        ("[]", ()),
        ('["a", 1, ["b"]]', ("a", 1, ("b",))),
        ('{ "a" => 1 b2 => { "c" => "d" } }', {"a": 1, "b2": {"c": "d"}}),
        ("{}", {}),
    ],
)
def test_values(written, value):
    assert plugin(f"mutate {{ x => {written} }}").get("x") == value


def test_a_codec_has_options_of_its_own():
    codec = plugin('http { codec => json { target => "x" } }').get("codec")
    assert codec == Plugin("json", (("target", "x"),), 1)


def test_comments_and_several_sections():
    found = parse("# first\ninput { stdin {} } # 'x\nfilter {}\noutput { stdout { } }\n")
    assert [section.kind for section in found] == ["input", "filter", "output"]


@pytest.mark.parametrize(
    ("written", "condition"),
    [
        ("[a][b]", Selector("[a][b]")),
        ('[a] == "x"', Condition("==", (Selector("[a]"), "x"))),
        ("[a] =~ /^x\\/y/", Condition("=~", (Selector("[a]"), "^x\\/y"))),
        ('"x" in [tags]', Condition("in", ("x", Selector("[tags]")))),
        ('[a] in ["x", "y"]', Condition("in", (Selector("[a]"), ("x", "y")))),
        ('"x" not in [tags]', Condition("!", (Condition("in", ("x", Selector("[tags]"))),))),
        ("![a]", Condition("!", (Selector("[a]"),))),
        ('!([a] == "x")', Condition("!", (Condition("==", (Selector("[a]"), "x")),))),
        (
            "[a] and [b] or [c]",
            Condition("or", (Condition("and", (Selector("[a]"), Selector("[b]"))), Selector("[c]"))),
        ),
        (
            "[a] and ([b] or [c])",
            Condition("and", (Selector("[a]"), Condition("or", (Selector("[b]"), Selector("[c]"))))),
        ),
    ],
)
def test_conditions(written, condition):
    branch = plugin(f"if {written} {{ drop {{}} }}")
    assert branch.arms[0][0] == condition


def test_branches_and_what_is_within_them():
    branch = plugin("if [a] { drop {} } else if [b] { uuid {} mutate {} } else { if [c] { grok {} } }")
    assert isinstance(branch, Branch)
    assert [[getattr(step, "name", "if") for step in steps] for _, steps in branch.arms] == [
        ["drop"],
        ["uuid", "mutate"],
        ["if"],
    ]
    assert branch.arms[-1][0] is None
    (section,) = parse("filter { if [a] { drop {} } else { if [c] { grok {} } } }")
    assert [each.name for each in section.plugins()] == ["drop", "grok"]


@pytest.mark.parametrize(
    "text",
    [
        'filter { mutate { replace => { "a" => "b", "c" => "d" } } }',
        'filter { mutate { strip => ["a" "b"] } }',
        'filter { mutate { id => "a", add_tag => ["b"] } }',
        "filter { if not ([a]) { drop {} } }",
        "filter { if [a] { drop {} }",
        "filter { mutate { id } }",
        "filter { mutate { id = 'a' } }",
        "filters { }",
        "input { stdin }",
    ],
    ids=[
        "commas in a hash",
        "no comma in an array",
        "commas between options",
        "not before brackets",
        "a brace is lacking",
        "no value",
        "an equals sign",
        "no section",
        "no braces",
    ],
)
def test_what_the_grammar_refuses_is_told_with_its_line(text):
    with pytest.raises(Refused, match="line 1, column"):
        parse(text)


def test_what_stands_in_the_environment_is_found_with_its_default():
    text = 'input { http { port => "${PORT:8080}" user => "${USER}" } } # ${NOT:this}\n# ${NOR:that}\n'
    assert variables(text.replace(" # ${NOT:this}", "")) == {"PORT": "8080", "USER": None}
    assert resolved({"a": ("${PORT:8080}/x", "${USER}")}) == {"a": ("8080/x", "${USER}")}
