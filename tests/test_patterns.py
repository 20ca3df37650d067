"""No regular expression of the package takes for ever, whatever text it is given."""

import signal
import subprocess
import sys

import pytest

# Runs as a process of its own: a pattern that hangs is stopped with it, and is named.
PROGRAM = r"""
import ast, importlib, itertools, pkgutil, re, signal, sys
import rxassist

CALLS = {"match", "search", "fullmatch", "findall", "finditer", "split", "sub", "subn"}
FAMILIAR = [*"aA0_-.:/ \t\n\r\"'[]()", "\u3010", "\u3011", "\u2020", "\u3042", "\u0301", "!"]
REPEATED = 40  # 2 ** 40 steps take days
MANY = 3_000  # their square takes a tenth of a second, their cube a minute
LIMIT = 2.0  # seconds for one text


def patterns(found):
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, (list, tuple, set, frozenset)):
        for each in found:
            yield from patterns(each)
    elif hasattr(found, "fullmatch") and isinstance(getattr(found, "pattern", None), str):
        yield found


def of_module(name):
    module = importlib.import_module(name)
    for value in list(vars(module).values()):
        yield from patterns(value)
        if isinstance(value, type) and value.__module__ == name:
            for attribute in list(vars(value).values()):
                yield from patterns(attribute)
    with open(module.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for call in ast.walk(tree):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "re"
            and call.func.attr in CALLS
        ):
            assert isinstance(call.args[0], ast.Constant), f"{name}:{call.lineno}: name the pattern"
            yield re.compile(call.args[0].value)


def of_package():
    for module in pkgutil.walk_packages(rxassist.__path__, "rxassist."):
        if not module.name.endswith("__main__"):
            yield from of_module(module.name)


def texts(pattern):
    signs = dict.fromkeys([*FAMILIAR, *pattern.pattern[:60]])
    for sign in signs:
        for end in ("", "!", "\n", "a"):
            yield sign * MANY + end
    for pair in itertools.product(signs, repeat=2):
        for end in ("", "!"):
            yield "".join(pair) * (REPEATED // 2) + end


def main():
    given = [re.compile(pattern) for pattern in sys.argv[1:]]
    found = given or list(dict.fromkeys(of_package()))
    for pattern in found:
        print(repr(pattern.pattern), file=sys.stderr, flush=True)
        for text in texts(pattern):
            for try_on in (pattern.fullmatch, pattern.search):
                signal.setitimer(signal.ITIMER_REAL, LIMIT)
                try_on(text)
                signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(found))


main()
"""


def _try(*given):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *given],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_no_pattern_of_the_package_hangs():
    done = _try()
    assert done.returncode == 0, done.stderr.splitlines()[-1:]
    assert int(done.stdout) > 30  # patterns, which were really found


@pytest.mark.parametrize("hangs", [r"(?:[a-z](?:[a-z-]*[a-z])?\.?)+", r"(a|a)*b", r"(\w+\s?)*:"])
def test_a_pattern_that_hangs_is_found(hangs):
    done = _try(hangs)
    assert done.returncode == -signal.SIGALRM
    assert done.stderr.splitlines()[-1] == repr(hangs)
