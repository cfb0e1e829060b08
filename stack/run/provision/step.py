"""Runs the commands of one step of provisioning, and sees that they did what they are for."""

import subprocess
import sys
import time
from collections import deque

from stack import console
from stack.errors import HostError
from stack.plan.provision_step import Command, Step
from stack.run.provision.check import environment, holds, read_output
from stack.run.provision.machine import open_url

_SHOWN_LINES = 20
_POLL_SECONDS = 0.2
_KEY_SECONDS = 30

_AGAIN = "Then type the same again: what is done already is not done twice."


def apply_step(step: Step, *, yes: bool) -> bool:
    """Do what is missing, and return whether anything was.

    Raises:
        HostError: a command failed or was without effect, or packages would go and nobody agreed.
    """
    if holds(step.check):
        console.note(f"  not needed: {step.name}")
        return False
    console.say(f"  {step.name}: {step.reason}")
    if step.removes:
        _agree_to_removal(step, yes=yes)
    for command in step.commands:
        _run_command(step, command)
    _await_check(step)
    return True


def _run_command(step: Step, command: Command) -> None:
    text = _fetch_key(command.url) if command.url else command.text
    try:
        subprocess.run(
            command.arguments,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
            check=True,
        )
    except OSError as error:
        raise HostError(f"Could not {step.name}. This failed: {command}\n{error.strerror}\n{_AGAIN}") from error
    except subprocess.CalledProcessError as error:
        raise HostError(f"Could not {step.name}. This failed: {command}\n{_shorten(error.stdout)}\n{_AGAIN}") from error


def _fetch_key(url: str) -> str:
    try:
        key = open_url(url, timeout=_KEY_SECONDS).decode(errors="replace")
    except OSError as error:
        raise HostError(f"Could not fetch {url}: {getattr(error, 'reason', error)}. {_AGAIN}") from error
    if not key.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        raise HostError(f"{url} answers with something else than a key; a proxy or a login page may stand before it.")
    return key


def _await_check(step: Step) -> None:
    deadline = time.monotonic() + step.wait
    while not holds(step.check):
        if time.monotonic() >= deadline:
            raise HostError(f"Could not {step.name}: its commands ran, and it is not there.{_diagnose(step)}\n{_AGAIN}")
        time.sleep(_POLL_SECONDS)


def _diagnose(step: Step) -> str:
    if step.diagnosis is None:
        return ""
    return f" `{step.diagnosis}` says:\n{_shorten(read_output(*step.diagnosis.arguments))}"


def _shorten(output: str) -> str:
    return "\n".join(deque(output.splitlines(), maxlen=_SHOWN_LINES))


def _agree_to_removal(step: Step, *, yes: bool) -> None:
    """Ask first; only a person's answer at the terminal stops somebody's containers, and `--yes` does not."""
    question = f"These packages have to go first: {', '.join(_find_removals(step))}."
    containers = read_output(*step.running.arguments).split() if step.running else []
    if containers:
        question += f" That stops the running containers {', '.join(containers)}."
        if yes or not sys.stdin.isatty():
            raise HostError(f"{question} Stop them yourself (docker stop {' '.join(containers)}). {_AGAIN}")
    if yes:
        console.say(f"  {question}")
    if not console.ask(f"{question} Remove them?", yes=yes):
        raise HostError(
            "Docker cannot be installed beside them. To see all that would be done: invoke provision --dry-run"
        )


def _find_removals(step: Step) -> tuple[str, ...]:
    """Ask apt what would go, which may be more than the packages that are named: those that need them too."""
    simulation = read_output(*step.commands[0].arguments, "--simulate")
    found = [line.split()[1] for line in simulation.splitlines() if line.startswith("Remv ")]
    return tuple(found) or step.removes
