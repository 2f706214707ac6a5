"""The file that says which workspace a script works in."""

from __future__ import annotations

import json
from pathlib import Path

from penstock.sdk.exceptions import UserErrorException

CONFIG_FILES = (
    ".azureml/config.json",
    "aml_config/config.json",
    "config.json",
    ".azureml/project.json",
    "aml_config/project.json",
)
"""Where `from_config` looks, in this order, in a folder and then in those above it."""

_RESOURCE_ID = ("subscriptions", "resourceGroups", "workspaces")


def config_file(path: Path) -> Path:
    """Return the configuration file that `path` is or leads to."""
    if path.is_file():
        return path
    start = path.absolute()
    for folder in (start, *start.parents) if start.is_dir() else ():
        for name in CONFIG_FILES:
            if (folder / name).is_file():
                return folder / name
    raise UserErrorException(
        f"No workspace configuration was found in {start} or a folder above it (looked for "
        f"{', '.join(CONFIG_FILES[:3])}). Write a config.json with the line "
        '{"workspace_name": "default"}, or use Workspace.get("default").',
        field="path",
        value=str(path),
    )


def read_config(file: Path) -> dict[str, str]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserErrorException(
            f"The workspace configuration {file} cannot be read: {error}.", field="path"
        ) from error
    if not isinstance(config, dict):
        config = {}
    scope = config.get("Scope")  # what project.json has instead of the three keys
    if "workspace_name" not in config and isinstance(scope, str):
        subscription_id, resource_group, name = parts_of_id(scope)
        config = {
            "subscription_id": subscription_id,
            "resource_group": resource_group,
            "workspace_name": name,
        }
    if not isinstance(config.get("workspace_name"), str):
        raise UserErrorException(
            f"The workspace configuration {file} names no workspace. It needs the key "
            '"workspace_name".',
            field="workspace_name",
        )
    return config


def parts_of_id(id: str) -> tuple[str, str, str]:
    """Return subscription, resource group and name in an id of the old service."""
    parts = id.strip("/").split("/")
    found = [parts[parts.index(key) + 1] for key in _RESOURCE_ID if key in parts[:-1]]
    if len(found) != len(_RESOURCE_ID):
        raise UserErrorException(
            field="id",
            value=id,
            expected="/subscriptions/<id>/resourceGroups/<group>/providers/…/workspaces/<name>",
        )
    subscription_id, resource_group, name = found
    return subscription_id, resource_group, name
