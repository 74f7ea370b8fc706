"""UDFs on disk: folders and zip archives, in the form of the official client."""

from fused_jupyter.storage.archive import MAX_MEMBERS, Archive, read_archive, write_archive
from fused_jupyter.storage.folder import Folder, write_folder
from fused_jupyter.storage.layout import MAX_BYTES, Files, definition_of, definition_of_code, definition_of_file

__all__ = [
    "MAX_BYTES",
    "MAX_MEMBERS",
    "Archive",
    "Files",
    "Folder",
    "definition_of",
    "definition_of_code",
    "definition_of_file",
    "read_archive",
    "write_archive",
    "write_folder",
]
