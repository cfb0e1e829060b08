"""The gateway's way into a processor beside its port."""

import socket
from pathlib import Path

import pytest

from stack.processor.source.http.entry import PORT, VARIABLE, offer_entry, open_entry

OWN, OFFER = socket.gethostname(), f"{socket.gethostname()}.offer"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_what_is_offered_leads_to_the_processor_under_the_name_that_it_gets(folder: Path) -> None:
    entry = open_entry(PORT)
    assert entry
    with entry:
        for seat in ("echo.1", "echo.1", "echo.2"):
            offer_entry()
            (folder / OFFER).rename(folder / seat)
            connect(folder / seat)
            entry.accept()[0].close()
        assert (folder / OWN).stat().st_mode & 0o777 == 0o666


def test_processor_that_starts_again_takes_the_place_of_what_it_left(folder: Path) -> None:
    first = open_entry(PORT)
    assert first
    offer_entry()
    first.close()
    with pytest.raises(ConnectionRefusedError):
        connect(folder / OWN)
    second = open_entry(PORT)
    assert second
    with second:
        offer_entry()
        (folder / OFFER).rename(folder / "echo.1")
        connect(folder / "echo.1")


def test_there_is_none_where_the_gateway_has_no_folder_or_comes_by_another_port(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_entry(PORT + 1) is None
    monkeypatch.setenv(VARIABLE, str(folder / "missing"))
    assert open_entry(PORT) is None
    offer_entry()
    monkeypatch.delenv(VARIABLE)
    assert open_entry(PORT) is None
    offer_entry()
    assert list(folder.iterdir()) == []
