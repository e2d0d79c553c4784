"""Settings: one name in every place, one order of origins, one clear line for what cannot be used."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings import Settings, load, names, rate, recorded


@pytest.fixture
def put(tmp_path):
    """Put the settings together in an empty directory with no environment but what is given."""

    def put(arguments=None, *, env=None, directory=tmp_path, **options):
        return load(arguments, environ=env or {}, directory=directory, **options)

    return put


def test_the_defaults_are_those_of_the_contract(put, tmp_path):
    found = put()
    assert (found.environment, found.level, found.trust, found.propagate_to) == (
        "development",
        "INFO",
        "private",
        "private",
    )
    assert (found.linger, found.durability, found.disk_limit, found.metrics) == (60.0, "interval", 1 << 30, ())
    assert found.node == socket.gethostname()
    assert found.home == str(tmp_path / ".clusterlog")
    assert set(found.origins) == set(names())


def test_an_argument_beats_the_environment_beats_the_homes_file_beats_the_file_upward_beats_opentelemetry(
    put, tmp_path
):
    home, project = tmp_path / "home", tmp_path / "project" / "below"
    project.mkdir(parents=True)
    home.mkdir()
    env = {"CLUSTERLOG_HOME": str(home), "OTEL_SERVICE_NAME": "otel"}

    def service(arguments=None):
        found = put(arguments, env=env, directory=project)
        return found.service, found.origins["service"]

    assert service() == ("otel", "OpenTelemetry")
    (tmp_path / "project" / "clusterlog.toml").write_text('service = "upward"')
    assert service() == ("upward", str(tmp_path / "project" / "clusterlog.toml"))
    (home / "clusterlog.toml").write_text('service = "home"')
    assert service() == ("home", str(home / "clusterlog.toml"))
    env["CLUSTERLOG_SERVICE"] = "environment"
    assert service() == ("environment", "environment")
    assert service({"service": "argument"}) == ("argument", "argument")
    assert service({"service": None}) == ("environment", "environment")


def test_a_table_in_pyproject_counts_and_other_projects_files_do_not_matter(put, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.clusterlog]\nlevel = "debug"\nmetrics = ["ms", "bytes"]')
    found = put()
    assert (found.level, found.metrics) == ("DEBUG", ("ms", "bytes"))
    (tmp_path / "pyproject.toml").write_text("not toml at all [")
    assert put().level == "INFO"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"levle": "INFO"}, r"unknown setting 'levle' \(argument\), did you mean level\?"),
        ({"zzz": 1}, r"unknown setting 'zzz' \(argument\); known: service, "),
        ({"level": "LOUD"}, "level = 'LOUD' .argument.: expected one of DEBUG, INFO"),
        ({"level": "warn"}, r"did you mean WARNING\?"),
        ({"linger": "soon"}, "expected a duration such as 60, 15m"),
        ({"linger": True}, "expected a duration"),
        ({"linger": -1}, "expected a duration"),
        ({"disk_limit": "much"}, "expected a size such as 1048576, 512MiB"),
        ({"bus": "reddis://x"}, r"expected off, or a URL that begins with .*did you mean redis:\?"),
        ({"role": "admin"}, "expected one of apply, send, receive"),
        ({"recorder": "loud"}, "such as DEBUG/2s: one of DEBUG, INFO"),
        ({"ceiling": "shop=LOUD"}, "expected one of DEBUG, INFO"),
        ({"ceiling": "=INFO"}, "expected LEVEL or logger=LEVEL"),
        ({"store": "htp://x"}, r"expected a URL that begins with http:, https: \(did you mean http:\?\)"),
        ({"sink": "logs"}, "expected a URL that begins with file:, stdout:"),
        ({"durability": "always"}, "expected one of page-cache, interval, level, strict"),
        ({"service": ""}, "expected a name of 1 to 128"),
        ({"service": "a\nb"}, "expected a text of one line"),
        ({"node": "x" * 129}, "expected a name of 1 to 128"),
        ({"metrics": 5}, "metrics = 5"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_its_origin_and_what_would_do(put, setting, said):
    with pytest.raises(SettingError, match=said) as told:
        put(setting)
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)


def test_a_misspelt_variable_or_key_is_told_with_the_place_it_stands_in(put, tmp_path):
    with pytest.raises(SettingError, match=r"'sevice' \(environment\), did you mean service"):
        put(env={"CLUSTERLOG_SEVICE": "x"})
    (tmp_path / "clusterlog.toml").write_text('stroe = ""')
    with pytest.raises(SettingError, match=r"'stroe' \(.*clusterlog.toml\), did you mean store"):
        put()


@pytest.mark.parametrize("name", ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8520_TCP_ADDR"])
def test_what_kubernetes_says_of_a_service_called_clusterlog_is_no_setting(put, name):
    assert put(env={f"CLUSTERLOG_{name}": "10.0.0.1"}) == put()


def test_a_working_directory_that_is_gone_is_told_in_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SettingError, match="working directory"):
        load({}, environ={})


@pytest.mark.parametrize("name", ["x" * 300, "a-file/below"])
def test_a_home_whose_file_cannot_even_be_looked_for_is_told_in_one_line_or_holds_none(put, tmp_path, name):
    (tmp_path / "a-file").touch()
    if name.startswith("x"):
        with pytest.raises(SettingError, match="too long"):
            put({"home": name})
    else:
        assert put({"home": name}).home == str(tmp_path / name)


def test_a_file_that_is_no_toml_is_told_with_its_place(put, tmp_path):
    (tmp_path / "clusterlog.toml").write_text("service = ")
    with pytest.raises(SettingError, match=r"clusterlog\.toml: Invalid value"):
        put()


def as_nobody(check):
    """Run ``check`` in a child that has no rights here; whether it was true."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture
def open_directory():
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")
def test_a_file_without_permission_is_not_allowed(open_directory):
    (open_directory / "clusterlog.toml").touch(0o600)

    def refused():
        with pytest.raises(NotAllowed, match="permission denied"):
            load({}, environ={}, directory=open_directory)
        return True

    assert as_nobody(refused)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")
def test_a_directory_above_that_may_not_be_searched_holds_no_file_for_us(open_directory):
    below = open_directory / "closed" / "below"
    below.mkdir(parents=True)
    (open_directory / "closed").chmod(0o700)
    home = {"home": str(open_directory / "home")}
    assert as_nobody(lambda: load(home, environ={}, directory=below).level == "INFO")


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("1.5", 1.5), ("250ms", 0.25), ("15m", 900), ("2h", 7200), ("7d", 604800), (9, 9)]
)
def test_durations_are_read(put, text, seconds):
    assert put({"linger": text}).linger == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1024", 1024), ("1KiB", 1024), ("2 MiB", 2 << 20), ("1G", 1 << 30), (7, 7)]
)
def test_sizes_are_read(put, text, size):
    assert put({"disk_limit": text}).disk_limit == size


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("off", None),
        ("", None),
        (False, None),
        ("100/60s", (100, 60.0)),
        (" 5/1m ", (5, 60.0)),
        ("1/250ms", (1, 0.25)),
        ("10/60", (10, 60.0)),
    ],
)
def test_a_rate_is_read(put, given, found):
    assert rate(put({"throttle": given}).throttle) == found


@pytest.mark.parametrize("given", ["on", "100", "100/", "/60s", "0/60s", "-1/60s", "5/0s", "5/soon", "1.5/60s"])
def test_what_is_no_rate_is_told_with_an_example(put, given):
    with pytest.raises(SettingError, match=r"throttle = .*: expected off, or lines and the time .* such as 100/60s"):
        put({"throttle": given})


def test_lists_are_read_from_texts_and_lists_alike(put):
    assert put({"redact": "iban, tax id ,"}).redact == put({"redact": ["iban", "tax id"]}).redact == ("iban", "tax id")


def test_in_development_the_home_lies_here_and_commands_look_upward(put, tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / ".clusterlog").mkdir()
    assert put(directory=below).home == str(below / ".clusterlog")
    assert put(directory=below, for_command=True).home == str(tmp_path / ".clusterlog")


def test_a_relative_home_is_taken_from_the_working_directory(put, tmp_path):
    assert put({"home": "here"}).home == str(tmp_path / "here")


def test_a_relative_home_in_a_file_is_taken_from_the_files_place(put, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "clusterlog.toml").write_text('home = "state"')
    assert put(directory=tmp_path / "below").home == put().home == str(tmp_path / "state")


def test_a_relative_key_is_taken_from_the_place_of_its_file_and_else_from_the_working_directory(put, tmp_path):
    home, below = tmp_path / "home", tmp_path / "project" / "below"
    home.mkdir()
    below.mkdir(parents=True)
    env = {"CLUSTERLOG_HOME": str(home)}
    (tmp_path / "project" / "clusterlog.toml").write_text('user_key = "project.key"')
    assert put(env=env, directory=below).user_key == str(tmp_path / "project" / "project.key")
    (home / "clusterlog.toml").write_text('user_key = "user.key"')
    assert put(env=env, directory=below).user_key == str(home / "user.key")
    env["CLUSTERLOG_USER_KEY"] = "mine.key"
    assert put(env=env, directory=below).user_key == str(below / "mine.key")
    assert put({"user_key": Path("argument.key")}, env=env, directory=below).user_key == str(below / "argument.key")


@pytest.mark.parametrize("name", ["token_file", "ca_file", "cert_file", "key_file"])
def test_files_of_the_way_to_the_store_are_taken_from_the_place_of_the_file_that_names_them(put, tmp_path, name):
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "clusterlog.toml").write_text(f'{name} = "es/file"')
    assert getattr(put(directory=below), name) == str(tmp_path / "es" / "file")
    assert getattr(put({name: "file"}, directory=below), name) == str(below / "file")


def test_a_fingerprint_is_read_as_tools_print_it(put):
    assert put({"fingerprint": ":".join(["AB"] * 32)}).fingerprint == "ab" * 32


@pytest.mark.parametrize("given", ["environment", "none", "http://proxy:3128", "https://u:p@proxy"])
def test_a_proxy_is_the_environments_none_or_a_url(put, given):
    assert put({"proxy": given}).proxy == given


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("fingerprint", "abcd", "64 hex digits"),
        ("fingerprint", "x" * 64, "64 hex digits"),
        ("proxy", "proxy:3128", "such as http://proxy:3128"),
        ("proxy", "socks5://u:hidden@proxy", "'socks5://proxy'"),
        ("store", "ftp://u:hidden@es", "'ftp://es'"),
        ("sink", "lumberjack://u:hidden@logstash", "did you mean lumberjack+tls:?"),
        ("compression", "gzip", "one of auto, on, off"),
        ("token", "hidden\nhidden", "token = ..."),
    ],
)
def test_what_cannot_be_used_on_the_way_to_the_store_is_told_without_what_is_secret(put, name, given, said):
    with pytest.raises(SettingError, match=f"^{name} = ") as told:
        put({name: given})
    assert said in str(told.value) and "hidden" not in str(told.value)


def test_a_token_is_not_seen_where_settings_are_printed(put):
    assert "hidden" not in repr(put({"token": "hidden"}))


def test_in_production_the_home_is_the_services_state_directory(put):
    env = {"CLUSTERLOG_ENVIRONMENT": "production", "STATE_DIRECTORY": "/var/lib/shop:/var/lib/other"}
    assert put(env=env).home == "/var/lib/shop"


def test_in_production_without_one_it_is_the_systems_or_the_users(put, monkeypatch):
    monkeypatch.setattr("clusterlog.settings.origins.os.access", lambda path, mode: False)
    env = {"CLUSTERLOG_ENVIRONMENT": "production", "XDG_STATE_HOME": "/state"}
    assert put(env=env).home == "/state/clusterlog"
    assert put(env={"CLUSTERLOG_ENVIRONMENT": "production", "HOME": "/u"}).home == "/u/.local/state/clusterlog"
    monkeypatch.setattr("clusterlog.settings.origins.os.access", lambda path, mode: True)
    assert put(env=env).home == "/var/lib/clusterlog"


def test_every_setting_tells_what_it_is():
    assert all(each.metadata["doc"] for each in Settings.__dataclass_fields__.values() if each.name != "origins")


def test_the_ceiling_of_rules_names_levels_and_loggers_and_keeps_wires_quiet_unless_it_is_told_otherwise(put):
    assert put().ceiling == ("DEBUG", "botocore=INFO", "httpcore=INFO", "urllib3=INFO")
    assert put({"ceiling": "info, shop.db = debug"}).ceiling == ("INFO", "shop.db=DEBUG")
    assert put(env={"CLUSTERLOG_CEILING": "WARNING"}).ceiling == ("WARNING",)


def test_the_recorder_may_say_when_a_request_is_slow(put):
    assert recorded(put({"recorder": "info/250ms"}).recorder) == ("INFO", 0.25)
    assert recorded(put({"recorder": "DEBUG"}).recorder) == ("DEBUG", 1.0)
    assert recorded(put().recorder) is None
    with pytest.raises(SettingError, match="such as DEBUG/2s: a duration"):
        put({"recorder": "DEBUG/soon"})


def test_the_settings_of_the_clusters_hand_have_their_forms(put, tmp_path):
    found = put({"bus": "redis://a:6379,b:6379/0", "tags": "edge, eu", "longest": "1h", "recorder": "debug"})
    assert (found.bus, found.tags, found.longest) == ("redis://a:6379,b:6379/0", ("edge", "eu"), 3600.0)
    assert (found.recorder, put().recorder, put({"recorder": False}).recorder) == ("DEBUG", "off", "off")
    assert put({"control_key": "keys/cluster.key"}).control_key == str(tmp_path / "keys" / "cluster.key")
    assert (put({"bus": "off"}).bus, put({"bus": False}).bus) == ("off", "off")
    assert (put().bus, put().role, put().longest) == ("", "apply", 0.0)
