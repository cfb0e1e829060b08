"""A deploy: images are built side by side, and a rollout puts the functions in the place of their older selves.

What builds images, and what brings the stack up, is imported where it is needed: a rollback needs neither.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial

from stack import console
from stack.config.function import FunctionConfig
from stack.config.source import find_folder, function_folders, load_function
from stack.docker.build import build_images
from stack.docker.container import Container
from stack.docker.image import Builder, build_all, is_plain
from stack.docker.stack import Stack, check_owner, open_stack, warn_ignored
from stack.errors import FunctionError, StackError
from stack.plan.broker import SERVICE
from stack.plan.code_entry import runs_as_is
from stack.plan.function import FunctionPlan
from stack.plan.function_check import Claimant, check_queues
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.render import files_digest, function_image, render_broker, stack_images
from stack.plan.secret import check_secrets
from stack.plan.stack import Service, plan_service
from stack.rabbitmq.drift import mend_functions
from stack.rabbitmq.stale_topology import clear_after_deploy
from stack.run.deploy_progress import READY, DeployProgress, keep_progress
from stack.run.function import explain_fetched, plan_folder
from stack.run.function_status import FunctionStatus, describe_functions
from stack.run.interruption import interruptible
from stack.run.revision import explain_loss, find_revision, note_attempt, prune_revisions
from stack.run.revision_tag import keep_images, take_latest
from stack.run.rollout import Handover, Outcome, Rollout, find_endpoints, open_handover
from stack.run.scale import settle_scaler
from stack.run.up import bring_up
from stack.state.deploy_log import ROLLBACK
from stack.state.deployment import Deployment, check_namesakes, explain_rollback, is_deployed
from stack.state.lock import STACK, lock, rollout_lock
from stack.state.replicas import wake


def check_function_queues(stack: Stack, plan: FunctionPlan, planned: Sequence[FunctionPlan] = ()) -> None:
    """Refuse a function whose queues are those of others, deployed or `planned`, in a way that no one can want.

    Raises:
        AccessError: code that is fetched would take messages of another function.
        ConfigError: a queue of one function holds the failed messages of another's.
    """
    names = {plan.name, *(one.name for one in planned)}
    others = [one.plan(stack.settings) for name, one in stack.deployments.items() if name not in names]
    others += [one for one in planned if one.name != plan.name]
    check_queues(_as_claimant(stack, plan), [_as_claimant(stack, one) for one in others])


def _as_claimant(stack: Stack, plan: FunctionPlan) -> Claimant:
    """Return a function with its own function.yaml, which is asked of fetched code alone; none says nothing."""
    own = FunctionConfig()
    if plan.function.origin:
        with suppress(StackError):
            own = load_function(find_folder(stack.workspace.root, plan.name)).config
    return Claimant(plan, own)


# So many images are made together: the steps of fewer are told apart more clearly, and gain little.
_MANY = 3


@dataclass(frozen=True)
class ImageBuild:
    """Plans and images of a deploy."""

    stack: Stack
    board: DeployProgress

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
        warn_ignored(plan.function for plan in plans.values())
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
        build_all([partial(self._build, one) for one in left])

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
                for name, line in build_images(builds):
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


_LEFT_OVER = "what is new runs; `invoke up` removes what is left of the older version."


def deploy_functions(names: Sequence[str], *, message: str = "", force: bool = False) -> tuple[FunctionStatus, ...]:
    """Deploy functions together, or all of functions/ if none is named; return how all are then.

    Of all, those are left as they are that were rolled back, unless `force` says otherwise.

    Raises:
        StackError: one or more could not be deployed, which run as before; the others are deployed.
    """
    stack = open_stack(is_lenient=True)
    folders = function_folders(stack.workspace.root)
    left = () if names or force else _leave_rolled_back(stack, tuple(folders))
    wanted = tuple(names or (one for one in folders if one not in left))
    if left and not wanted:
        return describe_functions(stack, stack.inputs.services)
    if not wanted:
        raise FunctionError("There is no function yet; functions/NAME/function.yaml describes one.")
    for name in wanted:
        find_folder(stack.workspace.root, name)
    with _taking_turns(stack, wanted), keep_progress(stack.workspace, wanted, reason=message) as board:
        return Deploy(stack, board, message).run()


def _leave_rolled_back(stack: Stack, names: Sequence[str]) -> tuple[str, ...]:
    """Return the functions that a deploy of all would take forward again behind their user's back, and say so."""
    left = tuple(name for name in names if name in stack.deployments and stack.deployments[name].restores)
    for name in left:
        console.note(f"{name} {explain_rollback(stack.deployments[name])}; it is left as it is.")
    return left


def roll_back(name: str, number: int) -> tuple[FunctionStatus, ...]:
    """Deploy an older revision of a function, which builds nothing; with 0 the one before what runs.

    Raises:
        StackError: there is no such revision, its image is gone, or it does not come up; what runs goes on.
    """
    stack = open_stack(is_lenient=True)
    with _taking_turns(stack, (name,)):
        found = find_revision(stack.workspace, name, number)
        message = f"{ROLLBACK}{found.revision}"
        with keep_progress(stack.workspace, (name,), reason=message) as board:
            return Deploy(stack, board, message, found.revision).run_built(found)


def deploy_built(stack: Stack, deployment: Deployment, message: str) -> tuple[FunctionStatus, ...]:
    """Deploy a function whose image is here, as somebody else built it; return how all are then.

    Raises:
        StackError: it does not come up; what runs goes on.
    """
    check_namesakes(stack.workspace, deployment.name)
    names = (deployment.name,)
    with _taking_turns(stack, names), keep_progress(stack.workspace, names, reason=message) as board:
        return Deploy(stack, board, message).run_built(deployment)


@dataclass(frozen=True)
class Deploy:
    """Some functions on their way, from their folders to what runs."""

    stack: Stack
    board: DeployProgress
    message: str
    restores: int = 0
    """The revision that a rollback goes back to."""

    def run(self) -> tuple[FunctionStatus, ...]:
        """Build and start what is new; return how all functions are then.

        Raises:
            StackError: one or more failed.
        """
        making = ImageBuild(self.stack, self.board)
        plans = making.plan()
        images = {name: function_image(plan, self.stack.inputs) for name, plan in plans.items()}
        services = [self._service(plan, images[name]) for name, plan in plans.items()]
        with self._looking([*images.values(), *stack_images(self.stack.inputs)]) as look:
            sight = look()
        missing = [one for one in services if one.image not in sight.images]
        making.prepare(missing, sight.images)
        with ExitStack() as turns, ExitStack() as table:
            table.enter_context(self.board.shown())
            making.make(missing)
            built = [one for one in services if one.plan.name not in self.board.failures]
            self._keep_images(built)
            if built and not sight.is_up:
                table.close()
                _bring_up()
                table.enter_context(self.board.shown())
            self._keep_scaler_away(built, turns)
            outcome, stopping = self._replace(built, sight)
            table.close()
            return self._finish(outcome, stopping)

    def run_built(self, deployment: Deployment) -> tuple[FunctionStatus, ...]:
        """Start a function whose image is there; return how all functions are then.

        Raises:
            StackError: it failed.
        """
        with self._looking([deployment.image]) as look:
            service = self._service(deployment.plan(self.stack.settings), deployment.image)
            check_secrets([service.plan], self.stack.vault)
            self.stack.check_login([service.plan])
            check_function_queues(self.stack, service.plan)
            sight = look()
        if service.image not in sight.images:
            raise FunctionError(explain_loss(deployment))
        self._keep_images([service])
        if not sight.is_up:
            _bring_up()
        with ExitStack() as turns:
            self._keep_scaler_away([service], turns)
            with self.board.shown():
                outcome, stopping = self._replace([service], sight)
            return self._finish(outcome, stopping)

    @property
    def _ready(self) -> list[str]:
        return [name for name in self.board.names if name not in self.board.failures]

    def _service(self, plan: FunctionPlan, image: str) -> Service:
        return plan_service(
            plan,
            self.stack.settings,
            image=image,
            vault=self.stack.vault,
            is_deployed=True,
            kept_replicas=self._choose_replicas(plan, image),
        )

    def _choose_replicas(self, plan: FunctionPlan, image: str) -> int | None:
        """Return how many containers were asked for; what is new and asleep is woken, to show whether it comes up."""
        deployed = self.stack.deployments.get(plan.name)
        if deployed and deployed.image == image:
            return self.stack.replicas.get(plan.name)
        return wake(self.stack.workspace, plan)

    @contextmanager
    def _looking(self, images: Sequence[str]) -> "Iterator[Callable[[], _Sight]]":
        """Begin to look which images are here, and whether broker and gateway run as they are rendered."""
        with ThreadPoolExecutor(2) as pool:
            here = pool.submit(self.stack.engine.images, images)
            listed = pool.submit(self.stack.engine.listed)
            yield lambda: self._compare(listed.result(), here.result())

    def _compare(self, listed: Sequence[Container], images: set[str]) -> "_Sight":
        check_owner(self.stack.workspace, self.stack.settings.project, listed)
        wanted = files_digest(render_broker(self.stack.inputs))
        found = [one for one in listed if one.is_running]
        has_broker = any(one.service == SERVICE and one.files == wanted for one in found)
        gateway = next((one for one in found if one.service == GATEWAY), None)
        return _Sight(has_broker and gateway is not None, images, gateway)

    def _keep_images(self, services: Sequence[Service]) -> None:
        """Have no other project remove the images that are about to be started."""
        own = [one for one in services if not runs_as_is(one.plan.function)]
        keep_images(self.stack.engine, [(one.plan.name, one.image) for one in own])

    def _keep_scaler_away(self, services: Sequence[Service], turns: ExitStack) -> None:
        """Have no one count containers of functions while older ones are beside newer ones."""
        for one in sorted(services, key=lambda one: one.plan.name):
            turns.enter_context(lock(self.stack.workspace, rollout_lock(one.plan.name)))

    def _replace(self, services: Sequence[Service], sight: "_Sight") -> "tuple[Outcome, list[Future[None]]]":
        """Put functions in the place of their older selves, which may still be finishing their events."""
        outcomes, stopping = list[Outcome](), list[Future[None]]()
        with ThreadPoolExecutor(1) as pool, lock(self.stack.workspace, STACK, is_shared=True):
            handover = pool.submit(open_handover, self.stack, services, sight.gateway)
            rollout = Rollout(self.stack.reread(), tuple(services), self.board, self.message, self.restores)
            with closing(rollout.run()) as found:
                for outcome in found:
                    outcomes.append(outcome)
                    stopping.append(self._relieve(outcome, handover.result()))
        started = tuple(one for outcome in outcomes for one in outcome.started)
        for name in self._ready:
            if name not in {one.plan.name for one in started}:
                self.board.tell(name, READY)
        return replace(outcomes[-1], started=started), stopping

    def _relieve(self, outcome: Outcome, handover: Handover) -> "Future[None]":
        """Have what is replaced stop once the new gets requests, and say what is ready once only the new does.

        Whoever is told that a function is ready calls it, and is not to be answered by its older self, whenever that
        ends its events.
        """
        older = find_endpoints(outcome.replaced)
        pool = ThreadPoolExecutor(1)
        with interruptible(_LEFT_OVER):
            try:
                handover.wait_until_known(outcome)
            finally:
                stopping = pool.submit(self.stack.engine.stop, outcome.replaced)
                pool.shutdown(wait=False)
            try:
                handover.wait_until_gone(older, stopping)
            finally:
                for one in outcome.started:
                    self.board.tell(one.plan.name, READY)
        return stopping

    def _finish(self, outcome: Outcome, stopping: "Sequence[Future[None]]") -> tuple[FunctionStatus, ...]:
        """Wait until what is replaced has finished its events, and remove what no one needs any more."""
        failures, ready = self.board.failures, self._ready
        if ready:
            console.success(f"{', '.join(ready)}: ready.")
        # Only now: it comes with an HTTP client, which takes a while to import.
        with interruptible(_LEFT_OVER):
            built = [one for one in outcome.started if not runs_as_is(one.plan.function)]
            take_latest(self.stack.engine, built)
            for one in stopping:
                one.result()
            mend_functions(self.stack, [one for one in outcome.services if one.plan.name in ready])
            # The older containers bind no more, and the revisions that tell what they bound are still kept.
            clear_after_deploy(self.stack, self.board.names)
            prune_revisions(self.stack, self.board.names)
        settle_scaler(self.stack.reread())
        if failures:
            raise FunctionError("\n".join(f"{name} was not deployed: {why}" for name, why in failures.items()))
        return describe_functions(self.stack, outcome.services)


@dataclass(frozen=True)
class _Sight:
    """What a deploy saw before it began: whether the stack is up, which of its images are here, and its gateway."""

    is_up: bool
    images: set[str]
    gateway: Container | None


def _bring_up() -> None:
    bring_up(is_lenient=True)


@contextmanager
def _taking_turns(stack: Stack, names: Sequence[str]) -> Iterator[None]:
    """Hold the locks of functions, of a Docker that can do what is needed."""
    state = "runs as before" if is_deployed(stack.workspace, names[0]) else "is still not deployed"
    told = f"{names[0]} {state}." if len(names) == 1 else "what is not ready yet is as it was before."
    with interruptible(told), ExitStack() as exits:
        for name in sorted(names):
            exits.enter_context(lock(stack.workspace, f"function-{name}"))
        # What Docker lacks is told before anything else that is missing.
        stack.engine.check()
        yield
