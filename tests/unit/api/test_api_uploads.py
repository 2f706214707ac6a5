"""Raw bodies: streamed in, kept whole or not at all; streamed out, with their length."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.unit.api.client import ADMIN_TOKEN, Api, W
from tests.unit.api.conftest import BuildApi

from penstock.api.downloads import download

FILES = f"{W}/datastores/workspaceblobstore/files"
BIG = bytes(range(256)) * 20_000  # 5 MB, several chunks


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept_files(api: Api) -> list[Path]:
    """Return all files below the folders that uploads go to, those under hidden names too."""
    home = api.context.settings.home
    return [p for name in ("blobs", "datastores") for p in (home / name).rglob("*") if p.is_file()]


async def in_pieces(content: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def test_a_blob_is_kept_under_its_hash(api: Api) -> None:
    assert api.put(f"{W}/blobs/{sha(BIG)}", BIG).status_code == 204
    assert api.context.blobs.path(sha(BIG)).read_bytes() == BIG


def test_a_blob_may_come_in_pieces_of_any_size(api: Api) -> None:
    for size in (1, 999, 70_000, 2_000_000):
        content = BIG[: min(len(BIG), size * 50)]
        answer = api.put(f"{W}/blobs/{sha(content)}", in_pieces(content, size))
        assert answer.status_code == 204
        assert api.context.blobs.path(sha(content)).read_bytes() == content


def test_an_empty_blob_is_a_blob(api: Api) -> None:
    assert api.put(f"{W}/blobs/{sha(b'')}", b"").status_code == 204
    assert api.context.blobs.path(sha(b"")).read_bytes() == b""


def test_a_blob_that_is_there_may_be_sent_again(api: Api) -> None:
    for _ in range(2):
        assert api.put(f"{W}/blobs/{sha(BIG)}", BIG).status_code == 204
    assert len(kept_files(api)) == 1


def test_a_blob_with_another_hash_is_refused_and_not_kept(api: Api) -> None:
    answer = api.put(f"{W}/blobs/{sha(b'other')}", BIG)
    assert (answer.status_code, answer.json()["field"]) == (400, "sha256")
    assert kept_files(api) == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_blob_over_the_limit_is_refused_and_not_kept(
    build_api: BuildApi, announced: bool
) -> None:
    api = build_api(blob_bytes_max=len(BIG) - 1)
    answer = api.put(f"{W}/blobs/{sha(BIG)}", BIG if announced else in_pieces(BIG))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert kept_files(api) == []


def test_a_blob_of_exactly_the_limit_is_kept(build_api: BuildApi) -> None:
    api = build_api(blob_bytes_max=len(BIG))
    assert api.put(f"{W}/blobs/{sha(BIG)}", BIG).status_code == 204


def test_an_endless_announcement_is_refused(api: Api) -> None:
    headers = {"Content-Length": "9" * 400}
    assert api.put(f"{W}/blobs/{sha(b'x')}", b"x", headers=headers).status_code == 413


@pytest.mark.parametrize("path", [f"{W}/blobs/{sha(BIG)}", f"{FILES}/a/b.bin"])
def test_a_client_that_goes_away_leaves_nothing(api: Api, path: str) -> None:
    received = [
        {"type": "http.request", "body": BIG[:100_000], "more_body": True},
        {"type": "http.request", "body": BIG[:2_000_000], "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "PUT",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"authorization", f"Bearer {ADMIN_TOKEN}".encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        with anyio.fail_after(10):
            await api.app(scope, receive, send)

    api.portal.call(call)
    assert sent == []
    assert kept_files(api) == []


def test_missing_blobs_are_those_not_uploaded(api: Api) -> None:
    api.put(f"{W}/blobs/{sha(BIG)}", BIG)
    asked = [sha(BIG), sha(b"1"), sha(b"2"), sha(b"1")]
    answer = api.post(f"{W}/blobs/missing", {"sha256": asked})
    assert answer.json() == {"sha256": [sha(b"1"), sha(b"2")]}


@pytest.mark.parametrize("text", ["", "abc", "../../etc/passwd", sha(b"").upper(), sha(b"") + "0"])
def test_only_hashes_are_taken_for_hashes(api: Api, text: str) -> None:
    file = {"path": "a.py", "sha256": text, "size": 1}
    for path, body in (("blobs/missing", {"sha256": [text]}), ("snapshots", {"files": [file]})):
        answer = api.post(f"{W}/{path}", body)
        assert (answer.status_code, answer.json()["field"]) == (400, "sha256")


def test_a_snapshot_needs_its_contents(api: Api) -> None:
    file = {"path": "a.py", "sha256": sha(b"x"), "size": 1}
    answer = api.post(f"{W}/snapshots", {"files": [file]})
    assert answer.status_code == 400
    assert "'a.py'" in answer.json()["detail"]
    api.put(f"{W}/blobs/{sha(b'x')}", b"x")
    first, second = (api.made(f"{W}/snapshots", {"files": [file]}) for _ in range(2))
    assert first == second


# ---- datastores ----------------------------------------------------------------------------------


def test_what_was_put_is_got_and_listed(api: Api) -> None:
    answer = api.put(f"{FILES}/folder/b%20c.bin", BIG)
    assert answer.status_code == 201
    entry = answer.json()
    assert (entry["path"], entry["size"]) == ("folder/b c.bin", len(BIG))
    assert api.shown(f"{W}/datastores/workspaceblobstore/files")["items"] == [entry]
    got = api.get(f"{FILES}/folder/b%20c.bin")
    assert got.content == BIG
    assert got.headers["content-length"] == str(len(BIG))
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''b%20c.bin"


@pytest.mark.parametrize(
    ("offset", "expected"), [(0, b"0123456789"), (4, b"456789"), (10, b""), (99, b"")]
)
def test_a_download_may_start_later(api: Api, offset: int, expected: bytes) -> None:
    api.put(f"{FILES}/digits", b"0123456789")
    got = api.get(f"{FILES}/digits?offset={offset}")
    assert got.content == expected
    assert got.headers["content-length"] == str(len(expected))


def test_an_object_is_replaced_only_on_demand(api: Api) -> None:
    assert api.put(f"{FILES}/x", b"old").status_code == 201
    answer = api.put(f"{FILES}/x", b"new")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert api.get(f"{FILES}/x").content == b"old"
    assert api.put(f"{FILES}/x?overwrite=true", b"new").status_code == 201
    assert api.get(f"{FILES}/x").content == b"new"


def test_objects_are_listed_page_by_page_in_the_order_of_paths(api: Api) -> None:
    names = ["a", "b/1", "b/2", "b-", "c"]
    for name in names:
        api.put(f"{FILES}/{name}", b"x")
    seen, after = [], ""
    while after is not None:
        page = api.shown(f"{FILES}?limit=2{f'&after={after}' if after else ''}")
        assert len(page["items"]) <= 2
        seen += [entry["path"] for entry in page["items"]]
        after = page["next"]
    assert seen == sorted(names)
    below = api.shown(f"{FILES}?prefix=b")
    assert [entry["path"] for entry in below["items"]] == ["b/1", "b/2"]
    flat = api.shown(f"{FILES}?recursive=false")
    assert [entry["path"] for entry in flat["items"]] == ["a", "b-", "c"]


@pytest.mark.parametrize(
    "path", ["..%2f..%2fsecret", "a/..%2f..%2f..%2fb", "%2fetc%2fpasswd", "a%5cb"]
)
def test_a_path_that_leaves_the_datastore_is_refused(api: Api, path: str) -> None:
    assert api.get(f"{FILES}/{path}").status_code == 400
    assert api.put(f"{FILES}/{path}", b"x").status_code == 400
    assert kept_files(api) == []


def test_an_absent_object_is_not_found(api: Api) -> None:
    answer = api.get(f"{FILES}/nothing.csv")
    assert (answer.status_code, answer.json()["id"]) == (404, "nothing.csv")
    assert api.get(f"{W}/datastores/elsewhere/files/x").status_code == 404


# ---- downloads -----------------------------------------------------------------------------------


async def _bytes_of(answer: Any) -> bytes:
    return b"".join([chunk async for chunk in answer.body_iterator])


def test_a_file_that_grows_is_sent_up_to_the_size_it_had(api: Api) -> None:
    answer = download(io.BytesIO(b"0123456789"), name="f", size=4, offset=1)
    assert api.portal.call(_bytes_of, answer) == b"123"
    assert answer.headers["content-length"] == "3"


def test_a_name_with_odd_characters_cannot_leave_its_header() -> None:
    answer = download(io.BytesIO(b""), name='a/"ü\r\nX-Evil: 1', size=0, offset=0)
    said = answer.headers["content-disposition"]
    assert said == "attachment; filename*=UTF-8''%22%C3%BC%0D%0AX-Evil%3A%201"
