"""The base image of Debian packages: what has to be here for it."""

from pathlib import Path

import pytest

from stack.docker.base_image import make_base
from stack.errors import HostError
from stack.plan.image import Archive


@pytest.mark.parametrize(("present", "missing"), [((), "mmdebstrap"), (("mmdebstrap",), "sudo")])
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], missing: str
) -> None:
    for name in present:
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HostError, match=f"^{missing}.* is missing"):
        list(make_base(Archive("trixie", ()), "base"))
