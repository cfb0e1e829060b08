"""sites.yaml: what is taken, and every mistake with its path."""

from pathlib import Path

import pytest

from stack.config.sites import load_sites
from stack.errors import ConfigError

GOOD = """
sites:
  - {name: north, via: "https://north.example:8443/", labels: {region: n}}
  - {name: south, via: south.example, secret: sites.south}
"""


def load(tmp_path: Path, text: str) -> list[str]:
    """Return the mistakes of a file."""
    path = tmp_path / "sites.yaml"
    path.write_text(text)
    try:
        load_sites(path)
    except ConfigError as error:
        return list(error.problems)
    return []


def test_sites_are_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "sites.yaml"
    path.write_text(GOOD)
    north, south = load_sites(path)
    assert (north.name, north.via, north.labels) == ("north", "https://north.example:8443", {"region": "n"})
    assert (south.via, south.secret) == ("http://south.example", "sites.south")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = """
sites:
  - {name: "a=b", via: "ftp://x"}
  - {name: south, via: "http://ann:pw@south.example", secret: lone, label: {}}
  - {via: "http://x", labels: {region: 1, c=d: x, "": y}}
"""
    problems = load(tmp_path, text)
    assert [one.split(": ")[1] for one in problems] == [
        "sites.0.name",
        "sites.0.via",
        "sites.1.via",
        "sites.1.secret",
        "sites.1.label",
        "sites.2.name",
        "sites.2.labels.region",
        "sites.2.labels.c=d",
        "sites.2.labels.''",
    ]
    assert problems[-2].endswith("should be a name, without =, not 'c=d'")
    assert "put that into a secret" in problems[2]
    assert not any("ann:pw" in one for one in problems)


@pytest.mark.parametrize(
    ("second", "told"),
    [("{name: north, via: http://x}", "twice north"), ("{name: x, via: 'north.example:80/api'}", "north.example:80")],
)
def test_site_is_there_once(tmp_path: Path, second: str, told: str) -> None:
    problems = load(tmp_path, f"sites:\n  - {{name: north, via: 'http://north.example:80'}}\n  - {second}\n")
    assert len(problems) == 1
    assert told in problems[0]


@pytest.mark.parametrize("text", ["", "sites: []", "- {name: x, via: y}"])
def test_file_without_a_site_is_none(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text)
