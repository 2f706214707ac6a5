"""The pages hang together, and name nothing that exists on one machine only."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.docs.pages import DOCS, ROOT, all_pages, anchors, links

# Hosts that a page may name: this machine, and the conventions that the changelog follows.
HOSTS = {"127.0.0.1", "localhost", "keepachangelog.com", "semver.org"}
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(work|home|root|Users|mnt|private|opt)(/|\b)")
# Two parts, so that this file does not name them either.
INDEX_HOST = re.compile(r"\b(pypi|pythonhosted|npmjs|anaconda|golang)" + r"\.(org|com)\b")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", all_pages(), ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        if urlsplit(target).scheme:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{page}: {target}"


@pytest.mark.parametrize("page", all_pages(), ids=_name)
def test_a_page_names_no_other_host_and_no_place_on_somebodys_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^\s)\"'`>|]+", text)}
    assert hosts <= HOSTS
    assert not MACHINE_PATH.search(text)
    assert not INDEX_HOST.search(text)


def test_every_page_is_reached_from_the_map() -> None:
    reached, left = set(), [DOCS / "index.md"]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [target.partition("#")[0] for target in links(page)]
        left += [(page.parent / t).resolve() for t in targets if t.endswith(".md")]
    assert {page for page in all_pages() if page.is_relative_to(DOCS)} <= reached
