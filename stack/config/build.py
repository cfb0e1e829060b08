"""spec.build: how a function's image is made."""

import base64
import shlex
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from stack.config.document import KUBERNETES, Ignored, NuclioDocument
from stack.config.problem import Problem
from stack.config.value import ImageName, Place, Registry, is_image_name

# What `docker build` may be told; what is built, from what, and where it goes, is Tidegate's own. Those that lend the
# build a key, a file, a folder or a right of this machine are not among them.
_WITH_VALUE = frozenset(
    {
        *("--add-host", "--build-arg", "--cache-from", "--label", "--network", "--no-cache-filter", "--platform"),
        *("--shm-size", "--ulimit"),
    }
)
_ALONE = frozenset({"--no-cache", "--pull"})
# Flags of Nuclio's own builder that BuildKit has no use for.
_NEEDLESS = frozenset({"--force-rm", "--rm", "--compress"})
# Networks that give a build no more than it has.
_PLAIN_NETWORKS = ("none", "default")
# Arguments that tell BuildKit itself what to do, such as to read the Dockerfile by another program.
_OF_BUILDKIT = "BUILDKIT_"


def split_flags(flags: list[str]) -> tuple[tuple[str, str], ...]:
    """Return flags for `docker build`, each with its value, which is empty for one that has none.

    Raises:
        ValueError: one is not permitted, lacks its value, or no flag stands before a value.
    """
    return tuple((name, value) for name, value in _parse(flags) if name not in _NEEDLESS)


def find_host_flags(flags: list[str]) -> tuple[str, ...]:
    """Return the flags by which a build uses this machine's own network, each with its value."""
    return tuple(f"{name}={value}" for name, value in _parse(flags) if _is_of_host(name, value))


def _is_of_host(name: str, value: str) -> bool:
    return name == "--add-host" or (name == "--network" and value not in _PLAIN_NETWORKS)


def _parse(flags: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each flag: its name and its value."""
    words = iter([word for flag in flags for word in shlex.split(flag)])
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            raise ValueError(f"{word!r} should be a flag, such as --no-cache")
        if name not in _WITH_VALUE | _ALONE | _NEEDLESS:
            known = ", ".join(sorted(_WITH_VALUE | _ALONE))
            raise ValueError(f"{name!r} is not permitted; known: {known}")
        if name in _WITH_VALUE and not equals:
            value = next(words, "")
            if not value or value.startswith("-"):
                raise ValueError(f"{name} needs a value, such as {name}=VALUE")
        _check_value(name, value)
        yield name, value


def _check_value(name: str, value: str) -> None:
    if name == "--cache-from" and not is_image_name(value):
        raise ValueError(f"--cache-from should be the name of an image, not {value!r}")
    if name == "--build-arg" and value.upper().startswith(_OF_BUILDKIT):
        raise ValueError(f"{value.partition('=')[0]!r} is an argument for BuildKit itself, which is not permitted")


CodeEntryType = Literal["", "sourceCode", "image", "archive", "git", "github", "s3"]


class CodeEntryAttributes(NuclioDocument):
    """What is needed to fetch the code; each type reads its own keys, as in Nuclio.

    archive: `headers`, `workDir`. git: one of `branch`, `tag` and `reference`, `username`, `password`, `workDir`.
    github: `branch`, `headers`, `workDir`. s3: `s3Bucket`, `s3ItemKey`, `s3Region`, its three credentials, `workDir`.
    `workDir` is the folder of the fetched tree that holds the function.
    """

    work_dir: str = ""
    """The folder within what is fetched that has the handler."""
    headers: dict[str, str] = {}
    """Headers of the request, such as Authorization."""
    branch: str = ""
    """A branch."""
    tag: str = ""
    """A tag."""
    reference: str = ""
    """A reference, such as refs/heads/main."""
    username: str = ""
    """Who fetches; better a key of `secret`."""
    password: str = ""
    """The password or token; better a key of `secret`."""
    s3_bucket: str = ""
    """The bucket."""
    s3_item_key: str = ""
    """The object's key in the bucket."""
    s3_region: str = ""
    """The region."""
    s3_access_key_id: str = ""
    """The key of the account; better a key of `secret`."""
    s3_secret_access_key: str = ""
    """Its password; better a key of `secret`."""
    s3_session_token: str = ""
    """The token of a session that ends by itself."""
    secret: str = Field("", pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")
    """Tidegate's own: a secret whose keys stand in for what is not written here, such as password or a header."""


# What each code entry type cannot do without: keys of `build`, and keys of its attributes.
_NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sourceCode": (("functionSourceCode",), ()),
    "archive": (("path",), ()),
    "git": (("path",), ()),
    "github": (("path",), ("branch",)),
    "s3": ((), ("s3Bucket", "s3ItemKey")),
}

# The command that makes those after it run once the function's files are there.
POST_COPY = "@nuclio.postCopy"
_LINE_ENDS = str.maketrans("", "", "\r\n")


# A name that ends its line, or has a space, would be an instruction of its own.
BuildArgument = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class Directive(NuclioDocument):
    """One instruction of a Dockerfile, such as RUN or ENV."""

    kind: str = Field(pattern=r"^[A-Za-z]+$")
    """An instruction of a Dockerfile, such as RUN or ENV."""
    value: str
    """What stands behind it."""


class Directives(NuclioDocument):
    """Instructions before and after the function's files are copied."""

    pre_copy: list[Directive] = []
    post_copy: list[Directive] = []


class Build(NuclioDocument):
    """The build section of Nuclio's function configuration."""

    # nuclio-jupyter's and the documentation's spelling.
    legacy_keys: ClassVar[dict[str, str]] = {"nobaseimagepull": "noBaseImagesPull"}

    path: Place = ""
    """Where the code is, if not beside this file: a folder, or an address."""
    function_source_code: str = ""
    """The source in base64; elsewhere than in an export, a file beside function.yaml is easier to read."""
    function_config_path: Annotated[str, Ignored("has no effect: function.yaml in the function's folder counts")] = ""
    temp_dir: Annotated[str, Ignored()] = ""
    registry: Annotated[Registry, Ignored()] = ""
    base_image_registry: Registry = ""
    """Put before the base images of `processor: nuclio`."""
    image: ImageName = ""
    """The name of the image that is built; made of the function's name where left out."""
    no_base_images_pull: Annotated[bool, Ignored("is ignored: a base is pulled or built once")] = False
    no_cache: bool = False
    """Build every step again."""
    no_cleanup: Annotated[bool, Ignored()] = False
    base_image: ImageName = ""
    """The image that the function stands on; it needs Python and pip."""
    commands: list[str] = []
    """Shell commands, such as pip install pika; run before the files are copied, or after a line @nuclio.postCopy."""
    directives: Directives = Directives.model_construct()
    script_paths: Annotated[list[str], Ignored()] = []
    added_paths: Annotated[list[str], Ignored()] = []
    dependencies: Annotated[list[str], Ignored("is for Java")] = []
    runtime_attributes: Annotated[dict[str, Any], Ignored("is for Java")] = {}
    onbuild_image: ImageName = ""
    """The image with Nuclio's processor, where `processor` is nuclio."""
    offline: Annotated[bool, Ignored()] = False
    code_entry_type: CodeEntryType = ""
    """How the code is fetched; found out where left out."""
    code_entry_attributes: CodeEntryAttributes = CodeEntryAttributes.model_construct()
    timestamp: Annotated[int, Ignored()] = 0
    build_timeout_seconds: Annotated[int, KUBERNETES] = 3600
    mode: Annotated[Literal["", "neverBuild", "alwaysBuild"], Ignored("has no effect: only what is new is built")] = ""
    args: dict[BuildArgument, str] = {}
    """ARG instructions of the Dockerfile."""
    flags: list[str] = []
    """Options of docker build, such as --no-cache."""
    builder_service_account: Annotated[str, KUBERNETES] = ""

    @field_validator("function_source_code")
    @classmethod
    def _decodable(cls, value: str) -> str:
        try:
            _decode(value)
        except ValueError as error:
            text = "should be source in base64; encode it, or put the text in a file beside function.yaml"
            raise ValueError(f"{text} ({error})") from error
        return value

    @field_validator("flags")
    @classmethod
    def _permitted(cls, value: list[str]) -> list[str]:
        split_flags(value)
        return value

    @property
    def runs_after_copy(self) -> bool:
        """Return whether something runs once the function's files are there, and may make or change some."""
        if not self.commands:
            return bool(self.directives.post_copy)
        return POST_COPY in (command.strip() for command in self.commands)

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
