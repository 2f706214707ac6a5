"""Lists come in pages: `limit` items, and `next` to ask for those `after`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many items.")]
After = Annotated[
    str | None,
    Query(max_length=4000, description="The `next` of the page before; the first page without."),
]
