from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_repository import CODE, GitHub, SmallRepository, meta

from fused_jupyter.errors import ArgumentError, DownloadError, UdfDefinitionError, UdfNotFoundError
from fused_jupyter.settings import Options
from fused_jupyter.storage import Repositories, RepositoryFolder, definition_of
from fused_jupyter.storage.repositories import repository_address

URL = "https://github.com/me/udfs"


def files(base: int) -> dict[str, str]:
    return {
        "public/add/add.py": CODE.format(base=base),
        "public/add/meta.json": meta("add", headers={"utils": "utils.py"}),
        "public/add/utils.py": f"WHO = {base}",
        "public/bare/one.py": CODE.format(base=base),
    }


@pytest.fixture
def repository(tmp_path: Path) -> SmallRepository:
    """Two commits on `main`, one on `new/look`, a tag with a text and one without."""
    made = SmallRepository(tmp_path / "me" / "udfs")
    made.commit(files(1))
    made.git("tag", "v1")
    made.git("tag", "-a", "v1.1", "-m", "text")
    made.commit(files(2))
    made.git("checkout", "-q", "-b", "new/look")
    made.commit(files(3))
    made.git("checkout", "-q", "main")
    return made


@pytest.fixture
def github(repository: SmallRepository) -> Iterator[GitHub]:
    server = GitHub({"me/udfs": repository})
    yield server
    server.close()


@pytest.fixture(params=["checkout", "bare", "server"])
def repositories(request: pytest.FixtureRequest, repository: SmallRepository, tmp_path: Path) -> Repositories:
    """The same laws, wherever it comes from."""
    if request.param == "server":
        server: GitHub = request.getfixturevalue("github")
        return Repositories(Options(github_url=server.url, data_directory=str(tmp_path / "data")))
    place = repository.path
    if request.param == "bare":
        place = tmp_path / "bare.git"
        repository.git("clone", "-q", "--mirror", str(repository.path), str(place))
    return Repositories(
        Options(git_mirrors=(f"me/udfs={place}",), github_url="", data_directory=str(tmp_path / "data"))
    )


def base_of(repositories: Repositories, url: str) -> tuple[int, bool]:
    """What the UDF at an address says, and whether that is for ever."""
    snapshot, path = repositories.open(url)
    definition = definition_of(RepositoryFolder(snapshot, path))
    assert [header.module_name for header in definition.headers] == ["utils"]
    return int(definition.source[7]), not snapshot.told_by


def test_ref_is_a_commit_a_branch_or_a_tag(repositories: Repositories, repository: SmallRepository) -> None:
    """By a whole hash and its begin, with slashes in its name, with a slash at the end or none; only a commit stays."""
    whole = repository.git("rev-parse", "v1")
    folder = "public/add"

    assert base_of(repositories, f"{URL}/tree/{whole}/{folder}") == (1, True)
    assert base_of(repositories, f"{URL}/tree/{whole[:7]}/{folder}/") == (1, True)
    assert base_of(repositories, f"{URL}/blob/{whole[:10]}/{folder}") == (1, True)
    assert base_of(repositories, f"{URL}/tree/main/{folder}/") == (2, False)
    assert base_of(repositories, f"{URL}/tree/HEAD/{folder}") == (2, False)
    assert base_of(repositories, f"{URL}/tree/new/look/{folder}") == (3, False)
    assert base_of(repositories, f"{URL}/tree/v1/{folder}") == (1, False)
    assert base_of(repositories, f"{URL}/tree/v1.1/{folder}") == (1, False)


def test_branch_that_looks_like_a_hash_is_a_branch(repositories: Repositories, repository: SmallRepository) -> None:
    """As on GitHub."""
    commit = repository.git("rev-parse", "v1")[:7]
    repository.git("branch", commit, "main")
    if (bare := repository.path.parents[1] / "bare.git").exists():
        repository.git("push", "-q", str(bare), commit)

    assert base_of(repositories, f"{URL}/tree/{commit}/public/add") == (2, False)


def test_folder_without_meta_is_its_only_python_file(repositories: Repositories) -> None:
    """Its files are listed then."""
    snapshot, path = repositories.open(f"{URL}/tree/main/public/bare")

    assert definition_of(RepositoryFolder(snapshot, path)).name == "one"


def test_what_is_not_there_says_so(repositories: Repositories) -> None:
    """A folder, a ref, a repository; a folder of UDFs names them."""
    snapshot, path = repositories.open(f"{URL}/tree/main/public/nothing")
    with pytest.raises(UdfNotFoundError, match=r"tree/\w+/public/nothing: there is no such folder"):
        definition_of(RepositoryFolder(snapshot, path))
    snapshot, path = repositories.open(f"{URL}/tree/main/public")
    with pytest.raises(UdfDefinitionError, match="load one of its folders: add"):
        definition_of(RepositoryFolder(snapshot, path))
    with pytest.raises(UdfNotFoundError, match="nothing"):
        repositories.open(f"{URL}/tree/nothing/public/add")
    with pytest.raises(UdfNotFoundError, match="me/other"):
        repositories.open("https://github.com/me/other/tree/main/public/add")


def test_commit_is_downloaded_once_for_ever(github: GitHub, repository: SmallRepository, tmp_path: Path) -> None:
    """Also for other processes and without the network; a damaged copy is fetched anew."""
    options = Options(github_url=github.url, data_directory=str(tmp_path / "data"))
    url = f"{URL}/tree/{repository.git('rev-parse', 'v1')[:7]}/public/add"
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: base_of(Repositories(options), url), range(8))) == {(1, True)}
    assert all(count == 1 for path, count in github.asked.items() if "/raw/" in path), github.asked

    content = next((tmp_path / "data" / "github" / "contents").iterdir())
    content.write_bytes(b"damaged")
    assert base_of(Repositories(options), url) == (1, True)
    github.close()

    assert base_of(Repositories(options), url) == (1, True)
    assert (tmp_path / "data" / "github" / "contents").stat().st_mode & 0o077 == 0


def test_branch_means_the_same_until_its_age_is_over(
    github: GitHub, repository: SmallRepository, tmp_path: Path
) -> None:
    """Then it is asked for anew; where nobody answers, what it meant is better than nothing."""

    def seen(max_age: str) -> int:
        options = Options(github_url=github.url, github_max_age=max_age, data_directory=str(tmp_path / "data"))
        return base_of(Repositories(options), f"{URL}/tree/main/public/add")[0]

    assert seen("1h") == 2
    repository.commit(files(5))
    assert seen("1h") == 2
    assert seen("0") == 5
    github.close()
    with pytest.warns(UserWarning, match="cannot be reached.*What the branches meant at 2"):
        assert seen("0") == 5


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    """With what to do; no retries on a network that is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    repositories = Repositories(Options(github_url=f"http://127.0.0.1:{port}", data_directory=str(tmp_path)))

    with pytest.raises(DownloadError, match="cannot be reached.*fused.options.git_mirrors"):
        repositories.open(f"{URL}/tree/main/public/add")


def test_mirror_answers_before_the_server(github: GitHub, repository: SmallRepository, tmp_path: Path) -> None:
    """Where it has the commit; else the server is asked."""
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.path), str(clone))
    new = repository.commit(files(7))
    options = Options(github_url=github.url, git_mirrors=(f"me/udfs={clone}",), data_directory=str(tmp_path / "data"))

    assert base_of(Repositories(options), f"{URL}/tree/main/public/add") == (2, False)
    assert not github.asked
    assert base_of(Repositories(options), f"{URL}/tree/{new}/public/add") == (7, True)
    assert github.asked


@pytest.mark.parametrize("place", ["me/udfs", "udfs.git", "remote"])
def test_directory_of_clones_is_a_mirror(repository: SmallRepository, tmp_path: Path, place: str) -> None:
    """Found by owner and name, by its remote, or as the clone itself."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    target = shelf / ("udfs.git" if place == "remote" else place)
    repository.git("clone", "-q", "--bare", str(repository.path), str(target))
    repository.git("--git-dir", str(target), "remote", "set-url", "origin", "git@github.com:me/udfs.git")
    setting = str(target) if place == "remote" else str(shelf)

    found = Repositories(Options(git_mirrors=(setting,), github_url="", data_directory=str(tmp_path / "data")))
    assert base_of(found, f"{URL}/tree/main/public/add") == (2, False)
    with pytest.raises(UdfNotFoundError):
        found.open("https://github.com/you/udfs/tree/main/public/add")


def test_mirror_that_is_none_names_the_setting(tmp_path: Path) -> None:
    """It is not passed over in silence."""
    (tmp_path / "empty").mkdir()
    for place, says in ((tmp_path / "nowhere", "is no directory"), (tmp_path / "empty", "no repository that git can")):
        options = Options(git_mirrors=(f"me/udfs={place}",), github_url="", data_directory=str(tmp_path))
        with pytest.raises(ArgumentError, match=f"git_mirrors: .*{says}"):
            Repositories(options).open(f"{URL}/tree/main/a")


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/me",
        "https://github.com/me/udfs/issues/1",
        "https://github.com/me/udfs/tree/",
        "https://github.com/me/udfs/tree/main/../../etc",
        "https://github.com/me/udfs/tree/HEAD~1/a",
        "https://github.com/me/udfs/tree/main%3Aa/b",
        "https://github.com/me/udfs/tree/a%0Ab/c",
        "https://github.com/m e/udfs/tree/main/a",
    ],
)
def test_address_that_is_none_is_refused(url: str) -> None:
    """Before git or a server gets to see it."""
    with pytest.raises(ArgumentError, match="github.com"):
        repository_address(url)


def test_raw_address_means_the_same() -> None:
    """As GitHub's button `Raw` gives it."""
    raw = repository_address("https://raw.githubusercontent.com/me/udfs/main/a/b.py")

    assert raw == repository_address("https://github.com/me/udfs/blob/main/a/b.py")


def test_link_in_a_repository_leads_nowhere(repository: SmallRepository, tmp_path: Path) -> None:
    """Git keeps a link as a small file; no file of this machine is read by it."""
    secret = tmp_path / "secret.py"
    secret.write_text("@fused.udf\ndef f(): return 1")
    shutil.rmtree(repository.path / "public")
    (repository.path / "a").mkdir()
    (repository.path / "a" / "a.py").symlink_to(secret)
    repository.commit({})
    repositories = Repositories(
        Options(git_mirrors=(f"me/udfs={repository.path}",), github_url="", data_directory=str(tmp_path / "data"))
    )

    snapshot, path = repositories.open(f"{URL}/tree/main/a")
    with pytest.raises(UdfDefinitionError, match="no Python file"):
        definition_of(RepositoryFolder(snapshot, path))


def test_threads_may_read_one_mirror(repository: SmallRepository, tmp_path: Path) -> None:
    """Each has a git of its own."""
    repositories = Repositories(
        Options(git_mirrors=(f"me/udfs={repository.path}",), github_url="", data_directory=str(tmp_path / "data"))
    )
    start = threading.Barrier(4)

    def read(_: int) -> tuple[int, bool]:
        start.wait()
        return base_of(repositories, f"{URL}/tree/main/public/add")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(4))) == {(2, False)}
