#!/usr/bin/env python3
"""Keeps of a corpus the files that cover most for their size: fuzz/pick.py TARGET [FROM...]

`cargo fuzz cmin` keeps every file that adds anything, which is thousands for some targets. What is picked from the
directories FROM, and from the corpus itself, replaces fuzz/corpus/TARGET. The target must have been built.
"""

import hashlib
import heapq
import subprocess
import sys
import tempfile
from pathlib import Path

FILES_MAX = 290
BYTES_MAX = 450_000
# What a file costs beside its bytes.
FILE_COST = 2_000

FUZZ = Path(__file__).resolve().parent


def coverage(target, directories):
    """Gives the path and the features of each input, as libFuzzer's merge writes them to its control file."""
    (program,) = FUZZ.glob(f"target/*/release/{target}")
    with tempfile.TemporaryDirectory() as scratch:
        control = Path(scratch, "control")
        merged = Path(scratch, "merged")
        merged.mkdir()
        flags = ["-merge=1", f"-merge_control_file={control}", "-use_counters=0", "-max_len=8192"]
        subprocess.run([program, *flags, merged, *directories], check=True, stderr=subprocess.DEVNULL)
        # Number of inputs, number of those kept before, a path a line; then `FT` or `COV`, number of the input, features.
        lines = control.read_text().splitlines()
    count = int(lines[0])
    found = {}
    for line in lines[2 + count:]:
        kind, *numbers = line.split()
        if kind in ("FT", "COV"):
            features = found.setdefault(int(numbers[0]), set())
            features.update(kind + number for number in numbers[1:])
    return [(Path(lines[2 + at]).read_bytes(), features) for at, features in found.items()]


def pick(inputs):
    """Takes one input after another, always the one that adds most for its cost."""
    covered, chosen, size = set(), [], 0
    gain = lambda data, features: len(features - covered) / (FILE_COST + len(data))
    waiting = [(-gain(*found), at) for at, found in enumerate(inputs)]
    heapq.heapify(waiting)
    while waiting and len(chosen) < FILES_MAX:
        before, at = heapq.heappop(waiting)
        data, features = inputs[at]
        now = gain(data, features)
        if now == 0 or size + len(data) > BYTES_MAX:
            continue
        if now < -before:
            # Others have covered some of it meanwhile.
            heapq.heappush(waiting, (-now, at))
            continue
        chosen.append(data)
        covered |= features
        size += len(data)
    every = set().union(*(features for _, features in inputs))
    print(f"{len(chosen)} of {len(inputs)} files, {size} bytes, {len(covered)} of {len(every)} features")
    return chosen


def main():
    target, *others = sys.argv[1:]
    corpus = FUZZ / "corpus" / target
    chosen = pick(coverage(target, [corpus, *others]))
    for file in corpus.iterdir():
        file.unlink()
    for data in chosen:
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)


main()
