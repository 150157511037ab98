"""Hosted images as files, a folder for each account: ``hosted`` keeps them, ``files`` writes them."""

from gatepost_core.store.images.hosted import SALT, FileImageStore

__all__ = ["SALT", "FileImageStore"]
