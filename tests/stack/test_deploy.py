"""What docs/deploy gives people: unit files read by systemd's own reader, manifests held against strict rules."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import plain_yaml
import psutil
import pytest

from clusterlog import settings
from clusterlog.settings.values import size as bytes_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs/deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
KNOWN = {f"CLUSTERLOG_{name.upper()}" for name in settings.names()}

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")


@pytest.fixture
def installed(tmp_path):
    """The units as they would be installed, their programs being ones that are here."""
    for path in UNITS:
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text())
        (tmp_path / path.name.replace("@.", "@shop.")).write_text(text)
    return tmp_path


def _verified(directory):
    units = sorted(directory.glob("*.service"))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.returncode, told.stderr


@needs_systemd
def test_systemd_reads_every_unit_without_a_word(installed):
    assert _verified(installed) == (0, "")


@needs_systemd
def test_systemd_finds_what_is_misspelt(installed):
    unit = installed / "shop.service"
    unit.write_text(unit.read_text().replace("StateDirectoryMode", "StateDirectoryMod"))
    assert "StateDirectoryMod" in _verified(installed)[1]


@needs_systemd
@pytest.mark.parametrize("name", ["clusterlog-ship@shop.service", "clusterlog-serve.service"])
def test_units_of_ours_may_do_little(installed, name):
    """By systemd's own measure, from 0 (nothing) to 10; medium begins at 5."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25", installed / name]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-300:]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_say_what_the_command_knows(path):
    """Settings exist, options exist, and the home is the directory that systemd makes."""
    text = path.read_text()
    set_there = set(re.findall(r"(?m)^Environment=(CLUSTERLOG_\w+)=", text))
    assert set_there <= KNOWN
    state = re.search(r"(?m)^StateDirectory=(\S+)$", text)[1]
    home = re.search(r"(?m)^Environment=CLUSTERLOG_HOME=%S/(\S+)$", text)
    assert home is None or home[1] == state
    words = re.search(r"(?m)^ExecStart=\S+ (.+)$", text)[1].split()
    command = [sys.executable, "-m", "clusterlog", words[0], "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = [word for word in words[1 : words.index("--") if "--" in words else None] if word.startswith("--")]
    assert all(option in told for option in options)


def test_the_application_and_its_shipper_have_one_home():
    homes = {
        re.search(r"(?m)^Environment=CLUSTERLOG_HOME=(.+)$", (DEPLOY / "systemd" / name).read_text())[1].replace(
            "%i", "shop"
        )
        for name in ("shop.service", "clusterlog-ship@.service")
    }
    assert homes == {"%S/clusterlog/shop"}


# ---- Kubernetes

_META = {"name", "namespace", "labels"}
_CONTAINER = {
    *("name", "image", "command", "args", "env", "envFrom", "ports", "securityContext", "resources", "volumeMounts"),
    *("livenessProbe", "readinessProbe", "restartPolicy"),
}
_POD = {
    *("containers", "initContainers", "volumes", "serviceAccountName", "automountServiceAccountToken", "tolerations"),
    *("terminationGracePeriodSeconds", "priorityClassName", "securityContext"),
}


def _objects():
    return [
        pytest.param(each, id=f"{path.stem}-{each['kind']}")
        for path in MANIFESTS
        for each in plain_yaml.documents(path.read_text())
    ]


def _workloads():
    return [each for each in _objects() if each.values[0]["kind"] in ("DaemonSet", "Deployment")]


every_workload = pytest.mark.parametrize("workload", _workloads())


def _containers(workload):
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("manifest", _objects())
def test_an_object_is_of_a_version_that_its_kind_has(manifest):
    versions = {
        "Namespace": "v1",
        "ServiceAccount": "v1",
        "ConfigMap": "v1",
        "DaemonSet": "apps/v1",
        "Deployment": "apps/v1",
    }
    assert manifest["apiVersion"] == versions[manifest["kind"]]
    assert manifest["metadata"].keys() <= _META
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", manifest["metadata"]["name"])


@every_workload
def test_a_workload_finds_its_own_pods(workload):
    spec = workload["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert spec["template"]["spec"].keys() <= _POD


@every_workload
def test_containers_mount_what_the_pod_has_and_nothing_is_left_over(workload):
    pod = workload["spec"]["template"]["spec"]
    there = {each["name"] for each in pod["volumes"]}
    mounted = {mount["name"] for each in _containers(workload) for mount in each.get("volumeMounts", [])}
    assert mounted == there
    for each in _containers(workload):
        assert each.keys() <= _CONTAINER
        places = [mount["mountPath"] for mount in each["volumeMounts"]]
        assert len(set(places)) == len(places)


@every_workload
def test_containers_have_pinned_images_limits_and_no_rights(workload):
    pod = workload["spec"]["template"]["spec"]
    for each in _containers(workload):
        assert re.search(r":\d+\.\d+\.\d+$", each["image"])
        assert each["resources"]["limits"]["memory"] and each["resources"]["requests"].keys() == {"cpu", "memory"}
        context = {**pod.get("securityContext", {}), **each["securityContext"]}
        assert context["allowPrivilegeEscalation"] is False and context["capabilities"]["drop"] == ["ALL"]
        assert not context.get("privileged")
        if each["name"] != "home":  # makes a directory of the machine ready, and ends
            assert context["runAsNonRoot"] is True and context["runAsUser"] == 1000
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert "add" not in context["capabilities"]


@every_workload
def test_settings_in_manifests_exist_and_lead_to_what_is_mounted(workload):
    maps = {
        each["metadata"]["name"]: each["data"]
        for path in MANIFESTS
        for each in plain_yaml.documents(path.read_text())
        if each["kind"] == "ConfigMap"
    }
    for each in _containers(workload):
        told = {variable["name"]: variable.get("value") for variable in each.get("env", [])}
        for source in each.get("envFrom", []):
            told |= maps[source["configMapRef"]["name"]]
        assert told.keys() <= KNOWN
        places = [mount["mountPath"] for mount in each["volumeMounts"]]
        for name, value in told.items():
            if name.endswith(("_HOME", "_FILE", "_KEY")):
                assert any(value == place or value.startswith(f"{place}/") for place in places), name


def test_the_sidecar_restarts_always_so_that_it_is_one():
    (workload,) = plain_yaml.documents((DEPLOY / "kubernetes/sidecar.yaml").read_text())
    pod = workload["spec"]["template"]["spec"]
    assert [each.get("restartPolicy") for each in pod["initContainers"]] == ["Always"]
    size = next(each["emptyDir"]["sizeLimit"] for each in pod["volumes"] if each["name"] == "home")
    assert int(size.removesuffix("Mi")) << 20 > bytes_of("1GiB")


def _sidecar():
    (workload,) = plain_yaml.documents((DEPLOY / "kubernetes/sidecar.yaml").read_text())
    (shipper,) = workload["spec"]["template"]["spec"]["initContainers"]
    return [*shipper["command"], *shipper["args"]]


@pytest.fixture
def sidecar(tmp_path):
    """Start the sidecar's own command, with a real shipper and a file as its sink."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "clusterlog"
    last = "import clusterlog as c; c.start('shop'); c.get_logger('shop').info('said last'); c.stop()"
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$2" = --once ] && {sys.executable} -c "{last}"\n'  # what an application says as its shipper has ended
        f'exec {sys.executable} -m clusterlog "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / "home").mkdir()
    environ = {
        **os.environ,
        "PATH": f"{programs}:/usr/bin:/bin",
        "CLUSTERLOG_HOME": str(tmp_path / "home"),
        "CLUSTERLOG_SINK": f"file:{tmp_path / 'events.jsonl'}",
    }
    started = []

    def start():
        command = subprocess.Popen(
            _sidecar(), env=environ, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
        )
        started.append(command)
        return command

    yield start, environ, tmp_path
    for each in started:
        try:
            os.killpg(each.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        each.wait()
        each.stderr.close()


def _logged(environ, where, text):
    code = (
        f"import clusterlog; clusterlog.start('shop'); clusterlog.get_logger('shop').info({text!r}); clusterlog.stop()"
    )
    subprocess.run([sys.executable, "-c", code], env=environ, cwd=where, check=True, capture_output=True)


def test_asked_to_end_the_sidecar_delivers_what_was_said_last(sidecar):
    start, environ, where = sidecar
    _logged(environ, where, "first")
    command = start()
    assert b"shipping" in command.stderr.readline()
    os.kill(command.pid, signal.SIGTERM)
    assert command.wait(60) == 0
    delivered = (where / "events.jsonl").read_bytes()
    assert b"first" in delivered and b"said last" in delivered


def test_a_shipper_that_is_killed_ends_the_sidecar_as_a_failure(sidecar):
    start, environ, where = sidecar
    _logged(environ, where, "first")
    command = start()
    assert b"shipping" in command.stderr.readline()
    (shipper,) = psutil.Process(command.pid).children()
    shipper.kill()
    assert command.wait(60) != 0
