"""Where a backup is restored: what differs is found, and kept."""

from pathlib import Path

from stack.run.backup.restore import find_differing, put_away
from stack.state.workspace import Workspace


def write(folder: Path, content: dict[str, str]) -> None:
    for path, text in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def test_what_differs_and_what_is_deployed_makes_way_and_is_kept(tmp_path: Path) -> None:
    workspace, fresh = Workspace(tmp_path / "here"), tmp_path / "fresh"
    write(workspace.root, {"stack.yaml": "old", "functions/a/main.py": "same", "functions/b/main.py": "own"})
    write(workspace.state, {"functions/b.json": "{}", "locks/stack": ""})
    write(workspace.secrets, {".stack-key": "old"})
    write(
        fresh, {"workspace/stack.yaml": "new", "workspace/functions/a/main.py": "same", "state/functions/a.json": "{}"}
    )
    assert list(find_differing(fresh / "workspace", workspace.root)) == ["stack.yaml"]
    put_away(workspace, fresh)
    (kept,) = (workspace.rendered / "replaced").iterdir()
    found = {path.relative_to(kept).as_posix(): path.read_text() for path in kept.rglob("*") if path.is_file()}
    assert found == {"stack.yaml": "old", ".stack/functions/b.json": "{}", ".stack/secrets/.stack-key": "old"}
    assert (workspace.root / "functions/b/main.py").read_text() == "own"
    assert (workspace.state / "locks/stack").exists()
    assert kept.stat().st_mode & 0o077 == 0
