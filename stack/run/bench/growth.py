"""How the stack grows: the time of each task, and the memory, from one function to a hundred."""

from collections.abc import Iterator

from stack import console
from stack.config.quantity import memory_bytes
from stack.run.bench.bed import Bed
from stack.run.bench.fleet import fleet, time_task
from stack.run.bench.program import run_command

_SIZES = (1, 10, 50, 100)
_QUICK_SIZES = (1, 5)
COLUMNS = ("functions", "deploy --all", "deploy again", "up", "plan", "status", "memory")


def show_growth(bed: Bed, *, quick: bool, as_json: bool) -> None:
    """Measure and show the seconds of tasks, all but the first with nothing to do, and the memory."""
    rows = list(_measure(bed, _QUICK_SIZES if quick else _SIZES))
    if as_json:
        console.show_json({"growth": rows})
    else:
        console.show_table(COLUMNS, [_tell(row) for row in rows])


def _measure(bed: Bed, sizes: tuple[int, ...]) -> Iterator[dict[str, float]]:
    for size in sizes:
        with console.working(f"Measuring {size} functions"), fleet(bed, size):
            tasks = (("deploy-function", "--all"), ("deploy-function", "--all"), ("up",), ("plan",), ("status",))
            seconds = [round(time_task(bed, *task), 2) for task in tasks]
            yield dict(zip(COLUMNS, [size, *seconds, round(_sum_memory(bed))], strict=True))


def _sum_memory(bed: Bed) -> float:
    """Return the memory of the functions' containers, as their control groups count it, in MiB."""
    ids = [one.id for one in bed.stack.engine.containers() if one.function]
    usages = run_command(["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", *ids]).splitlines()
    # Docker writes `28.5MiB / 23.5GiB`, and quantities without the B are those of Kubernetes.
    return sum(memory_bytes(usage.split()[0].removesuffix("B")) for usage in usages) / 1024**2


def _tell(row: dict[str, float]) -> dict[str, str]:
    units = {"functions": "", "memory": " MiB"}
    return {name: f"{value:g}{units.get(name, ' s')}" for name, value in row.items()}
