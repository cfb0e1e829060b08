"""Requests: an HTTP server in the function's container."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from stack.config.document import Ignored, NuclioDocument
from stack.config.trigger.base import BaseTrigger


class Cors(NuclioDocument):
    """Which pages of other sites may ask; an empty list stands for Nuclio's default."""

    enabled: bool = False
    """Let pages of other sites ask."""
    allow_origins: list[str] = []
    """The sites whose pages may call; any where left out."""
    allow_methods: list[str] = []
    """The methods that they may use; the usual seven where left out."""
    allow_headers: list[str] = []
    """The headers that they may send; Nuclio's five where left out."""
    expose_headers: list[str] = []
    """The headers of an answer that they may read."""
    allow_credentials: bool = False
    """Let them send cookies and logins."""
    preflight_max_age_seconds: int | None = Field(None, ge=-1)
    """How many seconds a browser may remember this; at -1 it is told nothing."""


class HttpAttributes(NuclioDocument):
    """Attributes of an http trigger; `port` is a port of this machine.

    `hideTraceback` and `hideLogs`, which are Tidegate's own, say who is told what goes wrong in a handler, and its log:
    no one (true), everyone (false), or, where they are left out, the dashboard and the command line alone.
    """

    port: int = Field(0, ge=0, le=65535)
    """A port of this machine that leads to the function alone; 0 is none that is fixed."""
    read_buffer_size: int = Field(16384, gt=0)
    """Bytes; the headers of a request may not be longer."""
    max_request_body_size: int = Field(4194304, gt=0)
    """Bytes; a larger body is refused."""
    reduce_memory_usage: Annotated[bool, Ignored()] = False
    cors: Cors = Cors.model_construct()
    """Which pages of other sites may ask."""
    hide_traceback: bool | None = None
    """Keep what went wrong in a handler from all who call it (true), or from no one; it is in the log."""
    hide_logs: bool | None = None
    """Keep the log of a call, which X-Nuclio-Log-Level asks for, from all who call it (true), or from no one."""
    filestream_folder: str = ""
    """The folder below which a handler's response may name a file to be sent, in X-Nuclio-Filestream-Path."""
    authentication: Literal["", "none", "basic", "bearer", "any"] = ""
    """The login that the gateway asks for: none, basic, bearer, or any of the two; where left out, stack.yaml's."""
    disable_port_publishing: bool = False
    """Only other services of the stack reach it."""
    service_type: Annotated[str, Ignored("is for Kubernetes")] = ""
    ingresses: Annotated[dict[str, dict[str, Any]], Ignored("is for Kubernetes")] = {}
    mode: Annotated[str, Ignored("is parsed and unused, as in Nuclio")] = "sync"


class HttpTrigger(BaseTrigger):
    """An HTTP server on port 8080 of the container."""

    is_single: ClassVar[bool] = True
    own_attributes: ClassVar[tuple[str, ...]] = ("port", "authentication")

    kind: Literal["http"]
    attributes: HttpAttributes = HttpAttributes.model_construct()

    @property
    def is_published(self) -> bool:
        """Return whether a port of this machine leads to it."""
        hidden = self.annotations.get("nuclio.io/disable-port-publishing", "").lower() == "true"
        return bool(self.attributes.port) or not (hidden or self.attributes.disable_port_publishing)


MODEL = HttpTrigger
