"""spec.build: how a function's image is made."""

import base64
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from stack.config.code_entry import CodeEntryAttributes, CodeEntryType
from stack.config.document import NuclioDocument
from stack.config.flag import split_flags
from stack.config.image import ImageName, Registry
from stack.config.inert import KUBERNETES, Inert
from stack.config.problem import Problem
from stack.config.url import Place

# What each code entry type cannot do without: keys of `build`, and keys of its attributes.
_NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sourceCode": (("functionSourceCode",), ()),
    "archive": (("path",), ()),
    "git": (("path",), ()),
    "github": (("path",), ("branch",)),
    "s3": ((), ("s3Bucket", "s3ItemKey")),
}

_LINE_ENDS = str.maketrans("", "", "\r\n")


# A name that ends its line, or has a space, would be an instruction of its own.
BuildArgument = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class Directive(NuclioDocument):
    """One instruction of a Dockerfile, such as RUN or ENV."""

    kind: str = Field(pattern=r"^[A-Za-z]+$")
    value: str


class Directives(NuclioDocument):
    """Instructions before and after the function's files are copied."""

    pre_copy: list[Directive] = []
    post_copy: list[Directive] = []


class Build(NuclioDocument):
    """The build section of Nuclio's function configuration."""

    # nuclio-jupyter's and the documentation's spelling.
    legacy_keys: ClassVar[dict[str, str]] = {"nobaseimagepull": "noBaseImagesPull"}

    path: Place = ""
    function_source_code: str = ""
    """The source in base64; elsewhere than in an export, a file beside function.yaml is easier to read."""
    function_config_path: Annotated[str, Inert("has no effect: function.yaml in the function's folder counts")] = ""
    temp_dir: Annotated[str, Inert()] = ""
    registry: Annotated[Registry, Inert()] = ""
    base_image_registry: Registry = ""
    image: ImageName = ""
    no_base_images_pull: Annotated[bool, Inert("is ignored: a base is pulled or built once")] = False
    no_cache: bool = False
    no_cleanup: Annotated[bool, Inert()] = False
    base_image: ImageName = ""
    commands: list[str] = []
    """Shell commands, such as pip install pika; run before the files are copied, or after a line @nuclio.postCopy."""
    directives: Directives = Directives()
    script_paths: Annotated[list[str], Inert()] = []
    added_paths: Annotated[list[str], Inert()] = []
    dependencies: Annotated[list[str], Inert("is for Java")] = []
    runtime_attributes: Annotated[dict[str, Any], Inert("is for Java")] = {}
    onbuild_image: ImageName = ""
    offline: Annotated[bool, Inert()] = False
    code_entry_type: CodeEntryType = ""
    code_entry_attributes: CodeEntryAttributes = CodeEntryAttributes()
    timestamp: Annotated[int, Inert()] = 0
    build_timeout_seconds: Annotated[int, KUBERNETES] = 3600
    mode: Annotated[Literal["", "neverBuild", "alwaysBuild"], Inert("has no effect: only what is new is built")] = ""
    args: dict[BuildArgument, str] = {}
    """ARG instructions of the Dockerfile."""
    flags: list[str] = []
    builder_service_account: Annotated[str, KUBERNETES] = ""

    @field_validator("function_source_code")
    @classmethod
    def _decodable(cls, value: str) -> str:
        try:
            _decode(value)
        except ValueError as error:
            text = "should be Python source in base64; encode it, or put the text in a file beside function.yaml"
            raise ValueError(f"{text} ({error})") from error
        return value

    @field_validator("flags")
    @classmethod
    def _permitted(cls, value: list[str]) -> list[str]:
        split_flags(value)
        return value

    @property
    def source(self) -> bytes:
        """Return the inline source with Unix line ends, as Nuclio writes it."""
        return _decode(self.function_source_code).replace(b"\r\n", b"\n")


def _decode(text: str) -> bytes:
    """Decode base64 as Go does, which passes over line ends and over nothing else."""
    return base64.b64decode(text.translate(_LINE_ENDS), validate=True)


def check_build(build: Build, image: str) -> Iterator[Problem]:
    """Find what the code entry type lacks; `image` is the specification's own."""
    kind, attributes = build.code_entry_type, build.code_entry_attributes
    in_build, in_attributes = _NEEDED.get(kind, ((), ()))
    for path, model, keys in (("", build, in_build), ("codeEntryAttributes", attributes, in_attributes)):
        given = model.model_dump(by_alias=True)
        for key in keys:
            if not given[key]:
                yield Problem(tuple(filter(None, ("build", path, key))), f"is required for codeEntryType {kind}")
    if kind == "image" and not (image or build.path):
        yield Problem(("image",), "is required for codeEntryType image")
    references = [key for key in ("branch", "tag", "reference") if getattr(attributes, key)]
    if kind == "git" and len(references) > 1:
        text = f"should have one of branch, tag and reference, not {' and '.join(references)}"
        yield Problem(("build", "codeEntryAttributes"), text)
