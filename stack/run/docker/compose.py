"""Compose's own program: by way of docker, which first asks each of its plugins what it is, it starts 50 ms later."""

from pathlib import Path

from stack.run.docker.program import is_plain, is_program, own_folder

# Where Docker looks for its plugins besides, in its order.
_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_PLUGIN = "docker-compose"


def find_plugins() -> list[Path]:
    """Return the Composes there are, the one that Docker takes first."""
    plugins = [Path(folder) / _PLUGIN for folder in (own_folder() / "cli-plugins", *_FOLDERS)]
    return [plugin for plugin in plugins if plugin.is_file()]


def find_command() -> list[str]:
    """Return what Compose is called by: its own program where it is plain that docker would call the same.

    Two versions label containers with different hashes, and would replace each other's.
    """
    plugins = find_plugins()
    is_certain = len(plugins) == 1 and is_program(plugins[0]) and is_plain()
    return [str(plugins[0])] if is_certain else ["docker", "compose"]
