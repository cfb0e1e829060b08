"""Names and labels as Kubernetes takes them, of what functions, queues and accounts are called elsewhere."""

import re
from collections.abc import Mapping

from stack.plan.image import digest

# What a Service has to be called: a label of DNS that begins with a letter (RFC 1035).
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST_SERVICE, _LONGEST_SUBDOMAIN = 63, 253
# KEDA makes a name and a label of it, with keda-hpa- before it; and names of pods have 17 letters behind.
_LONGEST = 46
_SALT = 6
_LABEL = re.compile(r"([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")
_LABEL_NAME = re.compile(
    r"((?=.{1,253}/)([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?/)?"
    r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
)
# What a variable may be called in every version; newer ones take more.
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def make_name(text: str, prefix: str) -> str:
    """Return the name of an object: the prefix and a text where they are a name, else one like it that is its own."""
    if _NAME.fullmatch(f"{prefix}{text}") and len(prefix) + len(text) <= _LONGEST:
        return f"{prefix}{text}"
    plain = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
    near = f"{prefix}{plain}"[: _LONGEST - _SALT - 1].strip("-")
    return f"{near}-{digest([text])[:_SALT]}"


def name_claim(text: str) -> str:
    """Return the name of a volume: as its author calls it, where Kubernetes has such names."""
    return text if all(map(is_namespace, text.split("."))) else make_name(text, "claim-")


def is_service_name(text: str) -> bool:
    """Return whether a Service can be called so."""
    return len(text) <= _LONGEST_SERVICE and _NAME.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    """Return whether a namespace, or another object whose name is a label of DNS, can be called so."""
    return _NAMESPACE.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Return whether most objects, whose name may have dots between labels of DNS, can be called so."""
    return len(text) <= _LONGEST_SUBDOMAIN and all(map(is_namespace, text.split(".")))


def is_variable(text: str) -> bool:
    """Return whether a variable of a container can be called so."""
    return _VARIABLE.fullmatch(text) is not None


def choose_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those labels that Kubernetes takes."""
    return {key: value for key, value in labels.items() if _LABEL_NAME.fullmatch(key) and _LABEL.fullmatch(value)}
