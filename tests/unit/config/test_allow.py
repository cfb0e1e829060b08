"""stack.yaml's allow."""

from pathlib import Path
from typing import Any

import pytest

from stack.config.allow import Allow
from stack.config.settings import load_settings
from stack.errors import ConfigError


def load(folder: Path, allow: Any) -> Allow:
    folder.mkdir(exist_ok=True)
    (folder / "stack.yaml").write_text(f"allow: {allow}\n")
    return load_settings(folder).allow


def test_nothing_is_allowed_by_itself(tmp_path: Path) -> None:
    assert load_settings(tmp_path).allow == Allow()
    assert Allow() == Allow(host_paths=(), devices=(), root=False, host_network_builds=False)


def test_what_is_allowed(tmp_path: Path) -> None:
    text = "{host_paths: [/srv/data/, //srv//other], devices: [/dev/ttyUSB0, nvidia.com/gpu, a.example/gpu=all]}"
    found = load(tmp_path / "w", text)
    assert found.host_paths == ("/srv/data", "/srv/other")
    assert found.devices == ("/dev/ttyUSB0", "nvidia.com/gpu", "a.example/gpu=all")


@pytest.mark.parametrize(
    ("allow", "reason"),
    [
        ("{host_paths: [srv]}", "allow.host_paths.0: should be a whole path"),
        ("{host_paths: [/srv/../etc]}", "without '..'"),
        ("{host_paths: [/srv, /srv/data]}", "/srv/data, which is below /srv"),
        ("{devices: ['/dev/a:/dev/b']}", "should be the path of a device"),
        ("{host_paths: ['{root}']}", "leads to {root}, where this very file is"),
        ("{host_paths: ['{root}/.stack/secrets']}", "where this very file is"),
        ("{host_paths: ['{root}/stack.yaml']}", "where this very file is"),
        ("{host_paths: ['{root}/functions/one']}", "where this very file is"),
        ("{host_paths: ['{parent}']}", "where this very file is"),
        ("{host_paths: ['{parent}/link']}", "where this very file is"),
        ("{host_paths: [/]}", "where this very file is"),
        ("{roots: true}", "did you mean 'root'"),
    ],
)
def test_what_cannot_be_allowed(tmp_path: Path, allow: str, reason: str) -> None:
    root = tmp_path / "workspace"
    (tmp_path / "link").symlink_to(tmp_path)

    def fill(text: str) -> str:
        return text.replace("{root}", str(root)).replace("{parent}", str(tmp_path))

    with pytest.raises(ConfigError) as failure:
        load(root, fill(allow))
    assert fill(reason) in str(failure.value)
