"""UDFs in repositories of GitHub: by local mirrors where there are some, else over HTTPS, and kept."""

from fused_jupyter.storage.repositories.address import RepositoryAddress, is_repository, repository_address
from fused_jupyter.storage.repositories.kept import Kept
from fused_jupyter.storage.repositories.mirrors import Mirror, mirrors_of
from fused_jupyter.storage.repositories.opening import Repositories
from fused_jupyter.storage.repositories.snapshot import RepositoryFolder, Snapshot

__all__ = [
    "Kept",
    "Mirror",
    "Repositories",
    "RepositoryAddress",
    "RepositoryFolder",
    "Snapshot",
    "is_repository",
    "mirrors_of",
    "repository_address",
]
