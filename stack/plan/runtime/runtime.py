"""What the control plane does differently for one runtime than for another: nothing else asks for the runtime."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from stack.config.runtime import RUNTIMES, RuntimeFiles
from stack.config.settings import Settings
from stack.config.source import Function
from stack.config.yaml_loader import Finding
from stack.plan.image import BaseImages, RuntimeVersion
from stack.plan.runtime.literal import Literal


class Runtime(ABC):
    """One runtime, `RUNTIME` of its module. A handler is its name, such as main:handler."""

    name: ClassVar[str]
    title: ClassVar[str]
    recipe: ClassVar[str]
    """The template with the parts of a function's Dockerfile that install its packages, as macros."""
    source: ClassVar[str]
    """The file of a new function's handler, among those of its scaffold."""
    scaffold: ClassVar[tuple[str, ...]]
    """The files of a new function beside function.yaml, in templates/new-function/TRIGGER; the last is its test."""
    tester: ClassVar[tuple[str, ...]]
    """What runs tests, the files of which follow; {python} is Tidegate's own."""
    debug_port: ClassVar[int]
    """Where debuggers look for it."""
    debuggers: ClassVar[str]
    """What attaches to an address, in words for a person."""
    debug_package: ClassVar[str] = ""
    """The package of Python that has to be installed on this machine for that."""
    shared_target: ClassVar[str]
    """The folder of an image that has what a function imports of functions/.shared."""
    requirements: ClassVar[str]
    """The file that says which packages a function needs."""
    installer: ClassVar[str]
    """What a command has in it that installs them, by the folder of that file."""
    missing_module: ClassVar[re.Pattern[str]]
    """Finds in a log, as its first group, the package that a handler imports and that is not there."""
    checked: ClassVar[re.Pattern[str] | None] = None
    """Finds in a build's log, as `line` and `error`, why the handler's file cannot be read."""
    layer: ClassVar[str] = ""
    """The recipe in templates/images of the image between the processor's and those of functions, where one is."""
    environment: ClassVar[str]
    """How a source reads a variable, by its name."""
    nuclio_version: ClassVar[str]
    """What the runtime without a version is to Nuclio."""
    nuclio_base: ClassVar[str]
    """What Nuclio's image of a function stands on, by the version."""
    nuclio_onbuild: ClassVar[str]
    """Nuclio's image with its processor for the runtime."""

    @property
    def files(self) -> RuntimeFiles:
        """Return what its files are known by."""
        return RUNTIMES[self.name]

    @abstractmethod
    def list_sources(self, handler: str) -> tuple[str, ...]:
        """Return where a handler's file may be, below the function's folder; the first is where inline source goes."""

    @abstractmethod
    def choose_version(self, wanted: str, settings: Settings, base_images: BaseImages) -> RuntimeVersion:
        """Return the version that a function gets which wants one; nothing is any."""

    @abstractmethod
    def explain_version(self, version: RuntimeVersion) -> str:
        """Return a sentence for a person whose function does not get the version that was asked for."""

    @abstractmethod
    def check_text(self, path: str, text: str) -> tuple[Finding, ...]:
        """Return why a source cannot be read, without running it."""

    @abstractmethod
    def find_literals(self, text: str) -> Iterator[Literal]:
        """Yield the texts in quotes of a source, in order; none of one that cannot be read."""

    def import_environment(self, text: str) -> str:
        """Return a source in which `environment` can be written; nothing where that is not certain."""
        return text

    @abstractmethod
    def check_handler(
        self, function: Function, handler: str, *, path: str, source: bytes, version: RuntimeVersion
    ) -> tuple[str, ...]:
        """Return what is certain to be wrong with the handler's file; `version` is what it will run on."""

    @abstractmethod
    def check_requirements(self, function: Function, handler: str) -> tuple[str, ...]:
        """Return what is wrong with the requirements that a function's image is built with."""

    @abstractmethod
    def locate_requirements(self, function: Function, handler: str) -> str:
        """Return the folder of the requirements that count, below the function's own, which is empty."""

    @abstractmethod
    def write_install(self, handler: str, paths: Collection[str]) -> str:
        """Return the command that installs what the files require once they are there; nothing if that is nothing."""

    @abstractmethod
    def describe_install(self, function: Function, handler: str) -> dict[str, Any]:
        """Return what `recipe` is filled in with."""
