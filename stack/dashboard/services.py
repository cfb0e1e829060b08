"""The services: what every request is answered from."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from stack.config.data import Data
from stack.config.settings import load_settings
from stack.demo.state import DemoRunner
from stack.docker.stack import Stack, open_stack
from stack.errors import ConfigError, StackError
from stack.live.broadcaster import Broadcaster
from stack.plan.trouble import Trouble, find_handling_troubles, read_handling
from stack.rabbitmq.management import Broker, find_broker, find_device_broker
from stack.rabbitmq.simulator import Simulator
from stack.run.catalogue import Catalogue, FunctionRecord
from stack.run.function_snapshot import MentionReader
from stack.run.job import Jobs
from stack.state.devices import RegistryReader
from stack.state.workspace import Workspace, open_workspace
from stack.victoriametrics.client import ANY, OWN
from stack.victoriametrics.last_value import LastValues

# Seconds that an answer waits for figures that are not known yet.
_PATIENCE = 0.12


@dataclass
class Services:
    """The workspace, and what is known of what runs in it."""

    workspace: Workspace
    project: str
    """The Compose project, which stays as long as the dashboard runs in it."""
    jobs: Jobs
    catalogue: Catalogue
    broadcaster: Broadcaster = field(init=False)
    """It is open while the application runs."""
    mentions: MentionReader = field(init=False)
    registry: RegistryReader = field(init=False)
    """Of devices."""
    last_values: Mapping[str, LastValues] = field(default_factory=lambda: {one: LastValues(one) for one in (ANY, OWN)})
    """Those of readings, and of the stack's own figures, by the selector of all of them."""
    simulator: Simulator = field(init=False)
    stage: DemoRunner = field(init=False)
    """Where the demo is played."""

    def __post_init__(self) -> None:
        self.mentions = MentionReader(self.workspace)
        self.registry = RegistryReader(self.workspace)
        self.simulator = Simulator(lambda: find_device_broker(self.stack()))
        self.demo = DemoRunner(self.stack, self.catalogue, self.jobs)

    async def records(self) -> tuple[FunctionRecord, ...]:
        """Return what is known of every function, read again in a thread only if something has changed.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        known = self.catalogue.peek()
        return await run_in_threadpool(self.catalogue.records) if known is None else known

    def stack(self) -> Stack:
        """Return the stack as its files say now; a function that is wrong stands in no one's way.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        return open_stack(self.workspace, is_lenient=True)

    def data(self) -> Data:
        """Return which readings are kept: none while stack.yaml is wrong, which the overview tells."""
        try:
            return load_settings(self.workspace.root).data
        except ConfigError:
            return Data()

    def broker(self) -> Broker:
        """Return where the broker is, and who may use it.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        return find_broker(self.stack())


def open_services() -> Services:
    """Return the services of this program's workspace.

    Raises:
        ConfigError: stack.yaml is wrong.
    """
    workspace = open_workspace()
    jobs = Jobs(workspace)
    catalogue = Catalogue(workspace, jobs)
    # What a job has started is ready before Docker tells so by an event.
    jobs.on_change = lambda _: catalogue.forget_containers()
    return Services(workspace, load_settings(workspace.root).project, jobs, catalogue)


def services_of(request: HTTPConnection) -> Services:
    """Return the services of a request's application."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def find_troubles(services: Services, record: FunctionRecord) -> Sequence[Trouble]:
    """Return what is wrong with the handlers of a function; nothing where that is not known in time."""
    if not record.is_deployed:
        return ()
    try:
        async with asyncio.timeout(_PATIENCE):
            figures = await services.broadcaster.latest("functions") or {}
    except (TimeoutError, StackError):
        return ()
    return tuple(find_handling_troubles(record.name, read_handling(figures.get(record.name, {}))))


async def add_troubles(services: Services, record: FunctionRecord) -> FunctionRecord:
    """Return what is known of a function, with what is wrong with its handlers where nothing else is said of it."""
    if record.message:
        return record
    return replace(record, message=" ".join(one.what for one in await find_troubles(services, record)))
