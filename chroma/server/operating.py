"""Handlers of routes for the person who operates the server: a backup."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..errors import AuthorizationError, InvalidArgumentError
from ..maintenance import backup_series
from ..wire.json_codec import JSON, ShapeError
from ..wire.json_fields import count, flag
from .parsing.schemas import BACKUP_NAME

if TYPE_CHECKING:
    from .routes import Call

_MOST_KEPT = 2**31 - 1


def own_backup(call: Call) -> JSON:
    """Back up the whole folder into a folder below --backup-dir. With keep, prune older backups there."""
    name, keep, verify = backup_request(call.body)
    parent = call.settings.backup_dir
    if not parent:
        raise AuthorizationError("Backups are disabled: start the server with --backup-dir to permit them")
    os.makedirs(parent, mode=0o700, exist_ok=True)
    name = name or backup_series.new_name()
    target = os.path.join(os.path.abspath(parent), name)
    if os.path.islink(target):
        raise InvalidArgumentError(f"{name} is a link in the folder of backups: choose another name")
    with backup_series.alone(parent):
        report = call.backend.backup(target, False, verify, None)
        pruned = [] if keep is None else backup_series.prune(parent, keep)
    return {
        "name": name,
        "files": report.files,
        "copied": report.copied,
        "reused": report.reused,
        "pruned": pruned,
        "seconds": report.seconds,
    }


def backup_request(body: JSON) -> tuple[str | None, int | None, bool]:
    """The name, keep and verify in {"name"?, "keep"?, "verify"?}."""
    name, keep = body.get("name"), count(body, "keep", _MOST_KEPT)
    if name is not None and not isinstance(name, str):
        raise ShapeError(f"Expected name to be a string, got {type(name).__name__}")
    if name is not None and not re.fullmatch(BACKUP_NAME, name):
        raise InvalidArgumentError(
            f"the name of the backup is {name!r:.120}: expected up to 100 letters, digits, - and _, as it "
            "names a folder below --backup-dir"
        )
    if keep == 0:
        raise InvalidArgumentError("keep is 0: expected at least 1 backup to keep")
    return name, keep, bool(flag(body, "verify"))
