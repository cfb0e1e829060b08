"""Functions: build and delete; run/deploy.py deploys them."""

import posixpath
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from stack import console
from stack.config.function import FunctionConfig
from stack.config.source import Function, find_folder, function_folders, load_function
from stack.docker.container import Container
from stack.docker.image import Builder
from stack.docker.stack import Stack, open_stack, warn_ignored
from stack.docker.swarm.driver import open_driver
from stack.errors import ConfigError, StackError
from stack.plan.code_entry import runs_as_is
from stack.plan.function import FunctionPlan, complete_function, inline_source, own_queues, plan_function
from stack.plan.function_check import (
    Claimant,
    check_queues,
    find_disagreements,
    find_loopback,
    find_source,
    find_unknown_functions,
)
from stack.plan.host_access import check_host_access
from stack.plan.image import RuntimeVersion
from stack.plan.key_hint import find_key_hints
from stack.plan.runtime.registry import explain_version
from stack.plan.secret import check_secrets
from stack.plan.stack import choose_user
from stack.plan.stack_image import find_base_image
from stack.rabbitmq.management import delete_queues
from stack.rabbitmq.stale_topology import clear_after_deletion
from stack.run.function_snapshot import load_publishers
from stack.run.image import prune_revisions, release_function
from stack.run.scale import settle_scaler
from stack.run.stack import write_stack
from stack.state.deploy_log import forget_log
from stack.state.deployment import (
    Deployment,
    check_namesakes,
    forget_deployment,
    is_deployed,
    list_unreadable,
    load_live,
    load_revisions,
)
from stack.state.lock import TREE, lock
from stack.state.replicas import forget_replicas
from stack.state.source.source import Store, forget_code
from stack.state.workspace import is_inside


def build_functions(stack: Stack, names: Sequence[str]) -> dict[str, tuple[FunctionPlan, str]]:
    """Build the images of functions; return each one's plan and image.

    Raises:
        StackError: a function is wrong, or its image could not be built; nothing that runs was touched.
    """
    plans = [plan_folder(stack, name) for name in names]
    warn_ignored((plan.function for plan in plans), has_nodes=stack.engine.is_swarm)
    builder = Builder(stack.workspace, stack.engine, stack.inputs)
    builder.prepare_stack()
    images = builder.prepare_functions(plans)
    return {plan.name: (plan, image) for plan, image in zip(plans, images, strict=True)}


def plan_folder(stack: Stack, name: str, *, is_to_run: bool = False) -> FunctionPlan:
    """Plan a function from its folder, with its code fetched again where it is elsewhere; to run, it needs its secrets.

    Raises:
        ConflictError: another function has its name but for capital letters.
        AccessError: it asks for what stack.yaml does not allow it of this machine.
        StackError: its configuration is wrong, its code cannot be had, or its handler, or a file that its
            requirements name, is certain not to be found.
    """
    check_namesakes(stack.workspace, name)
    own = load_function(find_folder(stack.workspace.root, name))
    check_host_access(own, stack.settings)
    function = Store(stack.workspace, stack.settings, own).fetch()
    check_host_access(function, stack.settings)
    if told := explain_fetched(function):
        console.note(told)
    problems = _find_obstacles(stack, complete_function(function, "", settings=stack.settings)) if is_to_run else ()
    try:
        plan = plan_function(function, stack.settings)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from error
    version = find_base_image(plan, stack.inputs).runtime
    if problems := (*_check_code(stack, plan, version=version), *problems):
        raise ConfigError(problems)
    if sentence := explain_version(version):
        console.warn(f"{name} {sentence}.")
    for sentence in _find_unwritable(plan, choose_user(plan, stack.settings)):
        console.warn(f"{name}: {sentence}")
    return plan


def _find_unwritable(plan: FunctionPlan, owner: str) -> Iterator[str]:
    """Yield what a function cannot write to of the paths of this machine that it is given; the owner is in numbers."""
    user, _, group = owner.partition(":")
    groups = {group, str(plan.spec.security_context.fs_group)}
    for item in () if is_inside() or user in ("", "0") else plan.spec.mounts:
        path = Path(item.volume.host_path.path if item.volume.host_path else "")
        if item.volume_mount.read_only or not path.exists():
            continue
        found = path.stat()
        bit = (
            stat.S_IWUSR if str(found.st_uid) == user else stat.S_IWGRP if str(found.st_gid) in groups else stat.S_IWOTH
        )
        if not found.st_mode & bit:
            yield (
                f"it runs as the user {user}, who cannot write to {path}. Type `sudo chown {owner} {path}`, "
                "or give the volumeMount `readOnly: true`."
            )


def _find_links(plan: FunctionPlan) -> Iterator[str]:
    """Yield the links that lead out of the folder that an image is made of; a whole path is one in the container."""
    for file in plan.function.files:
        target = file.link
        if target and posixpath.normpath(posixpath.join(posixpath.dirname(file.path), target)).startswith(".."):
            where = posixpath.join(plan.function.context, file.path)
            yield f"{where}: the link leads out of the folder, to {target}; put a copy of that here instead of the link"


def _check_code(stack: Stack, plan: FunctionPlan, *, version: RuntimeVersion) -> Iterator[str]:
    yield from _find_links(plan)
    path, source = _read_source(stack, plan)
    yield from plan.runtime.check_handler(plan.function, plan.handler, path=path, source=source, version=version)
    yield from plan.runtime.check_requirements(plan.function, plan.handler)


def check_handler_text(stack: Stack, name: str, *, path: str, text: str) -> tuple[str, ...]:
    """Return what is certain to be wrong with a handler's file that is being edited; nothing of other files."""
    with suppress(StackError):
        plan = plan_function(stack.recall(find_folder(stack.workspace.root, name)), stack.settings)
        if path == find_source(plan):
            problems = plan.runtime.check_handler(
                plan.function, plan.handler, path=path, source=text.encode(), version=RuntimeVersion("", "", "")
            )
            return tuple(problem.removeprefix(f"{plan.function.document}: ") for problem in problems)
    return ()


def check_function_queues(
    stack: Stack, plan: FunctionPlan, *, planned: Sequence[FunctionPlan] = (), coming: Collection[str] = ()
) -> None:
    """Refuse a function whose queues are those of others, deployed or `planned`, in a way that no one can want.

    It is warned of functions that are called and neither there nor `coming`.

    Raises:
        AccessError: code that is fetched would take messages of another function.
        ConfigError: a queue of one function holds the failed messages of another's.
    """
    names = {plan.name, *(one.name for one in planned)}
    others = [one.plan(stack.settings) for name, one in stack.deployments.items() if name not in names]
    others += [one for one in planned if one.name != plan.name]
    check_queues(_as_claimant(stack, plan), [_as_claimant(stack, one) for one in others])
    there = [*(one.name for one in others), *coming]
    for line in (*find_disagreements(plan, others), *find_unknown_functions(plan, there)):
        console.warn(line if line.endswith("?") else f"{line}.")


def find_hints(stack: Stack, plans: Sequence[FunctionPlan]) -> dict[str, tuple[str, ...]]:
    """Return what is to be told of the keys that functions bind, by name; the sources of all are read for it once."""
    publishers = tuple(load_publishers(stack.workspace))
    return {plan.name: tuple(f"{line}." for line in find_key_hints(plan, publishers)) for plan in plans}


def _as_claimant(stack: Stack, plan: FunctionPlan) -> Claimant:
    """Return a function with its own function.yaml, which is asked of fetched code alone; none says nothing."""
    own = FunctionConfig()
    if plan.function.origin:
        with suppress(StackError):
            own = load_function(find_folder(stack.workspace.root, plan.name)).config
    return Claimant(plan, own)


def explain_fetched(function: Function) -> str:
    """Return a sentence on code that was fetched: of which version it is, and what was taken of its configuration."""
    if not function.origin:
        return ""
    fetched = function.fetched
    taken = f"taken of its function.yaml: {', '.join(fetched.taken)}" if fetched.taken else "nothing but code was taken"
    left = f"; left out: {', '.join(fetched.left_out)}" if fetched.left_out else ""
    return f"{function.name}: code of {function.origin} {function.version}".rstrip() + f"; {taken}{left}."


def _find_obstacles(stack: Stack, plan: FunctionPlan) -> Sequence[str]:
    """Return why a function could not run: a broker that is nowhere, a secret or a login that is not there."""
    problems = [f"{plan.function.document}: {line}" for line in find_loopback(plan.spec)]
    for check in (partial(check_secrets, [plan], stack.vault), partial(stack.check_login, [plan])):
        try:
            check()
        except ConfigError as error:
            problems += error.problems
    return problems


def _read_source(stack: Stack, plan: FunctionPlan) -> tuple[str, bytes]:
    """Return the path and the text of the handler's file; both are empty where nothing can be told by them."""
    path = find_source(plan)
    if path and (inline := inline_source(plan)):
        return inline
    file = stack.workspace.root / plan.function.context / path
    try:
        return (path, file.read_bytes()) if path else ("", b"")
    except OSError:
        return "", b""


def delete_function(name: str) -> None:
    """Stop a function and remove its container, its images and its queues; its folder stays.

    Raises:
        FunctionError: it is not deployed.
    """
    stack = open_stack(is_lenient=True)
    open_driver(stack.engine).check()
    _find_traces(stack, name)
    with lock(stack.workspace, f"function-{name}"), lock(stack.workspace, TREE), console.working(f"Removing {name}"):
        # A deploy may have ended meanwhile.
        containers, revisions = _find_traces(stack, name)
        open_driver(stack.engine).stop(containers)
        forget_deployment(stack.workspace, name)
        forget_replicas(stack.workspace, name)
        forget_code(stack.workspace, name)
        forget_log(stack.workspace, name)
        shutil.rmtree(stack.engine.logs_folder / name, ignore_errors=True)
        if revisions:
            _forget(stack, revisions)
        prune_revisions(stack, [name])
        fresh = stack.reread()
        write_stack(fresh, fresh.inputs)
    settle_scaler(fresh)
    kept = f"; functions/{name} is kept" if name in function_folders(stack.workspace.root) else ""
    console.success(f"{name} is gone{kept}.")


def _find_traces(stack: Stack, name: str) -> tuple[Sequence[Container], Sequence[Deployment]]:
    """Return the containers and revisions of a function.

    Raises:
        FunctionError: there are none.
    """
    containers = [one for one in stack.engine.listed() if name and one.function == name]
    if name in list_unreadable(stack.workspace) or (containers and not is_deployed(stack.workspace, name)):
        return containers, ()
    return containers, load_revisions(stack.workspace, name)


def _forget(stack: Stack, revisions: Sequence[Deployment]) -> None:
    """Remove the images of all revisions, and a function's queues where no other function consumes them."""
    others = load_live(stack.workspace, ())
    shared = {queue for other in others for queue in own_queues(other.plan(stack.settings))}
    versions = [one.plan(stack.settings) for one in revisions]
    own = [queue for queue in own_queues(versions[0]) if queue not in shared]
    delete_queues(stack, own)
    clear_after_deletion(stack, versions, gone=own)
    built = [one for one in revisions if not runs_as_is(one.plan(stack.settings).function)]
    images = {one.image for one in built} - {one.image for one in others}
    release_function(
        stack.engine, versions[0].name, images=images, latest={one.plan(stack.settings).tag for one in built}
    )
