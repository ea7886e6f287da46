"""The folders of these tests are in memory."""

from ..support.scratch import tmp_path

__all__ = ["tmp_path"]
