"""Named snapshots of a collection: made, listed, restored, dropped."""

from __future__ import annotations

from collections.abc import Sequence

from ..internal.error_context import during
from ..storage.interface.values import CollectionSnapshot
from ..validation.names import check_name, check_str
from .collection_neighbours import AsyncNeighbours


class AsyncSnapshots(AsyncNeighbours):
    """The methods of a collection that keep versions of it."""

    async def snapshot(self, name: str) -> CollectionSnapshot:
        """Keep the records as they are now, under a name.

            collection.snapshot("before-cleaning")
            collection.delete(where={"n_words": {"$lt": 3}})
            collection.restore("before-cleaning")

        name  3-512 characters of [a-zA-Z0-9._-]
        This takes little time, because a snapshot shares the files of the collection. Deleting or changing
        records frees their space only once no snapshot has them.
        Raises UniqueConstraintError if the collection has a snapshot of this name.
        """
        with during("snapshot"):
            checked = check_name(name)
        return await self._backend.create_snapshot(self._ref, checked)

    async def snapshots(self) -> Sequence[CollectionSnapshot]:
        """The snapshots, the oldest first, with their names, times and numbers of records.

        [each.name for each in collection.snapshots()]
        """
        return await self._backend.list_snapshots(self._ref)

    async def restore(self, name: str) -> None:
        """Make the records those of a snapshot again.

            collection.restore("before-cleaning")

        Everything that was written since is undone by one atomic commit; make another snapshot first to keep
        it. The name, the metadata and the configuration of the collection stay as they are. Records that did
        not change since keep their place in the index. Raises NotFoundError for an unknown name.
        """
        with during("restore"):
            checked = check_str(name, "name")
        await self._backend.restore_snapshot(self._ref, checked)

    async def drop_snapshot(self, name: str) -> None:
        """Delete a snapshot, and free the space that nothing else needs. Raises NotFoundError.

            collection.drop_snapshot("before-cleaning")

        name  that of the snapshot
        """
        with during("drop_snapshot"):
            checked = check_str(name, "name")
        await self._backend.delete_snapshot(self._ref, checked)
