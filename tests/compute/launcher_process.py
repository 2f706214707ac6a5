"""Stands for a server: launches one attempt when told to, and then waits to be killed."""

import sys
from pathlib import Path

from penstock.compute.local import LocalTarget
from penstock.compute.target import StepLaunch
from penstock.core.model import SnapshotFile
from penstock.datastores.blobs import Blobs

blobs, launch_id, folder, path, sha256, size = sys.argv[1:]
target = LocalTarget(sys.executable, Blobs(Path(blobs)), 1.0)
launch = StepLaunch(
    id=launch_id,
    folder=Path(folder),
    script=path,
    arguments=(),
    files=(SnapshotFile(path=path, sha256=sha256, size=int(size)),),
    environment={},
)
print("ready", flush=True)
sys.stdin.readline()
target.launch(launch, lambda _: None)
print("launched", flush=True)
sys.stdin.readline()
