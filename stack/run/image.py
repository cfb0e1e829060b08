"""Images of functions: whose they are, and which go because no revision needs them any more.

An image's usual name, nuclio/processor-NAME:DIGEST, tells what it is made of: two projects on one machine that deploy
the same have the same image. So each has a name of its own for it beside, tidegate/revisions/PROJECT:NAME.DIGEST, and
the usual name goes only when no other project has one. Likewise NAME.latest marks the image that a project has called
nuclio/processor-NAME:latest: another one moves that name no more.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack import console
from stack.config.value import WORD
from stack.docker.container import shorten
from stack.docker.driver import Driver
from stack.docker.engine import Engine
from stack.docker.stack import Stack
from stack.plan.code_entry import runs_as_is
from stack.plan.function import IMAGE
from stack.plan.image import digest, split_reference
from stack.plan.stack import Service
from stack.state.deployment import Deployment, forget_revisions, load_deployment, load_deployments, load_revisions
from stack.state.lock import try_lock
from stack.state.workspace import Workspace, list_files, remove_file, write_file

# Below the folder of what is remembered: a file for each function, of the images that its deploys began.
_ATTEMPTS = "attempts"
# What every project's own names of images begin with.
_ROOT = "tidegate/revisions"
_LATEST = "latest"


@dataclass(frozen=True)
class ImageNames:
    """The names of images on this machine, each with its image's id, as one project sees them."""

    project: str
    ids: Mapping[str, str]

    def list_kept(self, name: str) -> tuple[str, ...]:
        """List the names that the project has for a function's images."""
        own = f"{revision_repository(self.project)}:{name.lower()}"
        return tuple(one for one in self.ids if one.rpartition(".")[0] == own)

    def is_kept_by_another(self, image: str) -> bool:
        """Return whether another project needs an image by this name."""
        tag = split_reference(image)[1]
        return any(self._is_another(one) and one.endswith(f".{tag}") for one in self._list_marks(image))

    def may_take_latest(self, name: str, latest: str) -> bool:
        """Return whether the name by which others know what was deployed last is the project's to give or to remove.

        It is where it is free, where the project gave it, and where no project says so, as after an older release.
        What is no function's image as far as its name tells is no one's to take.
        """
        if shorten(latest) not in self.ids:
            return True
        marks = self._list_marks(latest)
        if given := [one for one in marks if one.endswith(f".{_LATEST}")]:
            return latest_mark(self.project, name) in given
        is_ours = any(not self._is_another(one) for one in marks)
        return is_ours or (latest.startswith(IMAGE) and not marks)

    def _list_marks(self, image: str) -> list[str]:
        id_ = self.ids.get(shorten(image))
        return [one for one, other in self.ids.items() if id_ and other == id_ and one.startswith(f"{_ROOT}/")]

    def _is_another(self, mark: str) -> bool:
        return not mark.startswith(f"{revision_repository(self.project)}:")


def revision_repository(project: str) -> str:
    """Return what a project's own names of images begin with; not every project's name can be part of one."""
    return f"{_ROOT}/{project if re.fullmatch(WORD, project) else digest([project])}"


def revision_mark(project: str, name: str, *, image: str) -> str:
    """Return a project's own name of a function's image."""
    return f"{revision_repository(project)}:{name.lower()}.{split_reference(image)[1]}"


def latest_mark(project: str, name: str) -> str:
    """Return a project's own name of the image that it has called latest."""
    return revision_mark(project, name, image=f":{_LATEST}")


def keep_images(engine: Engine, images: Iterable[tuple[str, str]]) -> None:
    """Give images, each with its function's name before it, the project's own names, where they are here."""
    if not (wanted := sorted(set(images))):
        return
    known = engine.image_ids()
    marks = {revision_mark(engine.project, name, image=image): image for name, image in wanted}
    for mark, image in marks.items():
        here, kept = known.get(shorten(image)), known.get(mark)
        if here and here != kept:
            Driver(engine).tag(image, mark)
        elif kept and not here:
            # Somebody has removed the usual name by hand, and the image is here still.
            Driver(engine).tag(mark, image)


def keep_new(engine: Engine, services: Sequence[Service]) -> None:
    """Have no other project remove the images that are about to be started."""
    own = [one for one in services if not runs_as_is(one.plan.function)]
    keep_images(engine, [(one.plan.name, one.image) for one in own])


def keep_revisions(stack: Stack) -> None:
    """Have no other project remove the images of revisions, such as of those that an older release deployed."""
    found = [one for one in _load_all(stack.workspace) if not runs_as_is(one.plan(stack.settings).function)]
    keep_images(stack.engine, [(one.name, one.image) for one in found])


def take_latest(engine: Engine, services: Sequence[Service]) -> None:
    """Give images the name by which others know what was deployed last, unless another project has given it."""
    own = [one for one in services if not runs_as_is(one.plan.function)]
    names = ImageNames(engine.project, engine.image_ids() if own else {})
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(_take_latest, engine, names), own))


def _take_latest(engine: Engine, names: ImageNames, service: Service) -> None:
    name, latest = service.plan.name, service.plan.tag
    if not names.may_take_latest(name, latest):
        console.note(f"{latest} is another project's image, or no function's, and stays; {name} is {service.image}.")
        return
    Driver(engine).tag(service.image, latest)
    Driver(engine).tag(service.image, latest_mark(engine.project, name))


def release_images(engine: Engine, name: str, *, images: Collection[str], used: Collection[str]) -> None:
    """Drop a function's images that nothing of the project needs; what another needs, or a container has, stays."""
    names = ImageNames(engine.project, engine.image_ids())
    marks = {revision_mark(engine.project, name, image=image) for image in images} & names.ids.keys()
    mine = [image for image in images if image not in used and not names.is_kept_by_another(image)]
    Driver(engine).remove_images([*sorted(marks), *sorted(mine)])


def release_function(engine: Engine, name: str, *, images: Collection[str], latest: Collection[str]) -> None:
    """Drop all images of a function that is deleted, and the names by which others knew what was deployed last."""
    names = ImageNames(engine.project, engine.image_ids())
    given = [one for one in latest if shorten(one) in names.ids and names.may_take_latest(name, one)]
    mine = [image for image in images if not names.is_kept_by_another(image)]
    Driver(engine).remove_images([*names.list_kept(name), *sorted(given), *sorted(mine)])


def note_attempt(workspace: Workspace, name: str, *, image: str) -> None:
    """Remember an image that a deploy is about to make, so that it goes if the deploy does not come to its end."""
    _write_attempts(workspace, name, images=dict.fromkeys([*list_attempts(workspace, name), image]))


def list_attempts(workspace: Workspace, name: str) -> tuple[str, ...]:
    """Return the images that were noted and not removed since."""
    path = _attempts_file(workspace, name)
    if not path.is_file():
        return ()
    # Of a file that a disk has lost, what is no name of an image is passed over.
    return tuple(word for word in path.read_text(encoding="utf-8", errors="replace").split() if word.isprintable())


def prune_revisions(stack: Stack, names: Sequence[str]) -> None:
    """Forget the revisions beyond those that are kept, and remove the images that only they and lost attempts need.

    An image that somebody else made, and a function only names, is his. Images go first: an interruption in
    between finds the same work again.
    """
    spent = {name: _find_spent(stack, name) for name in names}
    needed = _find_needed(stack, spent)
    unneeded = {name: _find_built(stack, name, spent=spent[name]) - needed for name in names}
    images = set().union(*unneeded.values())
    used = images & stack.engine.used_images() if images else set()
    for name in names:
        if unneeded[name]:
            release_images(stack.engine, name, images=unneeded[name], used=used)
        _write_attempts(stack.workspace, name, images=sorted(unneeded[name] & used))
        if spent[name]:
            forget_revisions(stack.workspace, name, oldest=spent[name][0].revision + 1)


def prune_attempts(stack: Stack) -> None:
    """Do that for every function whose last deploy was cut short; one that is being deployed is left alone."""
    for path in list_files(stack.workspace.state / _ATTEMPTS):
        with try_lock(stack.workspace, f"function-{path.name}") as is_free:
            if is_free:
                prune_revisions(stack, [path.name])


def _find_spent(stack: Stack, name: str) -> Sequence[Deployment]:
    """Return the revisions beyond those that are kept, the newest first."""
    deployments = load_revisions(stack.workspace, name) if load_deployment(stack.workspace, name) else ()
    return deployments[stack.settings.revisions :]


def _find_built(stack: Stack, name: str, *, spent: Sequence[Deployment]) -> set[str]:
    """Return the images that were made for these revisions, and for attempts, of which one may have come to be used."""
    built = {one.image for one in spent if not runs_as_is(one.plan(stack.settings).function)}
    return built | set(list_attempts(stack.workspace, name))


def _find_needed(stack: Stack, spent: Mapping[str, Sequence[Deployment]]) -> set[str]:
    """Return the images of all revisions of all functions that stay."""
    return {one.image for one in _load_all(stack.workspace) if one not in spent.get(one.name, ())}


def _load_all(workspace: Workspace) -> Iterator[Deployment]:
    for name in load_deployments(workspace):
        yield from load_revisions(workspace, name)


def _write_attempts(workspace: Workspace, name: str, *, images: Iterable[str]) -> None:
    """Remember images; those of containers that somebody else has are tried again another time."""
    text = "".join(f"{image}\n" for image in images)
    if text:
        write_file(_attempts_file(workspace, name), text.encode())
    else:
        remove_file(_attempts_file(workspace, name))


def _attempts_file(workspace: Workspace, name: str) -> Path:
    return workspace.state / _ATTEMPTS / name
