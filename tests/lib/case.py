# SPDX-License-Identifier: Apache-2.0
"""Runs the test_* functions of a module: one line each, then "N passed, N failed, N skipped".

A test is named after the behaviour it shows. It fails by an exception, is left out by skip("why") or
needs(...). STRICT=1 turns a skip into a failure, T=word runs only tests whose name contains it or
the file's name, ALL=1 runs what @slow marks at full length.
"""
import inspect
import os
import shutil
import sys
import time
import traceback

STRICT = bool(os.environ.get("STRICT"))
ALL = bool(os.environ.get("ALL"))


class Skip(Exception):
    pass


def skip(why):
    raise Skip(why)


def needs(*files):
    """Skip unless these programs are there: paths, or names on PATH."""
    for name in files:
        if not (os.path.exists(name) if "/" in name else shutil.which(name)):
            skip(f"{name} is not built or installed")


def often(quick, full):
    """How many times: quick in make check, full in make check-all."""
    return full if ALL else quick


def each(items, module_globals):
    """Decorator: the function is the test test_NAME_function for every item, which it gets as its argument."""
    def register(function):
        for item in items:
            def test(item=item):
                function(item)
            module_globals[f"test_{item.name}_{function.__name__}"] = test
        return function
    return register


def run_one(name, function):
    start = time.monotonic()
    try:
        function()
        word, why = "ok", ""
    except Skip as left_out:
        word, why = ("FAIL", f"  skipped under STRICT: {left_out}") if STRICT else ("skipped", str(left_out))
    except Exception:  # pylint: disable=broad-except
        word, why = "FAIL", "\n" + traceback.format_exc()
    seconds = time.monotonic() - start
    if word == "skipped":
        print(f"skipped: {name}: {why}", flush=True)
    else:
        print(f"{word:4} {name}  ({seconds:.1f} s){why}", flush=True)
    return word


def main(module_globals):
    want = os.environ.get("T", "")
    file = os.path.basename(module_globals.get("__file__", ""))
    counts = {"ok": 0, "FAIL": 0, "skipped": 0}
    for name, function in list(module_globals.items()):
        if not name.startswith("test_") or not inspect.isfunction(function):
            continue
        if want in name or want in file:
            counts[run_one(name, function)] += 1
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["FAIL"] else 0)
