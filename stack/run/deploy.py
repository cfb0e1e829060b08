"""A deploy: plan, image, new containers, readiness, record, gateway; then the older containers stop.

Several functions take these steps together, and one that fails holds up no other.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stack import console
from stack.config.source import find_folder, function_folders
from stack.docker.container import Container
from stack.docker.gateway import Handover, open_handover
from stack.docker.image import Builder, explain_change
from stack.docker.stack import Stack, check_owner, open_stack, warn_ignored
from stack.docker.swarm.driver import open_driver
from stack.errors import FunctionError, StackError
from stack.plan.broker import SERVICE
from stack.plan.function import FunctionPlan
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.render import files_digest, render_broker
from stack.plan.secret import check_secrets
from stack.plan.stack import Service, plan_service
from stack.plan.stack_image import function_image, stack_images
from stack.plan.swarm import check_function
from stack.rabbitmq.repair import mend_functions
from stack.rabbitmq.stale_topology import clear_after_deploy
from stack.run.deploy_progress import READY, DeployProgress, keep_progress
from stack.run.function import check_function_queues, explain_fetched, find_hints, plan_folder
from stack.run.function_status import FunctionStatus, describe_functions
from stack.run.image import keep_new, note_attempt, prune_revisions, take_latest
from stack.run.interruption import interruptible
from stack.run.revision import explain_loss, find_revision
from stack.run.rollout import open_rollout
from stack.run.scale import settle_scaler
from stack.run.up import bring_up
from stack.state.deploy_log import ROLLBACK
from stack.state.deployment import Deployment, check_namesakes, explain_rollback, is_deployed
from stack.state.lock import STACK, lock, rollout_lock
from stack.state.replicas import wake

# How often a function is built whose files are changed meanwhile.
_BUILDS = 3
_LEFT_OVER = "what is new runs; `invoke up` removes what is left of the older version."


def deploy_functions(
    names: Sequence[str], *, message: str = "", notes: Sequence[str] = (), force: bool = False
) -> tuple[FunctionStatus, ...]:
    """Deploy functions together, or all of functions/ if none is named; return how all are then.

    The log of each begins with the notes.

    Of all, those are left as they are that were rolled back, unless `force` says otherwise.

    Raises:
        StackError: one or more could not be deployed, which run as before; the others are deployed.
    """
    stack = open_stack(is_lenient=True)
    folders = function_folders(stack.workspace.root)
    left = () if names or force else _leave_rolled_back(stack, tuple(folders))
    wanted = tuple(names or (one for one in folders if one not in left))
    if left and not wanted:
        return describe_functions(stack, [*stack.deployed_services, *stack.undeployed])
    if not wanted:
        raise FunctionError("There is no function yet; `invoke new-function NAME` writes one.")
    for name in wanted:
        find_folder(stack.workspace.root, name)
    with _locked(stack, wanted), keep_progress(stack.workspace, wanted, reason=message) as progress:
        for log in progress.logs.values():
            for note in notes:
                log.step(note)
        return Deploy(stack, progress, message).run()


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
    with _locked(stack, (name,)):
        found = find_revision(stack.workspace, name, number=number)
        message = f"{ROLLBACK}{found.revision}"
        with keep_progress(stack.workspace, (name,), reason=message) as progress:
            return Deploy(stack, progress, message, found.revision).run_built(found)


def deploy_built(stack: Stack, deployment: Deployment, *, message: str) -> tuple[FunctionStatus, ...]:
    """Deploy a function whose image is here, as somebody else built it; return how all are then.

    Raises:
        StackError: it does not come up; what runs goes on.
    """
    check_namesakes(stack.workspace, deployment.name)
    names = (deployment.name,)
    with _locked(stack, names), keep_progress(stack.workspace, names, reason=message) as progress:
        return Deploy(stack, progress, message).run_built(deployment)


@contextmanager
def _locked(stack: Stack, names: Sequence[str]) -> Iterator[None]:
    """Hold the locks of functions, of a Docker that can do what is needed."""
    state = "runs as before" if is_deployed(stack.workspace, names[0]) else "is still not deployed"
    told = f"{names[0]} {state}." if len(names) == 1 else "what is not ready yet is as it was before."
    with interruptible(told), ExitStack() as locks:
        for name in sorted(names):
            locks.enter_context(lock(stack.workspace, f"function-{name}"))
        # What Docker lacks is told before anything else that is missing.
        open_driver(stack.engine).check()
        yield


@dataclass(frozen=True)
class _Survey:
    """What a deploy finds: whether the stack is up, which of its images are here, and its gateway."""

    is_up: bool
    images: set[str]
    gateway: Container | None


@dataclass(frozen=True)
class Deploy:
    """Some functions on their way, from their folders to what runs."""

    stack: Stack
    progress: DeployProgress
    message: str
    restores: int = 0
    """The revision that a rollback goes back to."""

    def run(self) -> tuple[FunctionStatus, ...]:
        """Deploy functions from their folders; return how all functions are then.

        Raises:
            StackError: one or more failed.
        """
        services = self._plan_services(self.progress.names)
        if not services:
            raise FunctionError("\n".join(self.progress.failures.values()))
        found = self._survey([*(one.image for one in services), *stack_images(self.stack.inputs)])
        made = self._make_images([one for one in services if one.image not in found.images], found.images)
        services = [*(one for one in services if one.image in found.images), *made]
        return self._replace([one for one in services if one.plan.name not in self.progress.failures], found)

    def run_built(self, deployment: Deployment) -> tuple[FunctionStatus, ...]:
        """Deploy a function whose image is there; return how all functions are then.

        Raises:
            StackError: it failed.
        """
        service = self._service(deployment.plan(self.stack.settings), deployment.image)
        check_function(service.plan, self.stack.settings)
        check_secrets([service.plan], self.stack.vault)
        self.stack.check_login([service.plan])
        check_function_queues(self.stack, service.plan)
        found = self._survey([deployment.image])
        if service.image not in found.images:
            raise FunctionError(explain_loss(deployment))
        self.progress.show()
        return self._replace([service], found)

    def _plan_services(self, names: Sequence[str]) -> list[Service]:
        return [self._service(plan, function_image(plan, self.stack.inputs)) for plan in self._load_plans(names)]

    def _load_plans(self, names: Sequence[str]) -> list[FunctionPlan]:
        """Plan functions from their folders; what is wrong with one is told of it."""
        plans = list[FunctionPlan]()
        for name in names:
            try:
                plan = plan_folder(self.stack, name, is_to_run=True)
                check_function(plan, self.stack.settings)
                check_function_queues(self.stack, plan, planned=plans, coming=self.progress.names)
                plans.append(plan)
                if told := explain_fetched(plan.function):
                    self.progress.logs[name].step(told)
            except StackError as error:
                self.progress.fail(name, str(error))
        warn_ignored((plan.function for plan in plans), has_nodes=self.stack.engine.is_swarm)
        for name, hints in find_hints(self.stack, plans).items():
            for hint in hints:
                console.warn(f"{name}: {hint}")
                self.progress.logs[name].step(hint)
        return plans

    def _service(self, plan: FunctionPlan, image: str) -> Service:
        """Plan a function's containers; what is new and asleep is woken, to show whether it comes up."""
        deployed = self.stack.deployments.get(plan.name)
        is_same = deployed is not None and deployed.image == image
        return plan_service(
            plan,
            self.stack.settings,
            image=image,
            vault=self.stack.vault,
            is_deployed=True,
            kept_replicas=self.stack.replicas.get(plan.name) if is_same else wake(self.stack.workspace, plan),
        )

    def _survey(self, images: Sequence[str]) -> _Survey:
        """Find which images are here, and whether broker and gateway run as they are rendered."""
        listed = self.stack.engine.listed()
        check_owner(self.stack.workspace, self.stack.settings.project, containers=listed)
        wanted = files_digest(render_broker(self.stack.inputs))
        running = [one for one in listed if one.is_running]
        has_broker = any(one.service == SERVICE and one.files == wanted for one in running)
        gateway = next((one for one in running if one.service == GATEWAY), None)
        return _Survey(has_broker and gateway is not None, self.stack.engine.images(images), gateway)

    def _make_images(self, missing: Sequence[Service], here: Collection[str]) -> list[Service]:
        """Make the images of functions, and those that they stand on; why one could not be made is told of it.

        Of a function whose files are changed meanwhile, the newer ones are taken; return what has an image.

        Raises:
            BuildError: one that they stand on could not be made.
        """
        builder = Builder(self.stack.workspace, self.stack.engine, self.stack.inputs)
        builder.prepare_stack(here)
        made = list[Service]()
        for _ in range(_BUILDS):
            builder.prepare_processors([one.plan for one in missing])
            self.progress.show()
            for one in missing:
                note_attempt(self.stack.workspace, one.plan.name, image=one.image)
            changed = builder.make_functions([(one.plan, one.image) for one in missing], self.progress)
            made += [one for one in missing if one.plan.name not in changed]
            if not changed:
                return made
            self.progress.hide()
            missing = self._plan_services(changed)
        for one in missing:
            self.progress.fail(one.plan.name, explain_change(one.plan.name))
        return made

    def _replace(self, services: Sequence[Service], found: _Survey) -> tuple[FunctionStatus, ...]:
        """Put functions whose images are there in the place of their older selves."""
        if not services:
            return self._finish((), ())
        keep_new(self.stack.engine, services)
        if not found.is_up:
            self.progress.hide()
            bring_up(is_lenient=True)
            self.progress.show()
        with ExitStack() as locks:
            # No one is to count containers of functions while older ones are beside newer ones.
            for one in sorted(services, key=lambda one: one.plan.name):
                locks.enter_context(lock(self.stack.workspace, rollout_lock(one.plan.name)))
            return self._finish(*self._roll_out(services, found.gateway))

    def _roll_out(
        self, services: Sequence[Service], gateway: Container | None
    ) -> "tuple[Sequence[Service], Sequence[Future[None]]]":
        """Start new containers beside the older; return the functions that have some, and the stops of the older."""
        started, stopping = list[Service](), list[Future[None]]()
        handover = open_handover(self.stack.engine, services, gateway=gateway)
        with (
            lock(self.stack.workspace, STACK, is_shared=True),
            open_rollout(self.stack.reread(), services, progress=self.progress) as rollout,
        ):
            rollout.start()
            for ready in rollout.wait():
                rollout.record(ready, message=self.message, restores=self.restores)
                stopping.append(self._switch(ready, rollout.find_older(ready), handover=handover))
                started += ready
        return started, stopping

    def _switch(self, ready: Sequence[Service], older: Sequence[Container], *, handover: Handover) -> "Future[None]":
        """Have requests go to the new containers, and the older ones stop; say that the new ones are ready."""
        try:
            with interruptible(_LEFT_OVER):
                return handover.switch(ready, older)
        finally:
            for one in ready:
                self.progress.tell(one.plan.name, READY)

    def _finish(self, started: Sequence[Service], stopping: "Sequence[Future[None]]") -> tuple[FunctionStatus, ...]:
        """Wait until what is replaced has finished its events, and remove what no one needs any more."""
        self.progress.hide()
        failures = self.progress.failures
        ready = [name for name in self.progress.names if name not in failures]
        if ready:
            console.success(f"{', '.join(ready)}: ready.")
        with interruptible(_LEFT_OVER):
            take_latest(self.stack.engine, started)
            for one in stopping:
                one.result()
            fresh = self.stack.reread()
            services = fresh.inputs.services
            mend_functions(fresh, [one for one in services if one.plan.name in ready])
            # The older containers bind no more, and the revisions that tell what they bound are still kept.
            clear_after_deploy(fresh, self.progress.names)
            prune_revisions(fresh, self.progress.names)
            open_driver(fresh.engine).prune()
        settle_scaler(fresh)
        if failures:
            raise FunctionError("\n".join(f"{name} was not deployed: {why}" for name, why in failures.items()))
        return describe_functions(fresh, services)
