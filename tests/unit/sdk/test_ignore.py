"""Ignore files: each case is a file, a path, and whether git would leave the path out."""

from __future__ import annotations

import pytest

from penstock.sdk.ignore import is_ignored, parsed

CASES = [
    # pattern, path, is_folder, ignored
    ("*.pyc", "a.pyc", False, True),
    ("*.pyc", "a/b/c.pyc", False, True),
    ("*.pyc", "a.py", False, False),
    ("data", "data", True, True),
    ("data", "data", False, True),
    ("data", "x/data", True, True),
    ("data/", "data", True, True),
    ("data/", "data", False, False),
    ("/data", "data", True, True),
    ("/data", "x/data", True, False),
    ("a/b", "a/b", False, True),
    ("a/b", "x/a/b", False, False),
    ("a/*", "a/b", False, True),
    ("a/*", "a/b/c", False, False),
    ("a/**", "a/b/c", False, True),
    ("a/**", "a", True, False),
    ("**/b", "b", False, True),
    ("**/b", "x/y/b", False, True),
    ("a/**/b", "a/b", False, True),
    ("a/**/b", "a/x/y/b", False, True),
    ("a**b", "axxb", False, True),
    ("a**b", "a/b", False, False),
    ("?.txt", "a.txt", False, True),
    ("?.txt", "ab.txt", False, False),
    ("a?b", "a/b", False, False),
    ("[ab].txt", "a.txt", False, True),
    ("[!ab].txt", "a.txt", False, False),
    ("[!ab].txt", "c.txt", False, True),
    ("[^ab].txt", "c.txt", False, True),
    ("[a-c].txt", "b.txt", False, True),
    ("a[!x]b", "a/b", False, False),
    ("[]].txt", "].txt", False, True),
    ("[[].txt", "[.txt", False, True),
    ("[", "[", False, True),
    (r"\*.txt", "*.txt", False, True),
    (r"\*.txt", "a.txt", False, False),
    (r"\#x", "#x", False, True),
    (r"\!x", "!x", False, True),
    ("#x", "#x", False, False),
    ("", "a", False, False),
    ("/", "a", True, False),
    ("x ", "x", False, True),
    ("x\\ ", "x ", False, True),
    ("a.b", "axb", False, False),
    ("a+(b)", "a+(b)", False, True),
    ("ünï*", "ünïcode", False, True),
    ("[z-a]", "z", False, False),
]


@pytest.mark.parametrize(("pattern", "path", "is_folder", "ignored"), CASES)
def test_one_pattern(pattern, path, is_folder, ignored):
    assert is_ignored(parsed([pattern]), path, is_folder=is_folder) is ignored


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        (["*.txt", "!keep.txt"], "keep.txt", False),
        (["!keep.txt", "*.txt"], "keep.txt", True),
        (["*", "!*.py"], "a.py", False),
        (["*", "!*.py"], "a.txt", True),
        (["a", "# a comment", "", "!a", "a"], "a", True),
    ],
)
def test_the_last_rule_that_fits_decides(lines, path, ignored):
    assert is_ignored(parsed(lines), path, is_folder=False) is ignored


def test_a_file_in_a_folder_speaks_of_that_folder_only():
    rules = parsed(["*.log", "/top"], "a")
    assert is_ignored(rules, "a/b/x.log", is_folder=False)
    assert not is_ignored(rules, "x.log", is_folder=False)
    assert is_ignored(rules, "a/top", is_folder=False)
    assert not is_ignored(rules, "a/b/top", is_folder=False)
