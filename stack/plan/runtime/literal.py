"""Texts in quotes of a source, with what must be known to put something else in their place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Literal:
    """A text in simple quotes, without any escape; the places count characters, the line from 1.

    `is_whole` says that an expression may take its place: it is no part of a longer text, no key, no pattern.
    """

    start: int
    end: int
    line: int
    text: str
    is_whole: bool
