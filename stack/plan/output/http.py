"""A service on the web that is called."""

from urllib.parse import urlsplit

from stack.config.output.http import HttpOutput
from stack.plan.output.kind import OutputKind


class HttpKind(OutputKind[HttpOutput]):
    """An http output."""

    def find_secret(self, output: HttpOutput) -> str:
        """Return its secret."""
        return output.secret

    def name_target(self, output: HttpOutput) -> str:
        """Return the host."""
        return urlsplit(output.url).netloc.rpartition("@")[2]


KIND = HttpKind()
