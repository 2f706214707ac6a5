"""The application in this process, over a real database in a temporary folder; no socket."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from anyio.from_thread import BlockingPortal
from tests.unit.api.client import ADMIN_TOKEN, NOW, Api, FixedClock, server_document

from penstock import wire
from penstock.api.app import build_app
from penstock.api.context import Context
from penstock.core.access import ADMIN
from penstock.datastores.blobs import Blobs
from penstock.datastores.opening import open_datastore
from penstock.service import workspaces
from penstock.service.tokens import RunTokens
from penstock.settings import Settings
from penstock.store.database import Store

BuildApi = Callable[..., Api]


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with anyio.from_thread.start_blocking_portal() as started:
        yield started


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with today's schema, to be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "penstock.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.dispose()
    return path


@pytest.fixture
def context(tmp_path: Path, template: Path) -> Iterator[Context]:
    settings = Settings.load({"HOME": str(tmp_path)}, home=tmp_path / "home")
    settings.home.mkdir()
    shutil.copyfile(template, settings.home / "penstock.db")
    store = Store(settings.database_url)
    with store.begin() as tx:
        draft = wire.WorkspaceDraft(name="default")
        workspaces.create(tx, ADMIN, draft, home=settings.home, now=NOW)
    yield Context(
        store=store,
        clock=FixedClock(NOW),
        settings=settings,
        blobs=Blobs(settings.home / "blobs"),
        tokens=RunTokens(b"s" * 32),
        admin_token=ADMIN_TOKEN,
        version="1.2.3",
        base_url=lambda: "http://test",
        open_datastore=open_datastore,
        wake=lambda: None,
        server_status=server_document,
    )
    store.dispose()


@pytest.fixture
def build_api(context: Context, portal: BlockingPortal) -> BuildApi:
    """Build an application in which some parts are others."""

    def build(**parts: Any) -> Api:
        clock = FixedClock(NOW)
        wakes: list[str] = []
        parts = {"clock": clock, "wake": lambda: wakes.append("wake")} | parts
        chosen = replace(context, **parts)
        return Api(build_app(chosen), chosen, portal, clock, wakes)

    return build


@pytest.fixture
def api(build_api: BuildApi) -> Api:
    return build_api()
