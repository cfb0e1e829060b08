"""Dockerfile instructions of a function's author, in Nuclio's order."""

from collections.abc import Iterable

from stack.config.build import Build, Directive

# The command that makes those after it run once the function's files are there.
POST_COPY = "@nuclio.postCopy"
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


def ca_context(has_ca: bool) -> dict[str, str]:
    """Return what makes a RUN instruction trust the site's certificates, which are never copied into the image."""
    if not has_ca:
        return {"ca_mount": "", "ca_env": ""}
    return {"ca_mount": f"--mount=type=secret,id=ca,target={_CA} ", "ca_env": f"PIP_CERT={_CA} SSL_CERT_FILE={_CA} "}


def write_instruction(line: Directive, *, has_ca: bool) -> str:
    """Write an author's instruction; commands are given the site's certificates to trust."""
    kind = line.kind.upper()
    if kind != "RUN" or not has_ca:
        return f"{kind} {line.value}"
    context = ca_context(has_ca)
    if line.value.lstrip().startswith("["):
        return f"{kind} {context['ca_mount']}{line.value}"
    return f"{kind} {context['ca_mount']}export {context['ca_env'].rstrip()}; {line.value}"
