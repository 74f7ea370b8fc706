"""UDFs on disk: folders and zip archives, in the form of the official client; and the library of saved UDFs."""

from fused_jupyter.storage.archive import MAX_MEMBERS, Archive, read_archive, write_archive
from fused_jupyter.storage.catalogue import Catalogue
from fused_jupyter.storage.folder import Folder, write_folder
from fused_jupyter.storage.layout import MAX_BYTES, Files, definition_of, definition_of_code, definition_of_file
from fused_jupyter.storage.library import Library
from fused_jupyter.storage.repositories import Repositories, RepositoryFolder, Snapshot
from fused_jupyter.storage.saved import DEFAULT_COLLECTION, Collection, SavedUdf, Token
from fused_jupyter.storage.shelves import COLLECTION_FILE, Found, Shelf, has_siblings, shelf

__all__ = [
    "COLLECTION_FILE",
    "DEFAULT_COLLECTION",
    "MAX_BYTES",
    "MAX_MEMBERS",
    "Archive",
    "Catalogue",
    "Collection",
    "Files",
    "Folder",
    "Found",
    "Library",
    "Repositories",
    "RepositoryFolder",
    "SavedUdf",
    "Shelf",
    "Snapshot",
    "Token",
    "definition_of",
    "definition_of_code",
    "definition_of_file",
    "has_siblings",
    "read_archive",
    "shelf",
    "write_archive",
    "write_folder",
]
