"""Brings a machine to where the stack can run: checks the steps of plan/provision and does those that are missing."""

import grp
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from urllib3.exceptions import HTTPError

from stack import console
from stack.errors import HostError
from stack.plan.provision import MMDEBSTRAP, RECENT, Machine, plan_provision, plan_swarm, render_cloud_config
from stack.plan.provision_step import Command, EngineIsOpen, EngineRuns, Step, describe_step
from stack.run.provision.base_image import base_begun
from stack.run.provision.machine import choose_source, environment, holds, open_url, read_machine, read_output
from stack.state.http_client import explain

_SHOWN_LINES = 20
_POLL_SECONDS = 0.2
_KEY_SECONDS = 30

_AGAIN = "Then type the same again: what is done already is not done twice."


def apply_step(step: Step, *, yes: bool) -> bool:
    """Do what is missing, and return whether anything was.

    Raises:
        HostError: a command failed or was without effect, or packages would go and no one agreed.
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
    except HTTPError as error:
        raise HostError(f"Could not fetch {url}: {explain(error)}. {_AGAIN}") from error
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


CLOUD_CONFIG = Path(__file__).parents[3] / "templates/provision/cloud-config.yaml"

_GROUP = "docker"
_JOINED = "TIDEGATE_JOINED_DOCKER"


def provision(source: str, *, dry_run: bool, cloud_init: bool, yes: bool = False, swarm: str = "") -> None:
    """Install and start what is missing of Docker Engine, Compose and Buildx, or only tell how.

    With `swarm`, the address at which ports of services are to listen, the machine is made ready to join a Swarm too.

    Raises:
        HostError: the system is not supported, or a step failed.
    """
    if cloud_init:
        print(render_cloud_config(CLOUD_CONFIG.read_text()), end="")
    elif dry_run:
        machine = read_machine()
        _print_plan(plan_provision(machine, choose_source(source, machine)))
    elif not os.environ.pop(_JOINED, ""):
        _provision_machine(source, yes=yes)
    if swarm and not cloud_init:
        _prepare_swarm(_check_address(swarm), dry_run=dry_run)


# What a firewall has to let in, which Docker opens no hole for.
_SWARM_PORTS = (
    "Machines of a Swarm speak with each other at 2377/tcp, 7946/tcp, 7946/udp, 4789/udp and 5001/tcp. A firewall has "
    "to let these in from them, and from no one else: 4789 asks for no password."
)
_LIVE_RESTORE = (
    "live-restore is on, with which no engine joins a Swarm. Take it out of /etc/docker/daemon.json, type "
    "`systemctl restart docker`, which stops the containers, and then the same again."
)


def _prepare_swarm(address: str, *, dry_run: bool) -> None:
    if read_output("docker", "info", "--format", "{{.LiveRestoreEnabled}}") == "true":
        raise HostError(_LIVE_RESTORE)
    steps = plan_swarm(() if os.geteuid() == 0 or holds(EngineIsOpen()) else ("sudo",), address)
    if dry_run:
        _print_plan(steps)
    else:
        for step in steps:
            apply_step(step, yes=True)
    console.note(_SWARM_PORTS)


def _check_address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise HostError(
            f"--bind {text}: should be an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
        ) from None


def _provision_machine(source: str, *, yes: bool) -> None:
    try:
        machine = read_machine()
    except HostError:
        # Who brought Docker to another system needs nothing from here.
        if not (holds(RECENT) and holds(EngineRuns())):
            raise
        console.success("Docker Engine, Compose and Buildx are there and recent enough.")
        return
    console.say(f"Provisioning {machine.release} on {machine.architecture}")
    steps = plan_provision(machine, choose_source(source, machine))
    _require_root(machine, steps)
    done = _apply_steps(steps, machine, yes=yes)
    console.success("Docker is ready." if done else "Docker is ready; nothing was to be done.")
    _join_group(machine)


def _apply_steps(steps: Sequence[Step], machine: Machine, *, yes: bool) -> int:
    """Do what is missing, and return how many steps had something to do."""
    base, done = None, 0
    with ExitStack() as exits:
        for step in steps:
            done += apply_step(step, yes=yes)
            if step.check == MMDEBSTRAP and not machine.has_docker:
                base = exits.enter_context(base_begun(machine.prefix))
        if base:
            base.finish()
    return done


def _require_root(machine: Machine, steps: Sequence[Step]) -> None:
    if not machine.prefix or shutil.which(machine.prefix[0]) or all(holds(step.check) for step in steps):
        return
    command = shlex.join([str(CLOUD_CONFIG.parents[2] / "bootstrap"), "provision"])
    raise HostError(
        f"Installing Docker needs root, and there is no {machine.prefix[0]} here. Ask the administrator to type, "
        f"as root: {command} && usermod --append --groups {_GROUP} {machine.user}"
    )


def _print_plan(steps: Sequence[Step]) -> None:
    for step in steps:
        state = "there" if holds(step.check) else "to do"
        console.show(f"[{state}] " + "\n".join(describe_step(step)))


def _join_group(machine: Machine) -> None:
    """See that the tasks after this one can use Docker, though a new group counts only from the next login on.

    As root there is nothing to do. Anyone else becomes a member for the rest of this command by running it again
    under sg, which returns here as a member and goes on with the next task.
    """
    if not machine.user:
        return
    if not machine.prefix:
        console.note(f"Group {_GROUP} counts for {machine.user} from the next login on.")
    elif not holds(EngineIsOpen()) and not _is_joined():
        console.say(f"Log out and in again, or type `newgrp {_GROUP}`: group {_GROUP} counts from the next login on.")
        if shutil.which("sg"):
            os.environ[_JOINED] = "1"
            os.execvp("sg", ["sg", _GROUP, "-c", shlex.join(sys.orig_argv)])


def _is_joined() -> bool:
    return grp.getgrnam(_GROUP).gr_gid in (os.getegid(), *os.getgroups())
