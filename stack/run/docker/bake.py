"""Many builds by one client of BuildKit, which takes half of what a client for each build takes."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stack.run.docker.build import PROXIES, Build

# A line of a log: the number of its step and, where the step begins, whose it is.
_LINE = re.compile(r"#(?P<step>\d+) (?:\[(?P<target>[\w-]+)[\] ])?")
# Later releases ask before they read files outside of the folder that they run in.
_NO_QUESTIONS = "BUILDX_BAKE_ENTITLEMENTS_FS=0"


@dataclass(frozen=True)
class Bake:
    """Builds by the name of what each is for; none has flags, which are of the command for one."""

    builds: Mapping[str, Build]

    def command(self) -> list[str]:
        """Return the command that builds them all; it reads the document from standard input."""
        return ["env", _NO_QUESTIONS, "docker", "buildx", "bake", "--progress=plain", "--file=-", *self._targets]

    def document(self) -> str:
        """Return what is to be built, in JSON."""
        targets = {target: _describe(self.builds[name]) for target, name in self._targets.items()}
        # Text is a template in these files.
        return json.dumps({"target": targets}).replace("${", "$${").replace("%{", "%%{")

    def sort(self, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield whose each line of the log is, and the line with that name; one that is nobody's is left out."""
        targets, owners = self._targets, dict[str, str]()
        for line in lines:
            if not (match := _LINE.match(line)):
                continue
            if name := targets.get(match["target"]):
                owners[match["step"]] = name
                line = line.replace(f"[{match['target']}", f"[{name}", 1)
            if owner := owners.get(match["step"]):
                yield owner, line

    @property
    def _targets(self) -> dict[str, str]:
        """Return whose each target is; a target's own name may have no dot."""
        return {f"t{number}": name for number, name in enumerate(self.builds)}


def _describe(build: Build) -> dict[str, Any]:
    proxies = {name: os.environ[name] for name in PROXIES if os.environ.get(name)}
    return {
        "context": str(build.context),
        "dockerfile": str(build.dockerfile),
        "contexts": {name: str(path) for name, path in build.contexts.items()},
        "args": {**build.args, **proxies},
        "secret": [f"id={name},src={path}" for name, path in build.secrets.items()],
        "tags": list(build.tags),
        "output": ["type=docker"],
    }
