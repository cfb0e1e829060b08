"""export-kubernetes: what is written, told, pushed, and refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.config.settings import Settings
from stack.config.source import load_function
from stack.docker.driver import Driver
from stack.docker.engine import Engine
from stack.errors import ConfigError, ConflictError, EngineError, FunctionError
from stack.plan.function import plan_function
from stack.run.kubernetes import ExportRequest, export_kubernetes
from stack.state.deployment import record_deployment
from stack.state.workspace import Workspace

FUNCTION = "def handler(context, event):\n    return 1\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    (tmp_path / "stack.yaml").write_text("images: {source: registry}\n")
    (tmp_path / "functions/thermo").mkdir(parents=True)
    (tmp_path / "functions/thermo/main.py").write_text(FUNCTION)
    (tmp_path / "functions/thermo/function.yaml").write_text(
        "spec: {triggers: {a: {kind: mqtt, attributes: {subscriptions: [{topic: a}]}}}}\n"
    )
    return tmp_path


def read_image(root: Path) -> str:
    document = next(yaml.safe_load_all((root / "kubernetes/function-thermo.yaml").read_text()))
    return str(document["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_base_is_written_and_told_of(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_kubernetes(ExportRequest())
    told = capsys.readouterr().err
    assert "Not deployed here, and exported as their folders are: thermo." in told
    assert "the images of thermo have the names of this machine" in told
    assert "The cluster needs these Secrets: function-thermo.broker." in told
    assert "invoke export-kubernetes --secrets | kubectl apply --filename -" in told
    assert read_image(root).startswith("nuclio/processor-thermo:")
    export_kubernetes(ExportRequest())
    assert "0 of 7 files changed" in capsys.readouterr().err


def test_what_is_deployed_counts_and_not_what_its_folder_has_since(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_function(load_function(root / "functions/thermo"), Settings())
    record_deployment(Workspace(root), plan, image="nuclio/processor-thermo:deployed")
    (root / "functions/thermo/main.py").write_text(f"{FUNCTION}# changed\n")
    export_kubernetes(ExportRequest())
    assert read_image(root) == "nuclio/processor-thermo:deployed"
    assert "Not deployed here" not in capsys.readouterr().err


def test_what_is_exported_no_more_goes_and_what_others_wrote_stays(root: Path) -> None:
    export_kubernetes(ExportRequest())
    (root / "kubernetes/mine.yaml").write_text("a: 1\n")
    (root / "functions/thermo").rename(root / "functions/other")
    export_kubernetes(ExportRequest())
    names = {path.name for path in (root / "kubernetes").iterdir()}
    assert {"mine.yaml", "function-other.yaml"} <= names
    assert "function-thermo.yaml" not in names


def test_what_was_removed_is_told_beside_what_was_changed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_kubernetes(ExportRequest())
    export_kubernetes(ExportRequest(namespace="plant"))
    assert "6 of 6 files changed in" in (told := capsys.readouterr().err)
    assert told.count(", and 1 of an older export removed.") == 1


def test_what_an_apply_leaves_there_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A route goes on to lead to a function, and an account to be known, until someone deletes it."""
    export_kubernetes(ExportRequest())
    capsys.readouterr()
    (root / "functions/thermo").rename(root / "functions/other")
    export_kubernetes(ExportRequest())
    told = capsys.readouterr().err
    assert "no more exported, and not removed by an apply: `kubectl delete --namespace" in told
    for name in ("deployment.apps", "httproute.gateway.networking.k8s.io", "service", "user.rabbitmq.com"):
        assert f" {name}/function-thermo" in told
    assert "function-other`" not in told
    export_kubernetes(ExportRequest())
    assert "no more exported" not in capsys.readouterr().err


def test_a_stack_takes_no_namespace_of_others_away(root: Path) -> None:
    """Its own namespace goes with it."""
    (root / "stack.yaml").write_text("images: {source: registry}\nproject: default\n")
    with pytest.raises(ConfigError, match="--namespace: default is for others, too"):
        export_kubernetes(ExportRequest())
    export_kubernetes(ExportRequest(namespace="default"))


@pytest.mark.parametrize("output", ["stack.yaml", "stack.yaml/deploy"])
def test_a_file_is_no_folder(root: Path, output: str) -> None:
    with pytest.raises(
        ConflictError, match=r"stack\.yaml is a file, and the export is a folder; name another: --output"
    ):
        export_kubernetes(ExportRequest(output=str(root / output)))


def test_a_folder_where_a_file_is_to_be_is_told(root: Path) -> None:
    (root / "kubernetes/kustomization.yaml").mkdir(parents=True)
    with pytest.raises(ConflictError, match=r"kustomization\.yaml is no file of export-kubernetes"):
        export_kubernetes(ExportRequest())


def test_a_file_of_others_is_not_overwritten(root: Path) -> None:
    (root / "deploy").mkdir()
    (root / "deploy/namespace.yaml").write_text("kind: Namespace\n")
    with pytest.raises(ConflictError, match=r"namespace\.yaml is no file of export-kubernetes; name another folder"):
        export_kubernetes(ExportRequest(output=str(root / "deploy")))
    assert [path.name for path in (root / "deploy").iterdir()] == ["namespace.yaml"]


def test_a_secret_that_is_not_there_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pods would run without it, and no Secret would be named."""
    (root / "functions/thermo/function.yaml").write_text(
        "spec: {env: [{name: WORD, valueFrom: {secretKeyRef: {name: database, key: password}}}]}\n"
    )
    export_kubernetes(ExportRequest())
    told = capsys.readouterr().err
    assert "spec.env.0.valueFrom.secretKeyRef: there is no secret database.password" in told
    assert "Set it: invoke secret set database password." in told


def test_secrets_are_printed_and_nothing_is_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_kubernetes(ExportRequest(namespace="plant", secrets=True))
    (secret,) = [one for one in yaml.safe_load_all(capsys.readouterr().out) if one]
    assert (secret["kind"], secret["metadata"]["namespace"]) == ("Secret", "plant")
    assert set(secret["data"]) == {"username", "password", "url", "mqtt", "signature-key"}
    assert not (root / "kubernetes").exists()


def test_images_are_pushed_and_named_by_digest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[str] = []
    removed: list[str] = []

    def push(_: Driver, image: str) -> str:
        pushed.append(image)
        return f"{image.rpartition(':')[0]}@sha256:{'0' * 64}"

    monkeypatch.setattr(Driver, "check", lambda _: None)
    monkeypatch.setattr(Engine, "images", lambda _, names: set(names))
    monkeypatch.setattr(Driver, "tag", lambda _, image, name: None)
    monkeypatch.setattr(Driver, "push", push)
    monkeypatch.setattr(Driver, "remove_images", lambda _, images: removed.extend(images))
    export_kubernetes(ExportRequest(registry="registry.example/team", push=True))
    assert removed == pushed
    assert [one.rpartition(":")[0] for one in pushed] == ["registry.example/team/nuclio/processor-thermo"]
    assert read_image(root) == f"registry.example/team/nuclio/processor-thermo@sha256:{'0' * 64}"


def test_a_registry_that_is_not_there_is_told_with_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def push(_: Driver, image: str) -> str:
        raise EngineError("Docker refused: connection refused")

    monkeypatch.setattr(Driver, "check", lambda _: None)
    monkeypatch.setattr(Engine, "images", lambda _, names: set(names))
    monkeypatch.setattr(Driver, "tag", lambda _, image, name: None)
    monkeypatch.setattr(Driver, "push", push)
    with pytest.raises(
        EngineError, match=r"was not pushed: (.|\n)*Check that registry\.example/team is right and there"
    ):
        export_kubernetes(ExportRequest(registry="registry.example/team", push=True))


def test_registry_of_stack_yaml_is_taken_where_none_is_named(root: Path) -> None:
    (root / "stack.yaml").write_text("images: {source: registry, registry: registry.example/ours}\n")
    export_kubernetes(ExportRequest())
    assert read_image(root).startswith("registry.example/ours/nuclio/processor-thermo:")
    export_kubernetes(ExportRequest(registry="registry.example/team"))
    assert read_image(root).startswith("registry.example/team/nuclio/processor-thermo:")


def test_a_push_needs_a_registry(root: Path) -> None:
    with pytest.raises(FunctionError, match="--push needs a registry: add --registry"):
        export_kubernetes(ExportRequest(push=True))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"gateway": "a/b/c"}, "--gateway: should be NAME or NAMESPACE/NAME of a Gateway, not 'a/b/c'"),
        ({"gateway": "Gate_way"}, "--gateway: should be NAME"),
        ({"ingress": "nginx", "gateway": "a"}, "--ingress and --gateway: requests come by one of them"),
        ({"ingress": "a b"}, "--ingress: should be the name of a class"),
        ({"external_secrets": "a/b/c"}, "--external-secrets: should be the NAME of a SecretStore"),
        ({"external_secrets": "ClusterSecretStore/"}, "--external-secrets: should be"),
        ({"registry": "http://x/", "push": True}, "--registry: should be a host with a path"),
        ({"namespace": "kube-system"}, "--namespace: kube-system is for others, too; name one that is for this stack"),
        # Variables of a script that are not set.
        (
            {"ingress": "", "external_secrets": ""},
            r"--ingress: is empty; leave it out(.|\n)*--external-secrets: is empty",
        ),
        ({"nodes": 2}, "export-kubernetes --nodes: nodes: should be"),
    ],
)
def test_what_no_cluster_takes_is_refused(root: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        export_kubernetes(ExportRequest(**options))
    assert not (root / "kubernetes").exists()
