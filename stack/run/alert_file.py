"""The files of alerts/, for anyone who looks at them or edits them elsewhere than on the disk."""

from dataclasses import dataclass
from pathlib import Path

from stack.config.alert import FOLDER, NAME, SUFFIX, Alert, AlertConfig, load_alert
from stack.config.document import parse_model
from stack.config.yaml_loader import parse_mapping
from stack.docker.stack import Stack
from stack.errors import AlertError, ConfigError, HostError
from stack.plan.alert import RULES, SERVICE
from stack.plan.render import render
from stack.run.alert_check import check_alert, check_rules, keep_checked
from stack.run.files import FileText, digest_content, require_known
from stack.run.stack import write_stack
from stack.state.lock import TREE, lock
from stack.state.workspace import Workspace, advise, make_folder, write_file

_MODE = 0o644


@dataclass(frozen=True)
class AlertFile:
    """A file of alerts/; one that is wrong holds no alert, but problems."""

    name: str
    alert: Alert | None = None
    problems: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Return what it watches, in a line."""
        if not self.alert:
            return ""
        config = self.alert.config
        if config.silent:
            return f"nothing of {config.silent} for {config.after}"
        lasting = f" for {config.for_}" if config.for_seconds else ""
        return f"{config.when or ' '.join(config.expr.split())}{lasting}"


def list_alert_files(root: Path) -> list[AlertFile]:
    """Return every file of alerts/, those too that are wrong."""
    return [_read(path) for path in sorted((root / FOLDER).glob(f"*{SUFFIX}"))]


def read_alert_file(workspace: Workspace, name: str) -> FileText:
    """Read a file of alerts/.

    Raises:
        AlertError: there is none of that name.
    """
    path = _locate(workspace, name)
    if not path.is_file():
        raise AlertError(f"There is no file {FOLDER}/{name}{SUFFIX}.")
    content = path.read_bytes()
    return FileText(content.decode(errors="replace"), digest_content(content))


def parse_alert(name: str, text: str) -> Alert:
    """Return the alert that a text would be.

    Raises:
        ConfigError: it is wrong; every mistake is named.
    """
    document = f"{FOLDER}/{name}{SUFFIX}"
    return Alert(name, parse_model(AlertConfig, parse_mapping(text, document), document))


def write_alert_file(stack: Stack, name: str, text: str, *, known: str) -> str:
    """Write a file of alerts/, which vmalert can read; return its digest.

    `known` is the digest of what its writer has read, empty for one that should be new.

    Raises:
        ConfigError: it is wrong.
        ConflictError: it holds something else by now.
        EngineError: Docker refused to have it checked.
        HostError: it cannot be written.
    """
    path, content = _locate(stack.workspace, name), text.encode()
    require_known(path, f"{FOLDER}/{name}{SUFFIX}", known)
    check_alert(stack, parse_alert(name, text))
    make_folder(path.parent)
    write_file(path, content, _MODE)
    return digest_content(content)


def remove_alert_file(workspace: Workspace, name: str) -> None:
    """Remove a file of alerts/.

    Raises:
        AlertError: there is none of that name.
        HostError: it cannot be removed.
    """
    path = _locate(workspace, name)
    try:
        path.unlink()
    except FileNotFoundError:
        raise AlertError(f"There is no file {FOLDER}/{name}{SUFFIX}.") from None
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}. {advise(error, path)}") from error


def apply_alerts(stack: Stack) -> bool:
    """Have vmalert go by what is in alerts/ now; return whether it does, and `up` is not needed for that.

    Raises:
        EngineError: Docker does not answer.
        HostError: the files cannot be written.
    """
    fresh = stack.reread()
    runs = any(one.service == SERVICE and one.is_running for one in fresh.engine.listed())
    # With a file that is wrong `up` refuses what others would miss.
    if (
        not runs
        or not fresh.bare_inputs.has_vmalert
        or any(one.problems for one in list_alert_files(fresh.workspace.root))
    ):
        return False
    files = keep_checked(fresh, render(fresh.inputs), new=(RULES,))
    try:
        check_rules(fresh, files)
    except ConfigError:
        return False
    with lock(fresh.workspace, TREE):
        write_stack(fresh, fresh.inputs, files=files)
    return True


def _read(path: Path) -> AlertFile:
    try:
        return AlertFile(path.stem, load_alert(path))
    except ConfigError as error:
        return AlertFile(path.stem, problems=error.problems)


def _locate(workspace: Workspace, name: str) -> Path:
    """Return where a file of alerts/ is, or would be.

    Raises:
        AlertError: the name is none of a file.
    """
    if not NAME.fullmatch(name):
        raise AlertError(f"{name!r:.80} should be a name such as oven-hot: letters, digits, - and _.")
    return workspace.root / FOLDER / f"{name}{SUFFIX}"
