"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence


def build_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell is one line of Markdown, whose bars are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def build_section(title: str, *parts: str, level: int = 2) -> str:
    """Return a heading with the parts that are not empty, and a blank line behind each."""
    return "\n\n".join([f"{'#' * level} {title}", *(part.strip() for part in parts if part.strip())]) + "\n\n"


def quote(text: str) -> str:
    """Return a text as code."""
    return f"`{text}`"
