"""The desk: what every request is answered from."""

from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from stack.config.settings import load_settings
from stack.run.broker.broker import Broker, find_broker, find_device_broker
from stack.run.catalogue.catalogue import Catalogue, FunctionRecord
from stack.run.demo.stage import Stage
from stack.run.device.simulator import Simulator
from stack.run.job.job import Jobs
from stack.run.live.hub import Hub
from stack.run.mention import MentionReader
from stack.run.stack import Stack, open_stack
from stack.run.workspace import Workspace, open_workspace


@dataclass
class Desk:
    """The workspace, and what is known of what runs in it."""

    workspace: Workspace
    project: str
    """The Compose project, which stays as long as the dashboard runs in it."""
    jobs: Jobs
    catalogue: Catalogue
    hub: Hub = field(init=False)
    """It is open while the application runs."""
    mentions: MentionReader = field(init=False)
    simulator: Simulator = field(init=False)
    stage: Stage = field(init=False)
    """Where the demo is played."""

    def __post_init__(self) -> None:
        self.mentions = MentionReader(self.workspace)
        self.simulator = Simulator(lambda: find_device_broker(self.stack()))
        self.stage = Stage(self.stack, self.catalogue, self.jobs)

    async def records(self) -> tuple[FunctionRecord, ...]:
        """Return what is known of every function, read anew in a thread only if something has changed.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        known = self.catalogue.peek()
        return await run_in_threadpool(self.catalogue.records) if known is None else known

    def stack(self) -> Stack:
        """Return the stack as its files say now; a function that is wrong stands in nobody's way.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        return open_stack(self.workspace, is_lenient=True)

    def broker(self) -> Broker:
        """Return where the broker is, and who may use it.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        return find_broker(self.stack())


def open_desk() -> Desk:
    """Return the desk of this program's workspace.

    Raises:
        ConfigError: stack.yaml is wrong.
    """
    workspace = open_workspace()
    jobs = Jobs(workspace)
    catalogue = Catalogue(workspace, jobs)
    jobs.on_change = catalogue.forget
    return Desk(workspace, load_settings(workspace.root).project, jobs, catalogue)


def desk_of(request: HTTPConnection) -> Desk:
    """Return the desk of a request's application."""
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk
