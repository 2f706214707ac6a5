"""Workspaces, experiments and datastores: their names, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import wire
from penstock.core.access import Actor
from penstock.errors import Conflict, Invalid, NotAllowed, NotFound
from penstock.service import workspaces
from penstock.store.database import new_id

STEP = Actor(name="step s", run_id="r", step_run_id="s", workspace_id="elsewhere")


def create(site, **fields):
    draft = wire.WorkspaceDraft(**fields)
    with site.store.begin() as tx:
        return workspaces.create(tx, site.admin, draft, home=site.home, now=site.now)


# ---- workspaces ----------------------------------------------------------------------------------


def test_a_workspace_has_a_datastore_of_its_own(site):
    made = create(site, name="lab")
    assert made.default_datastore == "workspaceblobstore"
    assert made.resource_group == "penstock"
    assert len(made.subscription_id) == 36
    site.workspace = made
    (datastore,) = site.call(workspaces.list_datastores)
    folder = site.home / "datastores" / made.id / "workspaceblobstore"
    assert datastore.config == {"path": str(folder)}
    assert list(folder.iterdir()) == []


def test_what_scripts_may_print_is_kept_or_made_up_always_alike(site):
    made = create(site, name="lab", subscription_id="s", resource_group="g")
    assert (made.subscription_id, made.resource_group) == ("s", "g")
    assert create(site, name="a1").subscription_id != create(site, name="a2").subscription_id


@pytest.mark.parametrize(
    "name", ["", "x", "-ab", "_ab", "a b", "a/b", "..", "a\0b", "é1", "ab\n", "x" * 65]
)
def test_a_bad_name_is_refused(site, name):
    with site.refuses(Invalid, "name"):
        create(site, name=name)


@pytest.mark.parametrize("name", ["ab", "A1", "a-b_c", "x" * 64])
def test_a_good_name_is_taken(site, name):
    assert create(site, name=name).name == name


@pytest.mark.parametrize("field", ["subscription_id", "resource_group"])
@pytest.mark.parametrize("text", ["a\0b", "x" * 256])
def test_what_scripts_may_print_is_bounded(site, field, text):
    with site.refuses(Invalid, field):
        create(site, name="lab", **{field: text})


def test_a_name_is_given_once(any_site):
    with any_site.refuses(Conflict, "'home' already"):
        create(any_site, name="home")
    assert len(list((any_site.home / "datastores").iterdir())) == 1


def test_workspaces_are_listed_by_name_and_shown_to_whom_they_concern(site):
    made = create(site, name="a-lab")
    with site.store.read() as tx:
        assert [w.name for w in workspaces.list_all(tx, site.admin)] == ["a-lab", "home"]
        insider = replace(STEP, workspace_id=made.id)
        assert workspaces.list_all(tx, insider) == [made]
        assert workspaces.get(tx, insider, "a-lab") == made
        with pytest.raises(NotAllowed):
            workspaces.get(tx, insider, "home")
        with pytest.raises(NotFound, match="no-such"):
            workspaces.get(tx, site.admin, "no-such")


# ---- experiments ---------------------------------------------------------------------------------


def test_an_experiment_is_created_on_first_use(any_site):
    first = any_site.call(workspaces.ensure_experiment, "training")
    any_site.later(seconds=1)
    assert any_site.call(workspaces.ensure_experiment, "training") == first
    assert any_site.call(workspaces.get_experiment, "training") == first


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a.b", "ä", "a\0", "a\n", "x" * 256])
def test_a_bad_experiment_name_is_refused(site, name):
    with site.refuses(Invalid, "experiment"):
        site.call(workspaces.ensure_experiment, name)


def test_an_experiment_is_tagged_and_archived_and_brought_back(site):
    made = site.call(workspaces.ensure_experiment, "training")
    changes = wire.ExperimentChanges(tags={"a": "b"}, is_archived=True)
    changed = site.call(workspaces.change_experiment, "training", changes)
    assert changed == replace(made, tags={"a": "b"}, archived_at=site.now)
    assert site.call(workspaces.list_experiments) == ([], None)
    assert site.call(workspaces.list_experiments, include_archived=True)[0] == [changed]
    again = site.call(
        workspaces.change_experiment, "training", wire.ExperimentChanges(is_archived=False)
    )
    assert again == replace(changed, archived_at=None)


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"a": "\0"}, r"tags\.a"),
        ({"a": "x" * 1001}, r"tags\.a"),
        ({str(i): "" for i in range(51)}, "51 entries"),
    ],
)
def test_wrong_tags_are_refused(site, tags, match):
    site.call(workspaces.ensure_experiment, "training")
    with site.refuses(Invalid, match):
        site.call(workspaces.change_experiment, "training", wire.ExperimentChanges(tags=tags))


def test_an_unknown_experiment_is_not_found(site):
    with site.refuses(NotFound, "no-such"):
        site.call(workspaces.get_experiment, "no-such")
    with site.refuses(NotFound, "no-such"):
        site.call(workspaces.change_experiment, "no-such", wire.ExperimentChanges())


# ---- datastores ----------------------------------------------------------------------------------


def test_an_unknown_datastore_is_not_found(site):
    assert site.call(workspaces.get_datastore, "workspaceblobstore").kind == "local_directory"
    with site.refuses(NotFound, "no-such"):
        site.call(workspaces.get_datastore, "no-such")
    site.workspace = replace(site.workspace, id=new_id())
    with site.refuses(NotFound):
        site.call(workspaces.get_datastore, "workspaceblobstore")
