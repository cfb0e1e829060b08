"""Nuclio's own dashboard in the place of Tidegate's: `dashboard.implementation: nuclio` in stack.yaml."""

from stack.config.settings import Implementation, Settings
from stack.plan.template import fill

_REPOSITORY = "quay.io/nuclio/dashboard"
_PLATFORM = "nuclio/platform.yaml"


def is_nuclio(settings: Settings) -> bool:
    """Say whether the dashboard is Nuclio's."""
    return settings.dashboard.implementation is Implementation.NUCLIO


def nuclio_image(settings: Settings, architecture: str) -> str:
    """Name the image of Nuclio's dashboard, which has a tag for each architecture."""
    return f"{_REPOSITORY}:{settings.images.nuclio}-{architecture}"


def render_nuclio(settings: Settings) -> dict[str, bytes]:
    """Render what Nuclio's dashboard mounts; nothing where it is not wanted."""
    return {_PLATFORM: fill(_PLATFORM, {"settings": settings})} if is_nuclio(settings) else {}
