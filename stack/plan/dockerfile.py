"""Dockerfile instructions of a function's author, in Nuclio's order."""

import re
from collections.abc import Iterable

from stack.config.build import Build, Directive

# The command that makes those after it run once the function's files are there.
POST_COPY = "@nuclio.postCopy"
# A check is a process in the container, and takes as much of the machine as half a start: twenty functions that start
# together would do little else if they were checked more often. Whoever waits for a start asks the function itself.
HEALTH_CHECK = (
    "HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --start-interval=10s --retries=2 "
    'CMD ["processor", "--health"]'
)
# What pip keeps of its downloads from one build to the next, and out of the image.
PIP_CACHE = "--mount=type=cache,target=/root/.cache/pip"
# Options of a RUN instruction stand before its command.
_RUN = re.compile(r"(?P<options>(?:--[a-z]+(?:=\S+)?\s+)*)(?P<command>.*)", re.DOTALL)
# What makes the next line part of an instruction, as BuildKit reads it.
_CONTINUED = re.compile(r"(?:^|[^\\])\\[ \t]*$")
# A here-document that is a whole command: its word, which ends it too.
_DOCUMENT = re.compile(r"<<-?(?P<quote>[\"']?)(?P<word>[A-Za-z_]\w*)(?P=quote)(?=\s|$)(?!.*<<)")
# Where a build sees the site's certificates.
_CA = "/run/secrets/ca.pem"


def split_commands(build: Build) -> tuple[tuple[Directive, ...], tuple[Directive, ...]]:
    """Return the instructions before and after the function's files are copied.

    As in Nuclio, commands run before the copy unless `@nuclio.postCopy` stands before them, a backslash at a line's end
    glues the next one on, and directives count only where no commands are given.
    """
    if not build.commands:
        return tuple(build.directives.pre_copy), tuple(build.directives.post_copy)
    before: list[Directive] = []
    after: list[Directive] = []
    target = before
    for command in _join(build.commands):
        if command == POST_COPY:
            target = after
        else:
            target.append(Directive(kind="RUN", value=command))
    return tuple(before), tuple(after)


def _join(commands: Iterable[str]) -> Iterable[str]:
    held = ""
    for command in commands:
        text = held + command.strip()
        held = ""
        if text.endswith("\\"):
            held = text[:-1].rstrip() + " "
        elif text:
            yield text
    if held.strip():
        yield held.strip()


def find_second_instruction(line: Directive) -> str:
    """Return the line of an author's instruction that would be another one; nothing where there is none.

    A line goes on after a backslash, and within a here-document that is all of a command.
    """
    first, *rest = line.value.rstrip().split("\n")
    if line.kind.upper() == "RUN" and (document := _DOCUMENT.match(first)):
        ends = [number for number, text in enumerate(rest) if text.strip("\t\r") == document["word"]]
        return next(iter(rest[ends[0] + 1 :]), "") if ends else ""
    goes_on = _CONTINUED.search(first.rstrip("\r"))
    for text in rest:
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        if not goes_on:
            return text
        goes_on = _CONTINUED.search(text.rstrip("\r"))
    return ""


def ca_context(has_ca: bool) -> dict[str, str]:
    """Return what makes a RUN instruction trust the site's certificates, which are never copied into the image."""
    if not has_ca:
        return {"ca_mount": "", "ca_env": ""}
    return {"ca_mount": f"--mount=type=secret,id=ca,target={_CA} ", "ca_env": f"PIP_CERT={_CA} SSL_CERT_FILE={_CA} "}


def find_pip_cache(name: str, *, is_fetched: bool) -> str:
    """Return the mount of pip's cache; code from elsewhere has its own, or it could leave something for others."""
    return f"{PIP_CACHE},id=pip-of-fetched-{name}" if is_fetched else PIP_CACHE


def write_instruction(line: Directive, *, has_ca: bool, pip_cache: str = PIP_CACHE) -> str:
    """Write an author's instruction; commands are given the site's certificates to trust, and pip its cache."""
    kind = line.kind.upper()
    match = _RUN.match(line.value.strip())
    if kind != "RUN" or not match:
        return f"{kind} {line.value}"
    options, command = match["options"], match["command"]
    context = ca_context(has_ca)
    cache = f"{pip_cache} " if "pip" in command else ""
    # Neither a list of words nor a here-document is a line of the shell's that could be added to.
    is_line = has_ca and not command.startswith(("[", "<<"))
    environment = f"export {context['ca_env'].rstrip()}; " if is_line else ""
    return f"{kind} {context['ca_mount']}{cache}{options}{environment}{command}"
