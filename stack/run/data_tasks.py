"""The tasks about readings that the stack keeps."""

from invoke import Context

from stack.cli import verb


@verb(
    "metric",
    iterable=["labels"],
    help={
        "metric": "what they are called, or a query in PromQL; all if left out",
        "since": "how long ago they begin, such as 30m, 12h or 7d",
        "every": "the mean of each such while, instead of every reading",
        "labels": "NAME=VALUE, which they are to have; may be given several times",
        "format": "table, csv, json (a line for each) or parquet",
        "output": "a file to write them to",
        "follow": "print each as it is stored, until Ctrl-C",
    },
)
def readings(
    _: Context,
    metric: str = "",
    since: str = "1h",
    every: str = "",
    labels: list[str] | None = None,
    format: str = "table",
    output: str = "",
    follow: bool = False,
) -> None:
    """Show the readings that were kept, or write them to a file."""
    from stack.run.readings import ReadingsRequest, print_readings, read_labels

    print_readings(ReadingsRequest(metric, since, every, read_labels(labels or ()), format, output), follow=follow)


@verb(
    "action",
    "metric",
    iterable=["labels"],
    help={
        "action": "forget; if left out, tell how much is kept",
        "metric": "the readings' name, or a selector of PromQL",
        "labels": "NAME=VALUE, which they are to have; may be given several times",
        "yes": "do not ask",
    },
)
def data(_: Context, action: str = "", metric: str = "", labels: list[str] | None = None, yes: bool = False) -> None:
    """Show how much is kept, or delete readings: `data forget METRIC`."""
    from stack.run.readings import manage_data, read_labels

    manage_data(action, metric, labels=read_labels(labels or ()), yes=yes)
