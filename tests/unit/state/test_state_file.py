"""Files under .stack/ that a disk has spoiled: each is made again, or named in one message; none gives a traceback."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.config.source import load_function
from stack.dashboard.security.session import Sessions
from stack.docker.base_image import load_renewal, renewing
from stack.docker.driver import Driver
from stack.docker.engine import Engine
from stack.docker.stack import open_stack
from stack.errors import HostError, StackError
from stack.plan.broker_data import BrokerData
from stack.plan.diff import find_edits
from stack.plan.image import Archive
from stack.plan.render import ACCOUNTS, render, used_secrets
from stack.rabbitmq.account import apply_accounts
from stack.rabbitmq.data import load_data, note_data
from stack.run.image import list_attempts, note_attempt
from stack.state import deployment as deployments
from stack.state.access import load_access, load_gateway_login, load_session_key, write_gateway_login
from stack.state.credentials import has_ended, load_credentials, make_credentials
from stack.state.deploy_log import DeployLog, Result, load_attempts
from stack.state.replicas import keep_replicas, load_replicas
from stack.state.source.source import Store
from stack.state.vault import load_stack_key, mount_secrets
from stack.state.workspace import Workspace, parse_json, parse_word, read_tree, try_read_word, write_file, write_tree
from tests.unit.plan.samples import make_plan

NAME = "thermo"
ROTS = (
    b"\xff\xfe\x80\x00",
    b"",
    b"\0" * 64,
    b'{"name": "thermo", "us',
    b"null",
    b"[1, 2]",
    b"7" * 5000,
    b'"x"',
    b"[" * 10_000,
    b'{"a": null, "b": [], "c": {"d": 1}}',
)
# Those that no one could make again: who needs one is told so.
KEPT = frozenset(
    {
        "secrets/.dashboard",
        "secrets/.former-credentials",
        "secrets/.gateway",
        "secrets/.stack-key",
        "secrets/broker.password",
        "secrets/broker.username",
        f"state/copies/{NAME}.json",
    }
)
TRIGGERS = {"in": {"kind": "rabbit-mq", "attributes": {"exchangeName": "e", "topics": ["t"]}}}

FAR = "spec: {build: {codeEntryType: git, path: https://far.example/x.git}}\n"


class _NoBroker:
    """A broker that takes every account."""

    def import_definitions(self, _: object) -> None:
        """Take them."""

    delete_user = delete_permission = import_definitions


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    """Neither Docker, nor a registry, nor apt is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stack.docker.base_image.read_archive", lambda: Archive("trixie", ("deb http://a b c",)))
        patch.setattr("stack.docker.base_image._answers", lambda *_: False)
        patch.setattr(Driver, "check", lambda *_: None)
        patch.setattr(Engine, "has_image", lambda *_: False)
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which each file is that the stack ever reads again."""
    made = Workspace(tmp_path_factory.mktemp("sound"))
    (made.root / "stack.yaml").write_text("project: rotten\n")
    (made.root / "functions/far").mkdir(parents=True)
    (made.root / "functions/far/function.yaml").write_text(FAR)
    make_credentials(made)
    make_credentials(made, overlap="1h")
    load_session_key(made)
    Sessions(made.secrets / ".sessions", 60).begin()
    deploy(made)
    keep_replicas(made, NAME, replicas=2)
    with renewing(made):
        pass
    note_data(made, BrokerData("rabbitmq-data", "4.1"))
    write_file(made.state / "sources/far/current", b"1f2e tree 4c3b\n")
    use_all(made)
    return made


def deploy(workspace: Workspace) -> None:
    """Have a function with two revisions, a log, and a deploy that was cut off."""
    plan = make_plan(triggers=TRIGGERS)
    for number in (1, 2):
        deployments.record_deployment(workspace, plan, image=f"image:{number}")
    deployments.note_candidate(workspace, plan, image="image:3")
    log = DeployLog(workspace, NAME)
    log.begin("")
    log.end(Result.READY, "It runs.")
    note_attempt(workspace, NAME, image="image:3")


@pytest.fixture
def workspace(sound: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it."""
    shutil.copytree(sound.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def use_settings(workspace: Workspace) -> None:
    """Find what images stand on and who may log in."""
    stack = open_stack(workspace)
    assert stack.base_images.archive.codename == "trixie"
    assert stack.accounts.people


def use_deployments(workspace: Workspace) -> None:
    """Read what runs, ran and was to run."""
    stack = open_stack(workspace)
    assert all(stack.notes.values())
    deployments.load_live(workspace, ())
    deployments.load_candidate(workspace, NAME)
    deployments.load_revisions(workspace, NAME)
    list_attempts(workspace, NAME)


def use_log(workspace: Workspace) -> None:
    """Read the log of a deploy."""
    for attempt in load_attempts(workspace, NAME):
        assert attempt.result in Result


def use_source(workspace: Workspace) -> None:
    """Read what was fetched."""
    function = load_function(workspace.root / "functions/far")
    assert Store(workspace, open_stack(workspace).settings, function).recall()


def use_accounts(workspace: Workspace) -> None:
    """Bring the broker's accounts from those rendered last to those of now."""
    broker: Any = _NoBroker()
    stack = open_stack(workspace)
    apply_accounts(broker, stack.rendered_accounts, after=b"{}")


# What reads each file, by its path below .stack/.
READERS: dict[str, Callable[[Workspace], object]] = {
    "secrets/.dashboard": load_access,
    "secrets/.former-credentials": has_ended,
    "secrets/.gateway": load_gateway_login,
    "secrets/.session-key": load_session_key,
    "secrets/.sessions": lambda one: Sessions(one.secrets / ".sessions", 60).begin(),
    "secrets/.stack-key": load_stack_key,
    "secrets/broker.password": load_credentials,
    "secrets/broker.username": load_credentials,
    "state/archive.json": use_settings,
    "state/bases-renewed": load_renewal,
    "state/broker.json": load_data,
    "state/image-source": use_settings,
    f"state/attempts/{NAME}": use_deployments,
    f"state/candidates/{NAME}.json": use_deployments,
    f"state/copies/{NAME}.json": use_deployments,
    f"state/deploys/{NAME}.jsonl": use_log,
    f"state/functions/{NAME}.json": use_deployments,
    f"state/replicas/{NAME}": load_replicas,
    f"state/revisions/{NAME}/1.json": use_deployments,
    "state/sources/far/current": use_source,
    ACCOUNTS: use_accounts,
}
# Written again from these by each task that needs them.
WRITTEN = ("secrets/mounted/", "secrets/gateway/", "state/locks/", "rabbitmq/", "gateway/", "functions/", "images/")


def use_all(workspace: Workspace) -> None:
    """Do what plan, status, up and the dashboard do with these files."""
    for use in READERS.values():
        use(workspace)
    stack = open_stack(workspace)
    files = render(stack.inputs)
    mount_secrets(workspace, stack.vault, mounts=used_secrets(stack.inputs.services))
    write_gateway_login(workspace, stack.inputs.gateway_login)
    find_edits(files, read_tree(workspace))
    write_tree(workspace, files)


def test_each_file_has_a_reader(sound: Workspace) -> None:
    files = {one.relative_to(sound.rendered).as_posix() for one in sound.rendered.rglob("*") if one.is_file()}
    assert READERS.keys() <= files
    assert {one for one in files - READERS.keys() if not one.startswith(WRITTEN)} == {"compose.yaml"}


@pytest.mark.parametrize("path", READERS)
def test_spoiled_file_gives_no_traceback(workspace: Workspace, path: str) -> None:
    spoiled = workspace.rendered / path
    for rot in ROTS:
        spoiled.write_bytes(rot)
        try:
            READERS[path](workspace)
        except StackError as error:
            assert str(spoiled) in str(error)
            assert "nvoke" in str(error) or "Remove" in str(error)


@pytest.mark.parametrize("rot", ROTS, ids=range(len(ROTS)))
def test_all_that_can_be_made_again_is(workspace: Workspace, rot: bytes) -> None:
    for path in workspace.rendered.rglob("*"):
        if path.is_file() and path.relative_to(workspace.rendered).as_posix() not in KEPT:
            path.write_bytes(rot)
    use_all(workspace)
    use_all(workspace)


@pytest.mark.parametrize("overlap", ["", "1h"])
@pytest.mark.parametrize(
    "name", ["broker.password", "broker.username", ".former-credentials", ".dashboard", ".gateway"]
)
def test_new_logins_mend_spoiled_ones(workspace: Workspace, name: str, overlap: str) -> None:
    (workspace.secrets / name).write_bytes(b"\xff\0")
    with pytest.raises(HostError, match=name):
        READERS[f"secrets/{name}"](workspace)
    make_credentials(workspace, overlap=overlap)
    READERS[f"secrets/{name}"](workspace)
    assert load_credentials(workspace).password.get_secret_value().isascii()


def test_spoiled_session_key_is_another_one(workspace: Workspace) -> None:
    before = load_session_key(workspace)
    (workspace.secrets / ".session-key").write_bytes(before.encode()[:20])
    after = load_session_key(workspace)
    assert after != before
    assert load_session_key(workspace) == after


def test_what_is_secret_is_not_repeated() -> None:
    content = json.dumps({"volume": 3, "version": "secret"}).encode()
    with pytest.raises(ValueError, match="volume: Input should be a valid string") as caught:
        parse_json(BrokerData, content)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="not one line") as caught:
        parse_word(b"secret\0")
    assert "secret" not in str(caught.value)


def test_word_of_a_file(tmp_path: Path) -> None:
    assert try_read_word(tmp_path / "none") == ""
    (tmp_path / "one").write_bytes(b" a b\n")
    assert try_read_word(tmp_path / "one") == "a b"
    (tmp_path / "one").write_bytes(b"\xff")
    assert try_read_word(tmp_path / "one") == ""
