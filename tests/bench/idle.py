"""How long a run takes that has nothing new to do, and whether it leaves every file alone.

Run as `python -m tests.bench.idle`. The run is the command itself, in a process of its own,
on a root of the demo's size. Exits 1 above the target or if one file changed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from pipelines import new_root
from pipelines.generate import generate
from pipelines.paths import DataRoot

MOST_SECONDS = 10
ROUNDS = 3
START = date(2026, 1, 1)

Seen = dict[str, tuple[int, int, int]]
"""Path -> inode, size and time of the last change of each file."""


def main() -> int:
    """Measure, print, and say whether the target was reached."""
    with tempfile.TemporaryDirectory(prefix="fairbill-idle-") as folder:
        root = DataRoot(Path(folder))
        new_root.begin(root)
        sample = generate(root, customers=60, months=3, events=500_000, seed=1, start=START)
        first = _run(root, sample.last_day)
        _fairbill(root, "post", "--yes")
        _run(root, sample.last_day)
        before = files(root.root)
        seconds = [_run(root, sample.last_day) for _ in range(ROUNDS)]
        after = files(root.root)
    changed = sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    median = statistics.median(seconds)
    print(f"  the first run, 500,000 events     {first:6.1f} s")
    print(f"  a run with nothing new to do      {median:6.1f} s   (at most {MOST_SECONDS} s)")
    print(f"  files that it changed             {len(changed):6}     {', '.join(changed[:3])}")
    return int(median > MOST_SECONDS or bool(changed))


def files(root: Path) -> Seen:
    """Every file below a folder, as it is now."""
    stats = ((path, path.stat()) for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        for path, stat in stats
    }


def _run(root: DataRoot, through: date) -> float:
    began_at = time.perf_counter()
    _fairbill(root, "run", "--through", str(through))
    return time.perf_counter() - began_at


def _fairbill(root: DataRoot, *arguments: str) -> None:
    program = "from pipelines.cli import main; main()"
    command = [sys.executable, "-c", program, "--root", str(root.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 1 is a run with findings: the sample has a file that breaks off
    if done.returncode > 1:
        raise RuntimeError(f"fairbill {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
