"""What the container uses, of a control group of the test's own."""

from pathlib import Path

from stack.processor.container_usage import ContainerUsage, read_usage


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_version_2(tmp_path: Path) -> None:
    files = {
        "memory.current": "5000\n",
        "memory.stat": "anon 3000\ninactive_file 1000\n",
        "cpu.stat": "usage_usec 2500000\n",
    }
    assert read_usage(write(tmp_path, {**files, "cpu.stat": "usage_usec 2500000\n"})) == ContainerUsage(4000, 2.5)


def test_version_1(tmp_path: Path) -> None:
    files = {"memory/memory.usage_in_bytes": "5000\n", "memory/memory.stat": "total_inactive_file 1000\n"}
    assert read_usage(write(tmp_path, {**files, "cpuacct/cpuacct.usage": "2500000000\n"})) == ContainerUsage(4000, 2.5)


def test_nothing_is_told_where_the_kernel_tells_nothing(tmp_path: Path) -> None:
    assert read_usage(tmp_path) == ContainerUsage()
    assert read_usage(write(tmp_path, {"memory.current": "max\n"})) == ContainerUsage()
