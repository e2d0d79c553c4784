"""docker-compose.yml against the published schema, and against what makes a stack start, and start safely."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import plain_yaml
import pytest
from json_schema import Schema

from clusterlog.cli.stack import access, engine, environment, files
from clusterlog.settings import names

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).parent / "compose-spec.json"
"""As the Compose Specification publishes it (schema/compose-spec.json of compose-spec/compose-spec, Apache-2.0)."""
CHOICES = [("direct",), ("logstash",), ("opensearch",), ("direct", "cluster"), ("logstash", "cluster")]
VARIABLE = re.compile(r"(?<!\$)\$\{?(\w+)")

every_choice = pytest.mark.parametrize("profiles", CHOICES, ids=",".join)


def words(text: str) -> set[str]:
    """The variables that are named in the text of the file, comments left out."""
    return set(VARIABLE.findall(re.sub(r"(?m)^\s*#.*$", "", text)))


@pytest.fixture(scope="module")
def schema():
    return Schema(json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("name", ["docker-compose.yml", "docs/deploy/compose/sidecar.yml"])
def test_the_file_is_valid_by_the_published_schema(schema, name):
    assert schema.faults(plain_yaml.document((ROOT / name).read_text())) == []


@pytest.mark.parametrize(
    ("service", "key", "value", "fault"),
    [
        ("kibana", "helthcheck", {}, "$.services.kibana.helthcheck: nothing is known by this name"),
        ("redis", "ports", "6379", "$.services.redis.ports: expected array, found '6379'"),
        ("bank", "depends_on", {"redis": {"condition": "service_well"}}, "expected one of ['service_started'"),
        ("bank", "mem_limit", ["1g"], "expected"),
    ],
)
def test_the_schema_finds_what_is_misspelt(schema, written, service, key, value, fault):
    changed = {**written, "services": {**written["services"], service: {**written["services"][service], key: value}}}
    (found,) = schema.faults(changed)
    assert fault in found


@every_choice
def test_with_its_variables_put_in_it_is_still_valid(schema, stack, profiles):
    assert schema.faults(stack(*profiles)) == []


def test_every_variable_is_in_the_env_and_every_one_there_is_used():
    made = environment.made("clusterlog", ("direct",), "0.1.0")
    used = words((ROOT / "docker-compose.yml").read_text())
    defaulted = {"SHOP_IMAGE"}
    of_compose = {"COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"}
    in_a_container = {"REDISCLI_AUTH", "OPENSEARCH_INITIAL_ADMIN_PASSWORD"}
    assert used - in_a_container == (made.keys() - of_compose) | defaulted


def test_what_has_no_default_stops_compose_with_a_word_on_what_to_do():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in (*environment.SECRETS, *environment.VERSIONS, "STACK_ID", "CLUSTERLOG_VERSION"):
        uses = re.findall(rf"(?<!\$)\$\{{?{name}\b[^}}]*\}}", text)
        assert uses, name
        assert set(uses) == {f"${{{name}:?run clusterlog stack init}}"}, name


def test_a_missing_secret_is_an_error_and_not_an_empty_password(stack):
    with pytest.raises(KeyError, match="ELASTIC_PASSWORD"):
        stack("direct", ELASTIC_PASSWORD="")


def test_defaults_in_the_file_are_those_of_the_env():
    made = environment.made("clusterlog", ("direct",), "0.1.0")
    found = re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "docker-compose.yml").read_text())
    assert {name for name, _ in found} >= {*environment.PORTS, *environment.MEMORY, "BIND_ADDRESS"}
    assert {(name, value) for name, value in found if made.get(name, value) != value} == set()


@every_choice
def test_whoever_waits_for_another_has_something_to_wait_for(stack, profiles):
    services = stack(*profiles)["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how.get("required", True):
                assert other in services, f"{name} waits for {other}, which {profiles} leave out"
            if other not in services:
                continue
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no", f"{name} waits for the end of {other}"


@every_choice
def test_nobody_waits_for_himself_in_a_circle(stack, profiles):
    services = stack(*profiles)["services"]

    def way(name, seen):
        assert name not in seen, f"{seen} {name}"
        for other in services[name].get("depends_on", {}):
            if other in services:
                way(other, (*seen, name))

    for name in services:
        way(name, ())


@every_choice
def test_health_checks_are_patient_and_end(stack, profiles):
    for name, service in stack(*profiles)["services"].items():
        check = service.get("healthcheck")
        if check is not None:
            assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}, name
            assert 3 <= check["retries"] <= 30
            assert int(check["start_period"].removesuffix("s")) >= 30


@every_choice
def test_the_services_are_those_of_the_contract(stack, profiles):
    services = stack(*profiles)["services"].keys()
    assert services >= {"haproxy", "shop-1", "shop-2", "orders-1", "orders-2", "payments-1", "redis"}
    assert ("kibana" in services) == ("elasticsearch" in services) == ("opensearch" not in services)
    assert ("logstash" in services) == ("logstash" in profiles)
    assert ({"elasticsearch-2", "elasticsearch-3"} <= services) == ("cluster" in profiles)
    assert len([name for name in services if name.startswith("ship")]) == 1  # one home has one sink


@every_choice
def test_what_haproxy_logs_goes_to_somebody_who_listens_and_is_waited_for(stack, profiles):
    services = stack(*profiles)["services"]
    host, port = services["haproxy"]["environment"]["EDGE_LOG"].split(":")
    assert services["haproxy"]["depends_on"][host]["condition"] == "service_healthy"
    assert set(services["haproxy"]["networks"]) & set(services[host]["networks"])
    if host == "logstash":
        assert f"port => {port}" in (ROOT / "logstash/pipeline/edge.conf").read_text()
    else:
        assert f"udp://0.0.0.0:{port}" in services[host]["command"]
        assert (
            services[host]["healthcheck"]["test"][-1] == port and f"tcp://0.0.0.0:{port}" in services[host]["command"]
        )


@every_choice
def test_one_shots_are_those_that_the_command_knows(stack, profiles):
    services = stack(*profiles)["services"]
    assert {name for name, each in services.items() if each["restart"] == "no"} == engine.ONE_SHOTS & services.keys()


def test_no_port_is_published_twice_and_none_beyond_this_machine(stack):
    published = {}
    for profiles in CHOICES:
        for name, service in stack(*profiles)["services"].items():
            for each in service.get("ports", []):
                address, port, _ = each.split(":")
                assert address == "127.0.0.1"
                assert published.setdefault(port, name) == name


@every_choice
def test_the_ports_that_are_looked_at_before_a_start_are_those_that_are_published(stack, profiles, tmp_path):
    services = stack(*profiles)["services"].values()
    published = {int(each.split(":")[1]) for service in services for each in service.get("ports", [])}
    values = environment.made("clusterlog", profiles, "0.1.0")
    assert set(environment.Environment(tmp_path, values).ports().values()) == published


@every_choice
def test_images_are_pinned_to_a_full_version(stack, profiles):
    for name, service in stack(*profiles)["services"].items():
        tag = service["image"].rpartition(":")[2]
        assert re.match(r"\d+\.\d+\.\d+", tag), f"{name}: {service['image']}"


def test_the_images_own_base_is_pinned():
    (base,) = re.findall(r"(?m)^FROM (.+)$", (ROOT / "examples/shop/Dockerfile").read_text())
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base)


def test_what_the_example_needs_beside_clusterlog_is_pinned():
    lines = (ROOT / "examples/shop/requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z]+==\d+(\.\d+)+", line) for line in lines if line and not line.startswith("#"))


@every_choice
def test_nothing_is_privileged_and_everything_is_bounded(stack, profiles):
    for name, service in stack(*profiles)["services"].items():
        assert not service.keys() & {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"}, name
        assert service.get("network_mode", "none") == "none", name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        if service["image"].startswith("clusterlog-shop:"):
            assert service["cap_drop"] == ["ALL"] and service["read_only"] is True, name


@every_choice
def test_memory_that_is_looked_for_covers_the_large_ones(stack, profiles, tmp_path):
    sizes = {"m": 1 << 20, "g": 1 << 30}
    large = [
        int(each["mem_limit"][:-1]) * sizes[each["mem_limit"][-1]]
        for each in stack(*profiles)["services"].values()
        if not each["image"].startswith(("clusterlog-shop:", "haproxy:", "redis:"))
    ]
    values = environment.made("clusterlog", profiles, "0.1.0")
    assert environment.Environment(tmp_path, values).memory() == sum(large) + environment.OF_THE_SHOP


@every_choice
def test_every_mounted_file_exists_cannot_be_written_and_travels_with_the_command(stack, profiles):
    travelling = {each.name for each in files.planned(ROOT)}
    for name, service in stack(*profiles)["services"].items():
        for each in service.get("volumes", []):
            source, _, rest = each.partition(":")
            if source.startswith("."):
                path = source.removeprefix("./")
                assert (ROOT / path).exists(), f"{name}: {each}"
                assert rest.endswith(":ro"), f"{name}: {each}"
                assert any(there == path or there.startswith(f"{path}/") for there in travelling)


@every_choice
def test_volumes_that_are_mounted_are_declared_and_those_declared_are_of_this_env(stack, profiles):
    whole = stack(*profiles, STACK_ID="abc")
    mounted = {each.split(":")[0] for service in whole["services"].values() for each in service.get("volumes", [])}
    named = {each for each in mounted if not each.startswith(".")}
    assert named <= whole["volumes"].keys()
    assert all(each == {"labels": {"clusterlog.stack": "abc"}} for each in whole["volumes"].values())


@every_choice
def test_networks_that_are_joined_are_declared_and_talk_has_a_way(stack, profiles):
    whole = stack(*profiles)
    services = whole["services"]
    assert {each for service in services.values() for each in service.get("networks", [])} == whole["networks"].keys()
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if other in services and how["condition"] == "service_healthy":
                assert set(service["networks"]) & set(services[other]["networks"]), f"{name} cannot reach {other}"


def test_the_key_of_the_authority_is_mounted_by_nobody_else(stack):
    for profiles in CHOICES:
        services = stack(*profiles)["services"]
        assert [name for name, each in services.items() if any("authority" in v for v in each.get("volumes", []))] == [
            "certificates"
        ]


def test_no_secret_is_in_the_file():
    """Whatever is called a password, a key or a token is a variable, or the path of a file."""
    text = (ROOT / "docker-compose.yml").read_text()
    for line in text.splitlines():
        found = re.match(r"\s+(\w*(?:PASSWORD|SECRET|TOKEN|ENCRYPTIONKEY)\w*): (.+)", line)
        if found:
            assert found[2].startswith(("${", "/")), line
    assert not re.search(r"://\w+:[^$@\s]+@", text)


def test_one_elasticsearch_begins_a_cluster_and_the_others_look_for_it(stack):
    services = stack("direct", "cluster")["services"]
    nodes = [services[name]["environment"] for name in ("elasticsearch", "elasticsearch-2", "elasticsearch-3")]
    assert [each.get("cluster.initial_master_nodes") for each in nodes] == ["elasticsearch", None, None]
    assert len({each["node.name"] for each in nodes}) == 3
    assert len({each["discovery.seed_hosts"] for each in nodes}) == 1
    data = [services[f"elasticsearch{suffix}"]["volumes"][1].split(":")[0] for suffix in ("", "-2", "-3")]
    assert len(set(data)) == 3


SETTINGS = {
    *("cluster.name", "cluster.initial_master_nodes", "discovery.seed_hosts", "discovery.type", "node.name"),
    *("xpack.license.self_generated.type", "xpack.security.enabled"),
    *(f"xpack.security.{layer}.ssl.enabled" for layer in ("http", "transport")),
    *(f"xpack.security.{layer}.ssl.certificate" for layer in ("http", "transport")),
    *(f"xpack.security.{layer}.ssl.certificate_authorities" for layer in ("http", "transport")),
    *(f"xpack.security.{layer}.ssl.key" for layer in ("http", "transport")),
    "xpack.security.transport.ssl.verification_mode",
    *(f"plugins.security.ssl.{layer}.pemcert_filepath" for layer in ("http", "transport")),
    *(f"plugins.security.ssl.{layer}.pemkey_filepath" for layer in ("http", "transport")),
    *(f"plugins.security.ssl.{layer}.pemtrustedcas_filepath" for layer in ("http", "transport")),
}
"""Names of settings as Elasticsearch and OpenSearch document them; both refuse to start with one they do not know."""
VARIABLES = {
    *("ELASTIC_PASSWORD", "OPENSEARCH_INITIAL_ADMIN_PASSWORD", "LS_JAVA_OPTS", "REDISCLI_AUTH"),
    *("SERVER_NAME", "SERVER_HOST", "SERVER_PUBLICBASEURL", "TELEMETRY_OPTIN"),
    *("ELASTICSEARCH_HOSTS", "ELASTICSEARCH_USERNAME", "ELASTICSEARCH_PASSWORD"),
    "ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES",
    *("XPACK_SECURITY_ENCRYPTIONKEY", "XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY", "XPACK_REPORTING_ENCRYPTIONKEY"),
}
"""Those that the images of others turn into settings, or read themselves."""
OURS = {
    *("CLUSTERLOG__DEMO", "REDIS_URL", "KIBANA_PASSWORD", "REQUESTS_PER_SECOND", "EDGE_LOG", "LOGSTASH_HTTP_PASSWORD"),
    *(f"CLUSTERLOG_{name.upper()}" for name in names()),
}


@every_choice
def test_every_setting_of_a_service_is_one_that_its_program_has(stack, profiles):
    for name, service in stack(*profiles)["services"].items():
        told = service.get("environment", {}).keys()
        assert {each for each in told if "." in each} <= SETTINGS, name
        assert {each for each in told if "." not in each} <= VARIABLES | OURS, name


def test_certificates_that_services_name_are_made(stack):
    script = (ROOT / "examples/shop/certificates.sh").read_text()
    made = {"ca", *re.findall(r"(?m)^certificate (\w+)", script)}
    for profiles in CHOICES:
        text = json.dumps(stack(*profiles)["services"])
        assert set(re.findall(r"certs/(\w+)\.(?:crt|key)", text)) <= made
        for name in re.findall(r"/certificates/(\w+)\.", text):
            assert name in made


def test_the_shops_know_each_other_by_the_names_of_their_services(stack):
    services = stack("direct")["services"]
    for name, service in services.items():
        told = service.get("environment", {}).get("CLUSTERLOG__DEMO")
        if told:
            there = json.loads(told)
            assert there["node"] == service["environment"]["CLUSTERLOG_NODE"] == name
            for peer, url in there["peers"].items():
                assert peer in services and url.startswith(f"http://{peer}:")
                port = url.rpartition(":")[2]
                assert port == services[peer]["healthcheck"]["test"][-1]
                assert any(port in word for word in services[peer]["command"])


def test_whoever_shells_out_in_the_file_does_so_in_a_way_that_sh_can_read(stack):
    for profiles in CHOICES:
        for name, service in stack(*profiles)["services"].items():
            test = service.get("healthcheck", {}).get("test", [""])
            scripts = [test[1]] if test[0] == "CMD-SHELL" else []
            for key in ("command", "entrypoint"):
                argv = service.get(key) or []
                scripts += [argv[2]] if len(argv) == 3 and argv[1] == "-c" else []
            for script in scripts:
                read = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
                assert read.returncode == 0, f"{name}: {read.stderr}"


def test_logstash_gets_every_variable_that_its_files_ask_for(stack):
    asked = {
        found
        for path in (ROOT / "logstash").rglob("*.conf")
        for found in re.findall(r"\$\{(\w+)\}", path.read_text())  # those without a default
    }
    service = stack("logstash")["services"]["logstash"]
    assert asked == {"LOGSTASH_HTTP_PASSWORD", "ELASTICSEARCH_API_KEY"}
    assert "LOGSTASH_HTTP_PASSWORD" in service["environment"]
    assert "export ELASTICSEARCH_API_KEY" in service["entrypoint"][-1]


@pytest.mark.parametrize("profiles", CHOICES, ids=",".join)
def test_where_commands_of_this_machine_look_is_where_services_are(stack, tmp_path, profiles):
    values = environment.made("clusterlog", profiles, "0.1.0")
    urls = access.addresses(environment.Environment(tmp_path, values))
    assert ("kibana" in urls) == ("opensearch" not in profiles)
    shown = {int(url.rpartition(":")[2]) for url in urls.values()}
    services = stack(*profiles)["services"].values()
    assert shown <= {int(each.split(":")[1]) for service in services for each in service.get("ports", [])}


def _compose() -> bool:
    docker = shutil.which("docker")
    asked = [docker, "compose", "version"] if docker else ["false"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _compose(), reason="there is no docker compose here: the file is read by our own rules alone")
@every_choice
def test_compose_itself_reads_it(tmp_path, profiles):
    values = environment.made("clusterlog", profiles, "0.1.0")
    (tmp_path / ".env").write_bytes(environment.content(values))
    command = [
        "docker",
        "compose",
        "--env-file",
        tmp_path / ".env",
        "--file",
        ROOT / "docker-compose.yml",
        "config",
        "-q",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
