"""UDFs on disk: folders and zip archives, in the form of the official client; and the library of saved UDFs."""

from fused_jupyter.storage.archive import MAX_MEMBERS, Archive, read_archive, write_archive
from fused_jupyter.storage.catalogue import Catalogue
from fused_jupyter.storage.folder import Folder, write_folder
from fused_jupyter.storage.layout import MAX_BYTES, Files, definition_of, definition_of_code, definition_of_file
from fused_jupyter.storage.library import Library
from fused_jupyter.storage.saved import DEFAULT_COLLECTION, Collection, SavedUdf, Token

__all__ = [
    "DEFAULT_COLLECTION",
    "MAX_BYTES",
    "MAX_MEMBERS",
    "Archive",
    "Catalogue",
    "Collection",
    "Files",
    "Folder",
    "Library",
    "SavedUdf",
    "Token",
    "definition_of",
    "definition_of_code",
    "definition_of_file",
    "read_archive",
    "write_archive",
    "write_folder",
]
