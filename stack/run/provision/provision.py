"""Brings a machine to where the stack can run: checks the steps of plan/provision and does those that are missing."""

import grp
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from stack import console
from stack.errors import HostError
from stack.plan.provision import RECENT, Machine, plan_provision, render_cloud_config
from stack.plan.provision_step import EngineIsOpen, EngineRuns, Step, describe_step
from stack.run.provision.check import holds
from stack.run.provision.machine import choose_source, read_machine
from stack.run.provision.step import apply_step

CLOUD_CONFIG = Path(__file__).parents[3] / "templates/provision/cloud-config.yaml"

_GROUP = "docker"
_JOINED = "TIDEGATE_JOINED_DOCKER"


def provision(source: str, *, dry_run: bool, cloud_init: bool, yes: bool = False) -> None:
    """Install and start what is missing of Docker Engine, Compose and Buildx, or only tell how.

    Raises:
        HostError: the system is not supported, or a step failed.
    """
    if cloud_init:
        print(render_cloud_config(CLOUD_CONFIG.read_text()), end="")
    elif dry_run:
        machine = read_machine()
        _show_plan(plan_provision(machine, choose_source(source, machine)))
    elif not os.environ.pop(_JOINED, ""):
        _provision_machine(source, yes=yes)


def _provision_machine(source: str, *, yes: bool) -> None:
    try:
        machine = read_machine()
    except HostError:
        # Whoever brought Docker to another system needs nothing from here.
        if not (holds(RECENT) and holds(EngineRuns())):
            raise
        console.success("Docker Engine, Compose and Buildx are there and recent enough.")
        return
    console.say(f"Provisioning {machine.release} on {machine.architecture}")
    steps = plan_provision(machine, choose_source(source, machine))
    _require_root(machine, steps)
    done = sum([apply_step(step, yes=yes) for step in steps])
    console.success("Docker is ready." if done else "Docker is ready; nothing was to be done.")
    _join_group(machine)


def _require_root(machine: Machine, steps: Sequence[Step]) -> None:
    if not machine.prefix or shutil.which(machine.prefix[0]) or all(holds(step.check) for step in steps):
        return
    command = shlex.join([str(CLOUD_CONFIG.parents[2] / "bootstrap"), "provision"])
    raise HostError(
        f"Installing Docker needs root, and there is no {machine.prefix[0]} here. Ask the administrator to type, "
        f"as root: {command} && usermod --append --groups {_GROUP} {machine.user}"
    )


def _show_plan(steps: Sequence[Step]) -> None:
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
