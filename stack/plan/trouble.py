"""Troubles: what is wrong while the stack runs, said wherever a person looks."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong, and what to do about it; `level` is error or warn."""

    subject: str
    what: str
    advice: str
    level: str = "error"

    def as_document(self) -> dict[str, str]:
        """Return it as `--json` and the dashboard's pages take it."""
        document = asdict(self)
        return {**document, "next": document.pop("advice")}
