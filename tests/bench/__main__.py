"""Every measurement, one after the other, each in a process of its own.

`python -m tests.bench` runs all; `python -m tests.bench rating metering` runs some.
"""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

BENCHES = ("metering", "rating", "history", "rendering", "idle")


def machine() -> str:
    """The machine and the libraries that the figures belong to."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "weasyprint"))
    return (
        f"machine: {processor()}, {len(os.sched_getaffinity(0))} cores, {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}\n"
        f"python {platform.python_version()}, {libraries}"
    )


def processor() -> str:
    """What the processor calls itself, where the system tells; else its architecture."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(names: list[str]) -> int:
    """Run the named measurements, or all; 1 if one of them failed or is not known."""
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
        return 1
    print(machine(), flush=True)
    failed = []
    for name in names or BENCHES:
        print(f"\n{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
