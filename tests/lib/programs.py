#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test program in the given folders (or named one by one) and adds up what they counted.

A test program is a file named *_test, *_test.sh or *_test.py; one that is not executable fails, else it
would be left out for ever without a word. It either is a cmocka program or prints a line
"N passed, N failed, N skipped"; it fails by its exit code as well.
T=name runs only programs whose name contains it. A program is ended after TEST_TIMEOUT seconds. LANES=n: n at a time, in the
order given; what is named twice runs once.

AGAIN=seconds: what fails within that time is run once more, and its second count is taken. That is for tiers that measure
time on machines that others use too; a line "failed once: PATH" stays in the log and in what the tier prints, because a test
that needs it is to be mended, and may be a race of the product's. What a sanitizer found is never asked twice.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)", re.M)
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", re.M)
SANITIZER = re.compile(r"ERROR: AddressSanitizer|runtime error:")
SHOWN = 8000  # last bytes of a failing program's output; before them only what says that it failed
TIMEOUT = int(os.environ.get("TEST_TIMEOUT", "900"))
AGAIN = float(os.environ.get("AGAIN", "0"))
LANES = int(os.environ.get("LANES", "1"))


def programs(places):
    """The test programs in the folders among places, and those named one by one."""
    want, seen = os.environ.get("T", ""), set()
    for place in places:
        paths = sorted(os.path.join(place, name) for name in os.listdir(place)) if os.path.isdir(place) else [place]
        for path in paths:
            name = os.path.basename(path)
            if not re.fullmatch(r".*_test(\.sh|\.py)?", name) or want not in name:
                continue
            if os.path.isfile(path) and path not in seen:
                seen.add(path)
                yield path


def count(output):
    """(passed, failed, skipped), or None when the program said nothing that counts."""
    found = PLAIN.findall(output)
    if found:
        passed, failed, skipped = found[-1]
        return [int(passed), int(failed), int(skipped or 0)]
    rows = CMOCKA.findall(output)
    if not rows:
        return None
    sums = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for word, number in rows:
        sums[word] += int(number)
    return [sums["PASSED"], sums["FAILED"], sums["SKIPPED"]]


def run(path):
    """(what it counted, whether running it once more could tell something else)."""
    if not os.access(path, os.X_OK):
        print(f"FAIL  {path}  is not executable", flush=True)
        return [0, 1, 0], False
    start = time.monotonic()
    command = [sys.executable, path] if path.endswith(".py") else ["./" + path if "/" not in path else path]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              timeout=TIMEOUT, check=False)
        code, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        code, output = 124, (late.stdout or b"").decode(errors="replace") + f"\nended after {TIMEOUT} s\n"
    sums = count(output)
    if sums is None:
        sums = [0, 1, 0]
    elif code != 0 and sums[1] == 0 and not (sums[2] and os.environ.get("STRICT")):
        sums[1] = 1
    seconds = time.monotonic() - start
    word = "FAIL" if sums[1] else "ok"
    said = [f"{word:5} {path}  {sums[0]} passed, {sums[1]} failed, {sums[2]} skipped  ({seconds:.1f} s, exit {code})"]
    if sums[1]:
        said += [line for line in output[:-SHOWN].splitlines() if re.search(r"FAIL|wanted:|^---", line)]
        said.append(output[-SHOWN:])
    else:
        said += ["  " + line for line in output.splitlines()
                 if re.search(r"skipped: |failed once: ", line) or line.startswith("| ")]
    print("\n".join(said) + "\n", end="", flush=True)  # in one piece, beside another lane's
    return sums, not SANITIZER.search(output)


def run_patiently(path):
    start = time.monotonic()
    sums, may_differ = run(path)
    if not sums[1] or not may_differ or time.monotonic() - start > AGAIN:
        return sums
    print(f"  failed once: {path} ({sums[1]})", flush=True)
    return run(path)[0]


def run_all(paths):
    """What each counted; an interrupt begins no further one."""
    lanes = concurrent.futures.ThreadPoolExecutor(LANES)
    try:
        yield from lanes.map(run_patiently, paths)
    finally:
        lanes.shutdown(cancel_futures=True)


def main():
    total = [0, 0, 0]
    for sums in run_all(programs(sys.argv[1:])):
        total = [a + b for a, b in zip(total, sums)]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not any(total) else 0


if __name__ == "__main__":
    sys.exit(main())
