"""What a deploy of folders does first: plans, and images side by side."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial

from stack.errors import FunctionError, StackError
from stack.plan.function import FunctionPlan
from stack.plan.stack import Service
from stack.run.deploy.board import Board
from stack.run.deploy.queues import check_function_queues
from stack.run.deploy.revision import note_attempt
from stack.run.docker.bake import Bake
from stack.run.function import explain_fetched, plan_folder
from stack.run.image import Builder, build_all, is_plain
from stack.run.stack import Stack
from stack.run.warning import warn_inert

# So many images are made together: the steps of fewer are told apart more clearly, and gain little.
_MANY = 3


@dataclass(frozen=True)
class Making:
    """Plans and images of a deploy."""

    stack: Stack
    board: Board

    def plan(self) -> dict[str, FunctionPlan]:
        """Plan functions from their folders, by name; what is wrong with one is told to the board.

        Raises:
            FunctionError: something is wrong with each of them.
        """
        plans = {}
        for name in self.board.names:
            try:
                plans[name] = plan = plan_folder(self.stack, name, is_to_run=True)
                check_function_queues(self.stack, plan, list(plans.values()))
                if told := explain_fetched(plans[name].function):
                    self.board.logs[name].step(told)
            except StackError as error:
                plans.pop(name, None)
                self.board.fail(name, str(error))
        if not plans:
            raise FunctionError("\n".join(self.board.failures.values()))
        warn_inert(plan.function for plan in plans.values())
        return plans

    def prepare(self, services: Sequence[Service], here: Collection[str]) -> None:
        """Make the images that those of functions stand on, but for those that are here.

        Raises:
            BuildError: one could not be made.
        """
        self._builder.prepare_stack(here)
        self._builder.prepare_processors([one.plan for one in services])

    def make(self, services: Sequence[Service]) -> None:
        """Make the images of functions; why one could not be made is told to the board."""
        for one in services:
            note_attempt(self.stack.workspace, one.plan.name, one.image)
            self.board.tell(one.plan.name, "building")
        made = self._bake(services)
        left = [one for one in services if one.image not in made]
        build_all(self.stack.engine, [partial(self._build, one) for one in left])

    def _bake(self, services: Sequence[Service]) -> set[str]:
        """Make many images together, and return them; what is not among them is to be made alone, which tells why."""
        plain = [one for one in services if is_plain(one.plan)]
        if len(plain) < _MANY:
            return set()
        try:
            with ExitStack() as exits:
                builds = {
                    one.plan.name: exits.enter_context(self._builder.prepared(one.plan, one.image)) for one in plain
                }
                for name, line in self.stack.engine.buildkit.bake(Bake(builds)):
                    self.board.follow(name, [line])
        except StackError:
            return set()
        for one in plain:
            self.board.tell(one.plan.name, "built")
        return {one.image for one in plain}

    def _build(self, service: Service) -> None:
        name = service.plan.name
        try:
            self.board.follow(name, self._builder.make_function(service.plan, service.image))
        except StackError as error:
            self.board.fail(name, str(error))
        else:
            self.board.tell(name, "built")

    @cached_property
    def _builder(self) -> Builder:
        return Builder(self.stack.workspace, self.stack.engine, self.stack.inputs)
