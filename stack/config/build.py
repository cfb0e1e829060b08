"""spec.build: how a function's image is made."""

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from stack.config.document import NuclioDocument
from stack.config.inert import KUBERNETES, LATER, Inert


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

    path: Annotated[str, LATER] = ""
    function_source_code: str = ""
    function_config_path: Annotated[str, LATER] = ""
    temp_dir: Annotated[str, Inert()] = ""
    registry: Annotated[str, Inert()] = ""
    base_image_registry: Annotated[str, LATER] = ""
    image: str = ""
    no_base_images_pull: Annotated[bool, Inert("is ignored: a base is pulled or built once")] = False
    no_cache: Annotated[bool, LATER] = False
    no_cleanup: Annotated[bool, Inert()] = False
    base_image: Annotated[str, LATER] = ""
    commands: list[str] = []
    directives: Directives = Directives()
    script_paths: Annotated[list[str], Inert()] = []
    added_paths: Annotated[list[str], Inert()] = []
    dependencies: Annotated[list[str], Inert("is for Java")] = []
    runtime_attributes: Annotated[dict[str, Any], Inert("is for Java")] = {}
    onbuild_image: Annotated[str, LATER] = ""
    offline: Annotated[bool, Inert()] = False
    code_entry_type: Literal["", "sourceCode", "image", "archive", "git", "github", "s3"] = ""
    code_entry_attributes: Annotated[dict[str, Any], LATER] = {}
    timestamp: Annotated[int, Inert()] = 0
    build_timeout_seconds: Annotated[int, KUBERNETES] = 3600
    mode: Annotated[Literal["", "neverBuild", "alwaysBuild"], LATER] = ""
    args: dict[str, str] = {}
    flags: Annotated[list[str], LATER] = []
    builder_service_account: Annotated[str, KUBERNETES] = ""

    @field_validator("function_source_code")
    @classmethod
    def _decodable(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=False)
        except binascii.Error as error:
            raise ValueError(f"should be Python source in base64 ({error})") from error
        return value

    @field_validator("code_entry_type")
    @classmethod
    def _local(cls, value: str) -> str:
        if value not in ("", "sourceCode"):
            raise ValueError(f"{value!r} is not supported yet; put the files beside function.yaml")
        return value

    @property
    def source(self) -> bytes:
        """Return the inline source with Unix line ends, as Nuclio writes it."""
        return base64.b64decode(self.function_source_code).replace(b"\r\n", b"\n")
