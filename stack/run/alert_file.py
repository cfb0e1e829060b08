"""The files of alerts/, for anyone who looks at them or edits them elsewhere than on the disk."""

from dataclasses import dataclass
from pathlib import Path

from stack.config.alert import FOLDER, NAME, SUFFIX, Alert, AlertConfig, list_alert_paths, load_placed_alert
from stack.config.document import parse_model
from stack.config.yaml_loader import parse_mapping, read_mapping
from stack.docker.stack import Stack
from stack.errors import AlertError, ConfigError, HostError
from stack.plan.alert import RULES, SEEN, SERVICE, render_rules, write_groups
from stack.plan.template import write_yaml
from stack.run.alert_check import check_alert, check_rules
from stack.run.files import FileText, digest_content, require_known
from stack.state.lock import TREE, lock
from stack.state.workspace import Workspace, advise, make_folder, write_file

_MODE = 0o644
_NO_RULES = write_yaml({"groups": []})


@dataclass(frozen=True)
class AlertFile:
    """A file of alerts/; one that is wrong holds no alert, but problems."""

    name: str
    alert: Alert | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_editable(self) -> bool:
        """Return whether it is where alerts are, by a name that they can have."""
        return bool(NAME.fullmatch(self.name))

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
    return [_read(root / FOLDER, path) for path in list_alert_paths(root)]


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
    return Alert(name, parse_model(AlertConfig, parse_mapping(text, document), name=document))


def write_alert_file(stack: Stack, name: str, *, text: str, known: str) -> str:
    """Write a file of alerts/, which vmalert can read; return its digest.

    `known` is the digest of what its writer has read, empty for one that should be new.

    Raises:
        ConfigError: it is wrong.
        ConflictError: it holds something else by now.
        EngineError: Docker refused to have it checked.
        HostError: it cannot be written.
    """
    path, content = _locate(stack.workspace, name), text.encode()
    require_known(path, f"{FOLDER}/{name}{SUFFIX}", known=known)
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
    """Have vmalert go by what is in alerts/ now, if it runs; return whether it does.

    Of a file that is wrong it keeps the rules that it has; all else of the stack is left to `up`.

    Raises:
        ConfigError: vmalert cannot read all of them together.
        EngineError: Docker does not answer.
        HostError: the rules cannot be written.
    """
    if not any(one.service == SERVICE and one.is_running for one in stack.engine.listed()):
        return False
    checked = b""
    while (rules := _render_rules(stack.reread())) != checked:
        if rules != _NO_RULES:
            check_rules(stack.reread(), {RULES: rules})
        checked = rules
        with lock(stack.workspace, TREE):
            # Somebody may have saved another one meanwhile.
            if _render_rules(stack.reread()) == checked:
                write_file(stack.workspace.rendered / RULES, checked, _MODE)
                return True
    return True


def _render_rules(stack: Stack) -> bytes:
    wrong = {one.name for one in list_alert_files(stack.workspace.root) if one.problems}
    path = stack.workspace.rendered / RULES
    known = read_mapping(path, RULES)["groups"] if path.is_file() else []
    kept = [one for one in known if one["name"] in wrong or one["name"].removesuffix(SEEN) in wrong]
    render_rules(stack.alerts, stack.settings)
    return write_groups(RULES, stack.alerts, settings=stack.settings, more=kept)[RULES]


def _read(folder: Path, path: Path) -> AlertFile:
    name = path.stem if path.parent == folder and path.suffix == SUFFIX else path.relative_to(folder).as_posix()
    try:
        return AlertFile(name, load_placed_alert(folder, path))
    except ConfigError as error:
        return AlertFile(name, problems=error.problems)


def _locate(workspace: Workspace, name: str) -> Path:
    """Return where a file of alerts/ is, or would be.

    Raises:
        AlertError: the name is none of a file.
    """
    if not NAME.fullmatch(name):
        raise AlertError(f"{name!r:.80} should be a name such as oven-hot: letters, digits, - and _.")
    return workspace.root / FOLDER / f"{name}{SUFFIX}"
