"""What functions may have of this machine, which the key `allow` of stack.yaml says."""

import posixpath
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from stack.config.document import Document

# Kubernetes' name of the GPUs, which Docker gives all or none of.
GPU = "nvidia.com/gpu"


# A name that the Container Device Interface gives, such as vendor.example/gpu=0.
NAMED_DEVICE = re.compile(r"[A-Za-z][\w.-]*/[A-Za-z][\w.-]*=[A-Za-z0-9][\w.-]*")


def clean_path(path: str) -> str:
    """Return an absolute path without what changes nothing: a slash at its end, two of them, or a dot."""
    return f"/{posixpath.normpath(path).lstrip('/')}"


def climbs(path: str) -> bool:
    """Return whether a path has a `..`, which leads elsewhere than it seems where a link stands before it."""
    return ".." in path.split("/")


def _check_path(path: str) -> str:
    if not path.startswith("/") or climbs(path) or "\0" in path:
        raise ValueError(f"should be a whole path without '..', such as /srv/data, not {path!r}")
    return clean_path(path)


def _check_device(text: str) -> str:
    if text == GPU or NAMED_DEVICE.fullmatch(text):
        return text
    if not text.startswith("/") or climbs(text) or ":" in text:
        raise ValueError(f"should be the path of a device, such as /dev/ttyUSB0, or {GPU}, not {text!r}")
    return clean_path(text)


HostPath = Annotated[str, AfterValidator(_check_path)]


HostDevice = Annotated[str, AfterValidator(_check_device)]


class Allow(Document):
    """What functions may have of this machine, no matter who asks for it."""

    host_paths: tuple[HostPath, ...] = Field((), alias="host_paths")
    """Files and folders that a hostPath may name, each as it is here: what lies below one is not allowed by it."""
    devices: tuple[HostDevice, ...] = ()
    """Devices that spec.devices may name by their path here; nvidia.com/gpu stands for the GPUs."""
    root: bool = False
    """Functions may be root in their containers."""
    host_network_builds: bool = Field(False, alias="host_network_builds")
    """Builds may use this machine's own network."""

    @model_validator(mode="after")
    def _stand_apart(self) -> "Allow":
        """Refuse a folder below another: who may write to the upper one could put a link in the lower one's place."""
        for path in self.host_paths:
            for other in self.host_paths:
                if path != other and is_within(path, other):
                    raise ValueError(
                        f"host_paths has {path}, which is below {other}: a function that has {other} could put a link "
                        f"in its place that leads anywhere; name one of the two"
                    )
        return self


def is_within(path: str, folder: str) -> bool:
    """Return whether a clean path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def find_rulers(allow: Allow, workspace: Path) -> list[str]:
    """List the allowed paths through which a function would rule the stack, since stack.yaml itself can be reached."""
    root = str(workspace.resolve())
    real = {path: str(Path(path).resolve()) for path in allow.host_paths}
    own = [f"{root}/{name}" for name in ("stack.yaml", "functions", ".stack")]
    return [
        f"allow.host_paths: {path} leads to {root}, where this very file is: a function that has it could allow itself "
        "everything; name another folder"
        for path in allow.host_paths
        if is_within(root, real[path]) or any(is_within(real[path], one) for one in own)
    ]
