"""Copies and pickles of objects that belong to an open connection."""

from __future__ import annotations

from typing import Any, NoReturn


class OpenHandle:
    """An object whose copies share its connection, and which cannot be pickled."""

    def _why_no_pickle(self) -> str:
        """Return the text of the error that pickling raises. It says what to do instead."""
        raise NotImplementedError

    def __copy__(self) -> Any:
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __deepcopy__(self, memo: object) -> Any:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(self._why_no_pickle())
