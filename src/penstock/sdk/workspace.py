"""Workspaces: the boundary of names, data and permissions, and the way to everything in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from penstock.errors import Conflict, NotFound
from penstock.sdk.client import Client, connect, route
from penstock.sdk.compute import LOCAL, ComputeTarget, ComputeTargets
from penstock.sdk.datastore import Datastore
from penstock.sdk.exceptions import UserErrorException
from penstock.sdk.experiment import Experiment
from penstock.sdk.notices import notice
from penstock.sdk.run import Run
from penstock.sdk.workspace_config import config_file, parts_of_id, read_config
from penstock.wire import WorkspaceDocument, WorkspaceDraft


class Workspace:
    """A workspace of a server, by name.

    Which server: the one that `url` and `token` name, else PENSTOCK_URL and PENSTOCK_TOKEN, else
    the one that this user has started here. A name that the server does not know yet becomes a new
    workspace, with a notice: on one's own server a workspace is only a boundary of names.
    """

    def __init__(
        self,
        subscription_id: str | None,
        resource_group: str | None,
        workspace_name: str,
        auth: Any = None,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        client: Client | None = None,
    ) -> None:
        """Find a workspace, or make it.

        Args:
            subscription_id: kept for scripts that print or store it; decides nothing.
            resource_group: the same.
            workspace_name: the name.
            auth: taken, not used: the token that is found here counts.
            sku: taken, not used.
            tags: taken, not used.
            url: the server's address.
            token: what the server knows the caller by.
            client: a connection to use instead of a new one.

        Raises:
            ServerUnreachable: no server answers.
            NotAuthenticated: there is no token, or the server does not know it.
        """
        self._set(client or connect(os.environ, url=url, token=token), workspace_name)
        self._document = self._found_or_made(subscription_id, resource_group)
        self._subscription_id = subscription_id
        self._resource_group = resource_group

    def _set(self, client: Client, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise UserErrorException(
                field="workspace_name", value=name, expected="the name of a workspace"
            )
        self.client = client
        self._name = name

    def _found_or_made(
        self, subscription_id: str | None, resource_group: str | None
    ) -> WorkspaceDocument:
        try:
            return self.client.read(WorkspaceDocument, self.route())
        except NotFound:
            draft = _draft(self._name, subscription_id, resource_group)
        try:
            made = self.client.send(WorkspaceDocument, "POST", route("workspaces"), draft)
        except Conflict:  # somebody else was faster
            return self.client.read(WorkspaceDocument, self.route())
        notice(f"made the workspace {self._name!r} on {self.client.url}.")
        return made

    @classmethod
    def _in_step(cls, environ: Mapping[str, str], name: str) -> Workspace:
        """Return the workspace of the run whose step this process is; nothing is asked."""
        workspace = cls.__new__(cls)
        url = environ.get("PENSTOCK_URL") or environ.get("AZUREML_SERVICE_ENDPOINT")
        token = environ.get("PENSTOCK_TOKEN") or environ.get("AZUREML_RUN_TOKEN")
        workspace._set(connect(environ, url=url, token=token), name)
        workspace._subscription_id = environ.get("AZUREML_ARM_SUBSCRIPTION")
        workspace._resource_group = environ.get("AZUREML_ARM_RESOURCEGROUP")
        return workspace

    @cached_property
    def _document(self) -> WorkspaceDocument:
        return self.client.read(WorkspaceDocument, self.route())

    def route(self, *parts: str) -> str:
        """Return the API path of something in the workspace."""
        return route("workspaces", self._name, *parts)

    def __repr__(self) -> str:
        return (
            f"Workspace.create(name={self.name!r}, subscription_id={self.subscription_id!r}, "
            f"resource_group={self.resource_group!r})"
        )

    # ---- finding ---------------------------------------------------------------------------------

    @staticmethod
    def from_config(
        path: str | os.PathLike[str] | None = None,
        auth: Any = None,
        *,
        url: str | None = None,
        token: str | None = None,
        client: Client | None = None,
    ) -> Workspace:
        """Return the workspace that a configuration file names.

        Args:
            path: the file, or the folder where the search begins; the current one when None. In
                each folder, and then in the one above it, CONFIG_FILES are looked for.
            auth: taken, not used.
            url: the server's address.
            token: what the server knows the caller by.
            client: a connection to use instead of a new one.

        Raises:
            UserErrorException: there is no such file, or it names no workspace.
        """
        config = read_config(config_file(Path(path) if path is not None else Path()))
        return Workspace(
            config.get("subscription_id"),
            config.get("resource_group"),
            config["workspace_name"],
            auth,
            url=url,
            token=token,
            client=client,
        )

    @staticmethod
    def get(
        name: str,
        auth: Any = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "AzureCloud",
        id: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        client: Client | None = None,
    ) -> Workspace:
        """Return a workspace by its name.

        Args:
            name: the name; None when `id` is given.
            auth: taken, not used.
            subscription_id: kept for scripts that print or store it; decides nothing.
            resource_group: the same.
            location: taken, not used.
            cloud: taken, not used.
            id: an id of the shape /subscriptions/…/resourceGroups/…/workspaces/….
            url: the server's address.
            token: what the server knows the caller by.
            client: a connection to use instead of a new one.
        """
        if id is not None:
            subscription_id, resource_group, name = parts_of_id(id)
        return Workspace(
            subscription_id, resource_group, name, auth, url=url, token=token, client=client
        )

    @staticmethod
    def create(
        name: str,
        auth: Any = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        create_resource_group: bool = True,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        friendly_name: str | None = None,
        storage_account: Any = None,
        key_vault: Any = None,
        app_insights: Any = None,
        container_registry: Any = None,
        adb_workspace: Any = None,
        primary_user_assigned_identity: Any = None,
        cmk_keyvault: Any = None,
        resource_cmk_uri: Any = None,
        hbi_workspace: bool = False,
        default_cpu_compute_target: Any = None,
        default_gpu_compute_target: Any = None,
        private_endpoint_config: Any = None,
        private_endpoint_auto_approval: bool = True,
        exist_ok: bool = False,
        show_output: bool = True,
        user_assigned_identity_for_cmk_encryption: Any = None,
        system_datastores_auth_mode: str = "accessKey",
        v1_legacy_mode: bool | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        client: Client | None = None,
    ) -> Workspace:
        """Make a workspace. Of the old arguments the name, subscription and group are used.

        Raises:
            Conflict: there is one of that name, and `exist_ok` is False.
        """
        client = client or connect(os.environ, url=url, token=token)
        draft = _draft(name, subscription_id, resource_group)
        try:
            client.send(WorkspaceDocument, "POST", route("workspaces"), draft)
        except Conflict:
            if not exist_ok:
                raise
        if show_output:
            print(f"Workspace {name} is ready on {client.url}.")
        return Workspace(subscription_id, resource_group, name, client=client)

    @staticmethod
    def list(
        subscription_id: str | None = None,
        auth: Any = None,
        resource_group: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
    ) -> dict[str, list[Workspace]]:
        """Return the workspaces by name, each alone in a list, as the old SDK had it."""
        client = connect(os.environ, url=url, token=token)
        documents = client.read_list(WorkspaceDocument, route("workspaces"))
        return {
            document.name: [Workspace(None, None, document.name, client=client)]
            for document in documents
        }

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def id(self) -> str:
        """The server's id of it."""
        return self._document.id

    @property
    def subscription_id(self) -> str:
        """The subscription as it was given, else as the server keeps it."""
        return self._subscription_id or self._document.subscription_id

    @property
    def resource_group(self) -> str:
        """The resource group as it was given, else as the server keeps it."""
        return self._resource_group or self._document.resource_group

    @property
    def location(self) -> str:
        """Always `local`."""
        return LOCAL

    @property
    def sku(self) -> str:
        """Always `basic`."""
        return "basic"

    @property
    def tags(self) -> dict[str, str]:
        """Always empty."""
        return {}

    @property
    def discovery_url(self) -> str:
        """The server's address."""
        return self.client.url

    def get_details(self) -> dict[str, Any]:
        """Return what is known of the workspace, in the shape of the old service."""
        prefix = f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
        return {
            "id": f"{prefix}/providers/Microsoft.MachineLearningServices/workspaces/{self.name}",
            "name": self.name,
            "location": self.location,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "tags": {},
            "workspaceid": self.id,
            "friendlyName": self.name,
            "creationTime": self._document.created_at.isoformat(),
            "discoveryUrl": self.client.url,
            "sku": self.sku,
        }

    def write_config(self, path: str | None = None, file_name: str | None = None) -> None:
        """Write the file that `from_config` finds: .azureml/config.json below a folder, here."""
        folder = Path(path or ".", ".azureml")
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "subscription_id": self.subscription_id,
            "resource_group": self.resource_group,
            "workspace_name": self.name,
        }
        (folder / (file_name or "config.json")).write_text(json.dumps(config, indent=4) + "\n")

    # ---- what is in it ---------------------------------------------------------------------------

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        """The experiments by name."""
        return {experiment.name: experiment for experiment in Experiment.list(self)}

    @property
    def datastores(self) -> Mapping[str, Datastore]:
        """The datastores by name."""
        return {datastore.name: datastore for datastore in Datastore.list(self)}

    @property
    def compute_targets(self) -> Mapping[str, ComputeTarget]:
        """The registered compute targets by name; any other name means the server itself."""
        return ComputeTargets(self)

    def get_default_datastore(self) -> Datastore:
        """Return the default datastore."""
        return Datastore.get_default(self)

    def get_default_compute_target(self, type: str = "CPU") -> ComputeTarget:
        """Return the server itself."""
        return ComputeTarget(self, LOCAL)

    def get_run(self, run_id: str) -> Run:
        """Return a pipeline run or a step run by its id; raise NotFound if there is none."""
        return Run.get(self, run_id)


def _draft(name: str, subscription_id: str | None, resource_group: str | None) -> WorkspaceDraft:
    return WorkspaceDraft.made(
        name=name, subscription_id=subscription_id, resource_group=resource_group
    )
