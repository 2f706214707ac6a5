"""Compute targets: names of places where steps run. An unregistered name means the server."""

from __future__ import annotations

from typing import Any

import penstock
from penstock.sdk.exceptions import ComputeTargetException
from penstock.sdk.notices import notice
from penstock.wire import ComputeTargetDocument

LOCAL = "local"


def registered_names(workspace: penstock.Workspace) -> list[str]:
    """Return the names of the compute targets that the server knows."""
    path = workspace.route("compute-targets")
    return [target.name for target in workspace.client.read_list(ComputeTargetDocument, path)]


def resolved_name(name: str, registered: list[str]) -> str:
    """Return the registered compute target that `name` means: itself, or this server's own."""
    if name in registered or name == LOCAL:
        return name
    notice(f"compute target {name!r} is not registered: its steps run on the server itself.")
    return LOCAL


def name_of(target: Any) -> str | None:
    """Return the name of a compute target given as a name, an object with a name, or None."""
    name = target if isinstance(target, str) or target is None else getattr(target, "name", target)
    if name is None or (isinstance(name, str) and name):
        return name
    raise ComputeTargetException(
        field="compute_target", value=target, expected="the name of a compute target, or the object"
    )


class ComputeStatus:
    """The state of a compute target: always ready."""

    provisioning_state = "Succeeded"
    allocation_state = "Steady"
    errors = None

    def serialize(self) -> dict[str, Any]:
        """Return the state as a dictionary."""
        return {
            "provisioningState": self.provisioning_state,
            "allocationState": self.allocation_state,
            "errors": self.errors,
        }


class ComputeTargetProvisioningConfiguration:
    """What a compute target should have been made of; not used, since steps run on the server."""

    def __init__(self, type: type[ComputeTarget], location: str | None, **wishes: Any) -> None:
        """Keep the wishes as attributes."""
        self.location = location
        self._type = type
        vars(self).update(wishes)

    def validate_configuration(self) -> None:
        """Find nothing wrong."""


class ComputeTarget:
    """A compute target by name. Every name is one: steps sent there run on this server."""

    type = "AmlCompute"
    provisioning_state = "Succeeded"
    provisioning_errors: list[str] | None = None

    def __init__(self, workspace: penstock.Workspace, name: str) -> None:
        """Name a compute target; it is not asked for, since every name means at least this server.

        Raises:
            ComputeTargetException: the name is empty or no text.
        """
        if not isinstance(name, str) or not name:
            raise ComputeTargetException(
                field="name", value=name, expected="a name, which is not empty"
            )
        self.workspace = workspace
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    @staticmethod
    def create(
        workspace: penstock.Workspace,
        name: str,
        provisioning_configuration: ComputeTargetProvisioningConfiguration,
    ) -> ComputeTarget:
        """Return the compute target; nothing is made, since steps run on this server."""
        made = getattr(provisioning_configuration, "_type", ComputeTarget)
        return made(workspace, name)

    @staticmethod
    def attach(
        workspace: penstock.Workspace, name: str, attach_configuration: Any
    ) -> ComputeTarget:
        """Return the compute target; nothing is attached, since steps run on this server."""
        return ComputeTarget(workspace, name)

    @staticmethod
    def list(workspace: penstock.Workspace) -> list[ComputeTarget]:
        """Return the compute targets that the server knows."""
        return [ComputeTarget(workspace, name) for name in registered_names(workspace)]

    def wait_for_completion(
        self, show_output: bool = False, is_delete_operation: bool = False
    ) -> None:
        """Return at once: there is nothing to wait for."""
        if show_output:
            print(f"{self.name}: Succeeded (steps run on the server itself)")

    def refresh_state(self) -> None:
        """Do nothing: the state does not change."""

    def get_status(self) -> Any:
        """Return the state."""
        return self.provisioning_state

    def delete(self) -> None:
        """Do nothing: there is nothing to remove."""

    def detach(self) -> None:
        """Do nothing: there is nothing to remove."""

    def serialize(self) -> dict[str, Any]:
        """Return what is known of the target as a dictionary."""
        state = {"provisioningState": self.provisioning_state, "computeType": self.type}
        return {"name": self.name, "properties": state}


class AmlCompute(ComputeTarget):
    """A cluster by name; its steps run on this server."""

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int = 1800,
        admin_username: str | None = None,
        admin_user_password: str | None = None,
        admin_user_ssh_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: dict[str, str] | None = None,
        description: str | None = None,
        remote_login_port_public_access: str = "NotSpecified",
        identity_type: str | None = None,
        identity_id: Any = None,
        location: str | None = None,
        enable_node_public_ip: bool = True,
    ) -> ComputeTargetProvisioningConfiguration:
        """Return the wishes for a cluster; machine sizes and counts decide nothing here."""
        return ComputeTargetProvisioningConfiguration(
            AmlCompute,
            location,
            vm_size=vm_size,
            vm_priority=vm_priority,
            min_nodes=min_nodes,
            max_nodes=max_nodes,
            tags=tags,
            description=description,
        )

    def wait_for_completion(  # type: ignore[override]  # the old signature
        self,
        show_output: bool = False,
        min_node_count: int | None = None,
        timeout_in_minutes: float = 25,
        is_delete_operation: bool = False,
    ) -> None:
        """Return at once: there is nothing to wait for."""
        super().wait_for_completion(show_output)

    def get_status(self) -> ComputeStatus:
        """Return the state."""
        return ComputeStatus()

    def get(self) -> dict[str, Any]:
        """Return what is known of the target as a dictionary."""
        return self.serialize()

    def update(
        self,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
    ) -> None:
        """Do nothing: there are no nodes."""


class ComputeTargets(dict[str, ComputeTarget]):
    """The registered targets by name; any other name gives a target that means this server."""

    def __init__(self, workspace: penstock.Workspace) -> None:
        """Read the registered targets."""
        super().__init__({target.name: target for target in ComputeTarget.list(workspace)})
        self._workspace = workspace

    def __missing__(self, name: str) -> ComputeTarget:
        return AmlCompute(self._workspace, name)
