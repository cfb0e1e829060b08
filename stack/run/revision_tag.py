"""Names of images that say which project needs them.

An image's usual name, nuclio/processor-NAME:DIGEST, tells what it is made of: two projects on one machine that deploy
the same have the same image. So each has a name of its own for it beside, tidegate/revisions/PROJECT:NAME.DIGEST, and
the usual name goes only when no other project has one. Likewise NAME.latest marks the image that a project has called
nuclio/processor-NAME:latest: another one moves that name no more.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from stack import console
from stack.config.value import WORD
from stack.docker.container import shorten
from stack.docker.engine import Engine
from stack.plan.function import IMAGE
from stack.plan.image import digest, split_reference
from stack.plan.stack import Service

ROOT = "tidegate/revisions"
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
        return [one for one, other in self.ids.items() if id_ and other == id_ and one.startswith(f"{ROOT}/")]

    def _is_another(self, mark: str) -> bool:
        return not mark.startswith(f"{revision_repository(self.project)}:")


def revision_repository(project: str) -> str:
    """Return what a project's own names of images begin with; not every project's name can be part of one."""
    return f"{ROOT}/{project if re.fullmatch(WORD, project) else digest([project])}"


def revision_mark(project: str, name: str, image: str) -> str:
    """Return a project's own name of a function's image."""
    return f"{revision_repository(project)}:{name.lower()}.{split_reference(image)[1]}"


def latest_mark(project: str, name: str) -> str:
    """Return a project's own name of the image that it has called latest."""
    return revision_mark(project, name, f":{_LATEST}")


def keep_images(engine: Engine, images: Iterable[tuple[str, str]]) -> None:
    """Give images, each with its function's name before it, the project's own names, where they are here."""
    if not (wanted := sorted(set(images))):
        return
    known = engine.image_ids()
    marks = {revision_mark(engine.project, name, image): image for name, image in wanted}
    for mark, image in marks.items():
        here, kept = known.get(shorten(image)), known.get(mark)
        if here and here != kept:
            engine.tag(image, mark)
        elif kept and not here:
            # Somebody has removed the usual name by hand, and the image is here still.
            engine.tag(mark, image)


def take_latest(engine: Engine, services: Sequence[Service]) -> None:
    """Give images the name by which others know what was deployed last, unless another project has given it."""
    names = ImageNames(engine.project, engine.image_ids() if services else {})
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(_take_latest, engine, names), services))


def _take_latest(engine: Engine, names: ImageNames, service: Service) -> None:
    name, latest = service.plan.name, service.plan.tag
    if not names.may_take_latest(name, latest):
        console.note(f"{latest} is another project's image, or no function's, and stays; {name} is {service.image}.")
        return
    engine.tag(service.image, latest)
    engine.tag(service.image, latest_mark(engine.project, name))


def release_images(engine: Engine, name: str, images: Collection[str], used: Collection[str]) -> None:
    """Drop a function's images that nothing of the project needs; what another needs, or a container has, stays."""
    names = ImageNames(engine.project, engine.image_ids())
    marks = {revision_mark(engine.project, name, image) for image in images} & names.ids.keys()
    mine = [image for image in images if image not in used and not names.is_kept_by_another(image)]
    engine.remove_images([*sorted(marks), *sorted(mine)])


def release_function(engine: Engine, name: str, images: Collection[str], latest: Collection[str]) -> None:
    """Drop all images of a function that is deleted, and the names by which others knew what was deployed last."""
    names = ImageNames(engine.project, engine.image_ids())
    given = [one for one in latest if shorten(one) in names.ids and names.may_take_latest(name, one)]
    mine = [image for image in images if not names.is_kept_by_another(image)]
    engine.remove_images([*names.list_kept(name), *sorted(given), *sorted(mine)])
