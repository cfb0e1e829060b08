"""What functions ask of this machine, and what stack.yaml allows."""

from typing import Any

import pytest

from stack.config.allow import Allow
from stack.config.settings import Images, Settings
from stack.errors import AccessError
from stack.plan.host_access import check_host_access, find_host_access
from stack.plan.stack import plan_service
from tests.unit.plan.samples import make_function, make_plan, make_vault

ALL = Settings(
    allow=Allow(
        host_paths=("/srv/data",), devices=("/dev/ttyUSB0", "nvidia.com/gpu"), root=True, host_network_builds=True
    )
)


def mount(path: str) -> dict[str, Any]:
    return {
        "volumes": [
            {"volume": {"name": "v", "hostPath": {"path": path}}, "volumeMount": {"name": "v", "mountPath": "/v"}}
        ]
    }


def directive(kind: str, value: str) -> dict[str, Any]:
    return {"build": {"directives": {"postCopy": [{"kind": kind, "value": value}]}}}


def commands(*lines: str) -> dict[str, Any]:
    return {"build": {"commands": list(lines)}}


def git(path: str) -> dict[str, Any]:
    return {"build": {"codeEntryType": "git", "path": path}}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            mount("/srv/data"),
            "spec.volumes.0.volume.hostPath.path: asks for /srv/data .* {host_paths: \\[/srv/data\\]}$",
        ),
        (mount("/"), "add to stack.yaml: allow: {host_paths: \\[/\\]}$"),
        (mount("/var/run/docker.sock"), "which stack.yaml does not allow"),
        ({"devices": ["/dev/ttyUSB0:/dev/x:r"]}, "spec.devices.0: .* allow: {devices: \\[/dev/ttyUSB0\\]}$"),
        ({"devices": ["a.example/gpu=all"]}, "allow: {devices: \\[a.example/gpu=all\\]}$"),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "allow: {devices: \\[nvidia.com/gpu\\]}$"),
        ({"securityContext": {"runAsUser": 0}}, "spec.securityContext.runAsUser: .* allow: {root: true}$"),
        ({"securityContext": {"runAsGroup": 0}}, "allow: {root: true}$"),
        ({"securityContext": {"fsGroup": 0}}, "allow: {root: true}$"),
        (directive("USER", "root"), "USER root: only a number .* allow: {root: true}$"),
        (directive("user", "0"), "allow: {root: true}$"),
        (directive("USER", "1000:0"), "allow: {root: true}$"),
        (directive("USER", "nuclio"), "write it so, such as USER 1000"),
        ({"build": {"flags": ["--network=host"]}}, "spec.build.flags: .* allow: {host_network_builds: true}$"),
        ({"build": {"flags": ["--add-host=a:127.0.0.1"]}}, "allow: {host_network_builds: true}$"),
        (directive("ADD", "http://127.0.0.1:9000/api/users /x"), "allow: {host_network_builds: true}$"),
        (directive("ADD", '["https://a.example/f", "/x"]'), "allow: {host_network_builds: true}$"),
        ({"build": {"path": "/etc/passwd"}}, "spec.build.path: .* allow: {host_paths: \\[/etc/passwd\\]}$"),
        ({"build": {"path": "~/code"}}, "spec.build.path: asks for code from ~/code"),
        (git("file:///root/code"), "allow: {host_paths: \\[/root/code\\]}$"),
        (git("/root/code"), "allow: {host_paths: \\[/root/code\\]}$"),
    ],
)
def test_what_is_refused_is_told_with_the_line_to_add(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(AccessError, match=f"^functions/thermo/function.yaml: .*{problem}"):
        check_host_access(make_function(**spec), Settings())


@pytest.mark.parametrize(
    "spec",
    [
        mount("/srv/data"),
        mount("/srv//data/./"),
        {"devices": ["/dev/ttyUSB0", "/dev/ttyUSB0:/dev/x:rwm"]},
        {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        {"securityContext": {"runAsUser": 0, "runAsGroup": 0, "fsGroup": 0}},
        directive("USER", "root"),
        directive("ADD", "https://a.example/f /x"),
        {"build": {"flags": ["--network=host"]}},
        {"build": {"path": "/srv/data/code"}},
        git("file:///srv/data"),
    ],
)
def test_what_is_allowed(spec: dict[str, Any]) -> None:
    assert find_host_access(make_function(**spec), ALL) == ()


@pytest.mark.parametrize(
    "spec",
    [
        mount("/srv/database"),
        mount("/srv"),
        mount("/srv/data/below"),
        mount("/srv/data/../../etc"),
        mount("/srv/data/.."),
        {"devices": ["/dev/ttyUSB1"]},
        {"devices": ["/dev/../dev/ttyUSB0"]},
        {"build": {"path": "../../.stack/secrets"}},
        {"build": {"path": "/srv/data/../../etc"}},
        {"build": {"path": "../../../srv/data"}},
        {"build": {"image": "tidegate/control:latest"}},
        {"build": {"image": "docker.io/library/python:3.13-slim"}},
        {"build": {"image": "nuclio/processor-other"}},
        git("../../.git"),
    ],
)
def test_no_way_round(spec: dict[str, Any]) -> None:
    assert find_host_access(make_function(**spec), ALL)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"securityContext": {"runAsUser": 1000}},
        directive("USER", "1000"),
        directive("ADD", "local.txt /x"),
        {"build": {"flags": ["--network=none", "--pull"]}},
        {"build": {"path": "../other/main.py"}},
        {"build": {"path": "https://code.example/f.zip"}},
        {"build": {"image": "nuclio/processor-thermo:v2"}},
        {"build": {"image": "registry.example/team/thermo:v2"}},
        git("https://code.example/f"),
        git("git@code.example:team/f.git"),
        commands("apt-get update && \\\n  apt-get install -y x && \\\n# why\n\n  true"),
        commands("<<EOF\necho a\nUSER root\nEOF"),
    ],
)
def test_what_needs_no_permission(spec: dict[str, Any]) -> None:
    assert find_host_access(make_function(**spec), Settings()) == ()


@pytest.mark.parametrize(
    "spec",
    [
        commands("true\nUSER root"),
        commands("true\\\\\nADD http://127.0.0.1/ /x"),
        commands("<<EOF\necho a\nEOF\nUSER root"),
        commands('echo "<<EOF"\nUSER root\nEOF'),
        directive("LABEL", "a=b\nUSER root"),
        directive("LABEL", "\nUSER root"),
        directive("COPY", "<<EOF /x\nEOF\nUSER root"),
    ],
)
def test_no_instruction_hides_behind_another(spec: dict[str, Any]) -> None:
    (found,) = find_host_access(make_function(**spec), ALL)
    assert "would be an instruction of its own" in found.text


def test_mirror_s_base_is_no_function_s_image() -> None:
    settings = Settings(images=Images(mirror="mirror.example:5000/"))
    assert find_host_access(make_function(build={"image": "mirror.example:5000/haproxy:3.2"}), settings)


def test_service_of_what_is_refused_cannot_be_planned() -> None:
    plan = make_plan(**mount("/"))
    with pytest.raises(AccessError):
        plan_service(plan, Settings(), image="image:1", vault=make_vault(), is_deployed=True)
