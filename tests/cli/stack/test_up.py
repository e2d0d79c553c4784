"""Starting, looking at and ending a stack, against a stand-in for the engine that also fails in each way."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
import tomllib
from itertools import pairwise

import pytest
from docker_double import DAEMON, DENIED, NO_COMPOSE, row

from clusterlog.cli.stack import engine, environment, running
from clusterlog.errors import TimedOut
from clusterlog.settings import load

GB = 1 << 30


def test_up_checks_builds_starts_waits_and_says_where_everything_is(stack, made, docker, ports):
    docker.comes_up()
    result = stack("up")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        f"shop           http://localhost:{ports['SHOP_PORT']}",
        f"kibana         http://localhost:{ports['KIBANA_PORT']}",
        f"elasticsearch  https://localhost:{ports['ELASTICSEARCH_PORT']}",
    ]
    assert "user elastic; its password is ELASTIC_PASSWORD in .env" in result.err
    verbs = docker.verbs()
    assert verbs[:5] == ["version", "compose version", "info", "compose ps", "volume"]
    assert [each for each in verbs if each in ("compose build", "compose up")] == ["compose build", "compose up"]
    (up,) = (call for call in docker.calls() if "up" in call)
    assert up[-4:] == ["up", "--detach", "--no-build", "--remove-orphans"]
    assert up[1:5] == ["--project-directory", str(made), "--file", f"{made}/docker-compose.yml"]


def test_up_waits_until_every_service_is_there_and_well(stack, made, docker, monkeypatch):
    monkeypatch.setattr(running, "_POLL_S", 0.001)
    done = row("certificates", "exited", "")
    told = [
        [],
        [done],
        [done, row("elasticsearch", "running", "starting")],
        [done, row("elasticsearch"), row("shop-1", "created", "")],
        [done, row("elasticsearch"), row("shop-1")],
    ]
    docker.answers("compose ps", *({"out": "".join(f"{json.dumps(each)}\n" for each in rows)} for rows in told))
    assert stack("up").code == 0
    assert docker.verbs().count("compose ps") == len(told) + 2  # and for what is copied and what is told


def test_compose_before_2_21_tells_containers_as_one_array(stack, made, docker):
    rows = [row("certificates", "exited", ""), row("elasticsearch"), row("shop-1", "running", "")]
    docker.answers("compose ps", out=json.dumps(rows))
    assert stack("status").code == 0


def test_after_up_commands_of_this_machine_have_a_home_that_leads_there(stack, made, docker, ports):
    docker.comes_up()
    stack("up")
    settings = tomllib.loads((made / ".stack/clusterlog.toml").read_text())
    assert settings == {
        "environment": "production",
        "ca_file": "ca.crt",
        "store": f"https://localhost:{ports['ELASTICSEARCH_PORT']}",
        "token_file": "read.token",
        "kibana": f"http://localhost:{ports['KIBANA_PORT']}",
        "user_key": "user.key",
    }
    found = load({"home": str(made / ".stack")}, for_command=True)
    assert (found.store, found.kibana) == (settings["store"], settings["kibana"])
    assert (found.ca_file, found.token_file) == (f"{made}/.stack/ca.crt", f"{made}/.stack/read.token")
    for name in ("ca.crt", "read.token", "user.key", "clusterlog.toml"):
        assert stat.S_IMODE((made / ".stack" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((made / ".stack").stat().st_mode) == 0o700


def test_of_opensearch_the_home_has_the_password_for_its_owner_alone(stack, made, docker, change, ports):
    docker.comes_up()
    docker.answers("cp", copies={"certificates:/trust/ca.crt": "x"})
    change(made, COMPOSE_PROFILES="opensearch")
    result = stack("up")
    assert result.code == 0, result.err
    settings = tomllib.loads((made / ".stack/clusterlog.toml").read_text())
    password = environment.read(made).value("OPENSEARCH_PASSWORD")
    assert settings["store"] == f"https://admin:{password}@localhost:{ports['OPENSEARCH_PORT']}"
    assert "kibana" not in settings and "user elastic" not in result.err
    assert password not in result.out + result.err


def test_where_keys_cannot_be_copied_the_stack_is_up_all_the_same(stack, made, docker):
    docker.comes_up()
    docker.answers("cp", code=1, err="Error response from daemon: No such container\n")
    result = stack("up")
    assert result.code == 0
    assert "the keys could not be copied out of the stack; stack up tries again" in result.err
    assert not (made / ".stack/clusterlog.toml").exists()


def test_told_to_programs_there_is_one_document_on_standard_output(stack, made, docker, ports):
    docker.comes_up()
    docker.answers("compose up", out="noise\n", err="more noise\n")
    document = stack("up", "--json").document
    assert document["schema"] == "clusterlog.stack/1"
    assert document["profiles"] == ["direct"] and document["project"] == "clusterlog"
    assert document["urls"]["kibana"] == f"http://localhost:{ports['KIBANA_PORT']}"
    assert [each["condition"] for each in document["services"]] == ["done", "up", "done", "up", "up"]
    assert {each["name"] for each in document["checks"]} == {"engine", "memory", "vm.max_map_count", "ports", "volumes"}
    assert document["home"] == str(made / ".stack")


def test_a_dry_run_shows_every_check_and_command_and_starts_nothing(stack, made, docker):
    result = stack("up", "--dry-run")
    assert result.code == 0
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["ok"] * 5
    assert [line.split()[-1] for line in lines[5:]] == ["certificates", "--remove-orphans"]
    assert not {"compose build", "compose up"} & set(docker.verbs())
    assert not (made / ".stack").exists()


def test_variables_of_the_shell_do_not_change_the_stack(stack, made, docker, monkeypatch):
    docker.comes_up()
    monkeypatch.setenv("STACK_VERSION", "7.0.0")
    monkeypatch.setenv("COMPOSE_PROFILES", "opensearch")
    monkeypatch.setenv("COMPOSE_FILE", "/elsewhere.yml")
    assert stack("up").code == 0
    assert docker.environments() == {"||"}


# ---- what speaks against a start


def test_without_docker_one_line_says_so(stack, made, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = stack("up")
    assert result.code == 2
    assert result.err == (
        "clusterlog: docker is not installed: the stack needs Docker Engine with its compose plug-in\n"
    )


def test_an_engine_that_is_not_started_is_not_reachable(stack, made, docker):
    docker.answers("version", code=1, err=f"{DAEMON}\n")
    result = stack("up")
    assert result.code == 3
    assert result.err == f"clusterlog: the container engine does not answer: is it started? ({DAEMON})\n"


def test_an_engine_that_one_may_not_use_is_not_allowed(stack, made, docker):
    docker.answers("version", code=1, err=f"{DENIED}\n")
    result = stack("up")
    assert result.code == 4
    assert result.err == ("clusterlog: may not use the container engine: join the group docker, or run this as root\n")


def test_an_engine_without_compose_is_said_to_lack_it(stack, made, docker):
    docker.answers("compose version", code=1, err=f"{NO_COMPOSE}\n")
    result = stack("up")
    assert result.code == 2
    assert result.err.startswith("clusterlog: docker has no compose plug-in: install docker-compose-plugin")


@pytest.mark.parametrize(("version", "code"), [("2.19.1", 2), ("v2.20.0", 0), ("2.39.1-desktop.1", 0), ("5.0.0", 0)])
def test_a_compose_that_is_too_old_is_refused(stack, made, docker, version, code):
    docker.comes_up()
    docker.answers("compose version", out=f"{version}\n")
    result = stack("up")
    assert result.code == code
    assert code == 0 or result.err == f"clusterlog: docker compose {version} is too old: 2.20 or newer is needed\n"


def test_an_engine_that_says_nothing_for_long_is_given_up(stack, made, docker, monkeypatch):
    monkeypatch.setattr(engine, "ANSWER_S", 0.2)
    docker.answers("version", waits=True)
    result = stack("up")
    assert (result.code, result.err) == (3, "clusterlog: docker version has not answered within 0 s\n")


def test_too_little_memory_is_refused_with_how_much_would_do(stack, made, docker):
    docker.answers("info", out=json.dumps({"MemTotal": 2 * GB}))
    result = stack("up")
    assert result.code == 2
    assert result.err == (
        "clusterlog: too little memory for direct: 2.0 GiB of memory, 4.0 GiB may be needed; "
        "less is taken by *_MEMORY in .env\n"
    )
    assert "compose up" not in docker.verbs()


def test_a_machine_of_four_gib_says_a_little_less_and_will_do(stack, made, docker):
    docker.comes_up()
    docker.answers("info", out=json.dumps({"MemTotal": int(3.9 * GB)}))
    assert stack("up").code == 0


def test_a_limit_of_mappings_that_search_servers_refuse_is_told_with_what_mends_it(stack, made, docker, maps):
    maps(65530)
    result = stack("up")
    assert result.code == 2
    assert result.err == (
        "clusterlog: vm.max_map_count is 65530, search servers need 262144: as root, "
        "sysctl -w vm.max_map_count=262144\n"
    )


@pytest.mark.parametrize("elsewhere", [{"OperatingSystem": "Docker Desktop"}, {"Name": "colima"}])
def test_where_the_engine_has_a_kernel_of_its_own_this_ones_limit_says_nothing(stack, made, docker, maps, elsewhere):
    maps(65530)
    docker.comes_up()
    docker.answers("info", out=json.dumps({"MemTotal": 8 * GB, **elsewhere}))
    result = stack("up", "--json")
    assert result.code == 0
    (check,) = (each for each in result.document["checks"] if each["name"] == "vm.max_map_count")
    assert check["state"] == "unknown"


def test_a_port_in_use_is_named_with_its_variable(stack, made, docker, ports):
    with socket.create_server(("127.0.0.1", ports["KIBANA_PORT"])):
        result = stack("up")
    assert result.code == 3
    assert result.err == (
        f"clusterlog: port {ports['KIBANA_PORT']} is in use: end what listens there, "
        "or choose another KIBANA_PORT in .env\n"
    )
    assert "compose up" not in docker.verbs()


def test_a_port_that_the_stack_itself_has_is_not_in_its_way(stack, made, docker, ports):
    shop = row("shop-1", "running", "healthy", 0, ports["SHOP_PORT"])
    docker.runs(row("certificates", "exited", ""), row("elasticsearch"), shop)
    with socket.create_server(("127.0.0.1", ports["SHOP_PORT"])):
        assert stack("up").code == 0


def test_an_address_that_is_not_of_this_machine_is_refused(stack, made, docker, change):
    change(made, BIND_ADDRESS="192.0.2.1")
    result = stack("up")
    assert (result.code, result.err) == (2, "clusterlog: BIND_ADDRESS = 192.0.2.1: this machine has no such address\n")


def test_volumes_of_another_env_are_refused_before_anything_starts(stack, made, docker):
    docker.answers("volume", out="clusterlog_elasticsearch\tanother\n")
    result = stack("up")
    assert result.code == 2
    assert result.err == (
        "clusterlog: volume clusterlog_elasticsearch keep the passwords of another .env: put that file back, or throw "
        "them and all events in them away: clusterlog stack down --volumes\n"
    ).replace("elasticsearch keep the", "elasticsearch keeps the")
    assert "compose up" not in docker.verbs()


def test_volumes_of_this_env_are_gone_on_with(stack, made, docker):
    docker.comes_up()
    stack_id = environment.read(made).value("STACK_ID")
    docker.answers("volume", out=f"clusterlog_elasticsearch\t{stack_id}\nclusterlog_spool\t{stack_id}\n")
    assert stack("up").code == 0


def test_all_that_is_wrong_is_told_at_once(stack, made, docker, maps):
    maps(65530)
    docker.answers("info", out=json.dumps({"MemTotal": 1 * GB}))
    result = stack("up")
    assert result.code == 2
    assert [line.split(":")[1].split()[0] for line in result.err.splitlines()] == ["vm.max_map_count", "too"]


def test_checks_that_fail_are_in_the_document_of_a_dry_run(stack, made, docker, maps):
    maps(65530)
    result = stack("up", "--dry-run", "--json")
    assert result.code == 2
    bad = [each["name"] for each in result.document["checks"] if each["state"] == "bad"]
    assert bad == ["vm.max_map_count"]


def test_what_is_left_of_another_profile_is_ended_before_the_start(stack, made, docker, change):
    """Compose leaves it running, and two shippers would take turns at one home."""
    docker.comes_up()
    up = [
        row("certificates", "exited", ""),
        row("elasticsearch"),
        row("provision", "exited", ""),
        row("ship"),
        row("shop-1"),
    ]
    told = "".join(f"{json.dumps(each)}\n" for each in up)
    left = f"{json.dumps(row('ship-logstash', 'restarting', ''))}\n{json.dumps(row('logstash'))}\n"
    docker.answers("compose ps", {"out": told + left}, {"out": told + left}, {"out": told})
    assert stack("up").code == 0
    (removed,) = (call for call in docker.calls() if "rm" in call)
    assert removed[-5:] == ["rm", "--stop", "--force", "logstash", "ship-logstash"]
    verbs = docker.verbs()
    assert verbs.index("compose rm") < verbs.index("compose build") < verbs.index("compose up")


# ---- what goes wrong while it starts


def test_a_build_that_fails_ends_it_with_what_the_build_said_above(stack, made, docker):
    docker.answers("compose build", code=17, err="failed to solve: no space left on device\n")
    result = stack("up")
    assert result.code == 3
    assert result.err.splitlines() == [
        "failed to solve: no space left on device",
        "clusterlog: docker compose build ended with exit code 17; why is what it said above",
    ]
    assert "compose up" not in docker.verbs()


@pytest.mark.parametrize(
    ("container", "told"),
    [
        (row("provision", "exited", "", 1), "provision has ended (1)"),
        (row("elasticsearch", "running", "unhealthy"), "elasticsearch is unhealthy"),
        (
            row("elasticsearch", "exited", "", 137),
            "elasticsearch has ended (137); it was killed, perhaps for want of memory",
        ),
        (row("kibana", "exited", "", 0), "kibana has ended (0)"),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_the_service_that_fails_is_named_with_where_its_reason_is(stack, made, docker, container, told, code):
    docker.answers("compose ps", {"out": ""}, {"out": f"{json.dumps(container)}\n"})
    docker.answers("compose config", out="elasticsearch\nkibana\nprovision\n")
    docker.answers("compose up", code=code, err="dependency failed to start\n")
    result = stack("up")
    assert result.code == 3
    service = container["Service"]
    assert result.err.splitlines()[-1] == (f"clusterlog: {told}: see docker compose -p clusterlog logs {service}")


def test_what_is_not_up_in_time_is_named(made, docker):
    docker.runs(row("certificates", "exited", ""), row("elasticsearch", "running", "starting"))
    with pytest.raises(TimedOut) as late:
        running.Stack(environment.read(made))._settle(deadline=0.0)
    assert str(late.value) == ("not up in time: elasticsearch, shop-1; clusterlog stack status tells how far it is")


def test_a_command_of_compose_that_does_not_end_is_ended(stack, made, docker):
    docker.answers("compose build", waits=True)
    result = stack("up", "--timeout", "3s")
    assert result.code == 7
    assert "has not ended after" in result.err.splitlines()[-1]
    assert (docker.directory / "interrupted").exists()  # as by Ctrl-C, so that it can put things in order
    pid = int((docker.directory / "waiting").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_of_two_at_once_the_second_says_that_the_first_is_at_work(stack, made, docker, until):
    docker.comes_up()
    docker.answers("compose build", waits=True)
    docker.answers("info", out=json.dumps({"MemTotal": 8 * GB, "OperatingSystem": "Docker Desktop"}))
    command = [sys.executable, "-m", "clusterlog", "stack", "up", str(made)]
    environ = {**os.environ, "PATH": str(docker.directory)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        try:
            until((docker.directory / "waiting").exists, "the first one builds")
            for verb in ("up", "down"):
                result = stack(verb)
                assert result.code == 3
                assert result.err == (
                    f"clusterlog: {made} is being started or ended by process {first.pid}: stop it, "
                    "or wait until it has done so\n"
                )
        finally:
            (docker.directory / "go").touch()
        out, err = first.communicate(timeout=60)
        assert first.returncode == 0, err
    assert docker.verbs().count("compose up") == 1
    assert b"kibana" in out


# ---- what of it runs


def test_status_shows_every_service_and_where_it_is(stack, made, docker, ports):
    docker.runs(
        row("certificates", "exited", ""), row("elasticsearch"), row("shop-1", "running", "", 0, ports["SHOP_PORT"])
    )
    result = stack("status")
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines()[:4]] == [
        ["service", "condition", "engine", "says", "ports"],
        ["certificates", "done", "exited", "(0)", "-"],
        ["elasticsearch", "up", "running", "(healthy)", "-"],
        ["shop-1", "up", "running", str(ports["SHOP_PORT"])],
    ]
    assert f"kibana         http://localhost:{ports['KIBANA_PORT']}" in result.out


def test_status_tells_what_is_missing_and_what_has_failed(stack, made, docker):
    docker.runs(
        row("certificates", "exited", ""), row("elasticsearch", "running", "unhealthy"), row("x", "running", "")
    )
    result = stack("status", "--json")
    assert result.code == 5
    document = result.document
    assert document["complete"] is False
    assert {each["service"]: each["condition"] for each in document["services"]} == {
        "certificates": "done",
        "elasticsearch": "failed",
        "x": "up",
        "shop-1": "missing",
    }


def test_status_of_a_stack_that_does_not_run_ends_as_a_search_that_found_nothing(stack, made, docker):
    result = stack("status")
    assert result.code == 1
    assert [line.split()[1] for line in result.out.splitlines()[1:]] == ["missing"] * 3


def test_status_without_a_stack_says_what_writes_one(stack, folder):
    result = stack("status")
    assert (result.code, result.err) == (
        2,
        f"clusterlog: {folder}/.env is missing: clusterlog stack init writes it\n",
    )


@pytest.mark.parametrize(
    ("container", "condition"),
    [
        (row("shop-1", "running", ""), "up"),
        (row("shop-1", "restarting", ""), "starting"),
        (row("shop-1", "created", ""), "starting"),
        (row("shop-1", "paused", ""), "failed"),
        (row("shop-1", "dead", ""), "failed"),
        (row("provision", "running", ""), "starting"),
        (row("provision", "exited", "", 0), "done"),
    ],
)
def test_a_container_is_up_done_starting_or_failed(container, condition):
    assert engine._container(container).condition == condition


# ---- its end


def test_down_ends_every_profile_and_keeps_the_volumes(stack, made, docker):
    result = stack("down")
    assert (result.code, result.err.splitlines()[-1]) == (0, "clusterlog has ended; its volumes are kept")
    (down,) = (call for call in docker.calls() if "down" in call)
    assert down[-2:] == ["down", "--remove-orphans"]
    assert [word for before, word in pairwise(down) if before == "--profile"] == [*environment.PROFILES]


def test_volumes_are_thrown_away_only_where_somebody_says_so(stack, made, docker):
    refused = stack("down", "--volumes")
    assert refused.code == 2
    assert refused.err.startswith("clusterlog: --volumes throws events away: it needs --yes where nobody can be asked")
    assert docker.verbs() == []
    assert stack("down", "--volumes", "--yes").code == 0
    (down,) = (call for call in docker.calls() if "down" in call)
    assert down[-1] == "--volumes"


def test_down_as_a_dry_run_shows_the_command_alone(stack, made, docker):
    result = stack("down", "--volumes", "--dry-run")
    assert result.code == 0
    assert re.fullmatch(r"docker compose .* down --remove-orphans --volumes\n", result.out)
    assert docker.verbs() == []


def test_a_down_that_fails_is_told(stack, made, docker):
    docker.answers("compose down", code=1, err="network has active endpoints\n")
    result = stack("down")
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        "clusterlog: docker compose down ended with exit code 1; why is what it said above"
    )


def test_help_is_told_without_asking_any_engine(stack, docker):
    for verb in ("init", "up", "status", "down"):
        assert stack(verb, "--help").code == 0
    assert docker.calls() == []
