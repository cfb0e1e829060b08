"""Code that is elsewhere: fetched once, by its digest, from servers on this machine."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from stack.config.allow import Allow
from stack.config.settings import Downloads, Settings
from stack.config.source import Function, load_function
from stack.errors import AccessError, FunctionError
from stack.run.function import explain_fetched
from stack.state.source.source import Store, download
from stack.state.workspace import Workspace

CODE = b"def handler(context, event):\n    return 'fetched'\n"


@dataclass
class Site:
    """A server of files on this machine, and what it was asked."""

    folder: Path
    url: str = ""
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    account: str = ""

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        return f"{self.url}/{name}"


class Answers(SimpleHTTPRequestHandler):
    """Files; each request is noted."""

    def __init__(self, site: Site, *args: Any, **kwargs: Any) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.folder), **kwargs)

    def do_GET(self) -> None:
        self.site.paths.append(self.path)
        self.site.headers.append(dict(self.headers))
        wanted = "Basic " + b64encode(self.site.account.encode()).decode()
        if self.site.account and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="site"')
            self.end_headers()
            return
        if target := self.site.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        if self.site.delay:
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                for _ in range(200):
                    self.wfile.write(b"x" * 100)
                    time.sleep(self.site.delay)
            return
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


Author = Callable[..., Function]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "workspace").mkdir()
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def author(workspace: Workspace) -> Author:
    def write(kind: str, path: str, extra: str = "", **attributes: Any) -> Function:
        folder = workspace.root / "functions" / "far"
        folder.mkdir(parents=True, exist_ok=True)
        build = {"codeEntryType": kind, "path": path, "codeEntryAttributes": attributes}
        (folder / "function.yaml").write_text(f"spec:\n  build: {build}\n{extra}")
        return load_function(folder)

    return write


def tarball(**files: bytes) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/") + ".py")
            info.size = len(content)
            bundle.addfile(info, BytesIO(content))
    return buffer.getvalue()


def make_settings(workspace: Workspace, limits: Downloads | None = None) -> Settings:
    """Return settings that let functions have what is beside the workspace."""
    allow = Allow(host_paths=(f"{workspace.root.parent}/shared", f"{workspace.root.parent}/f.tgz"))
    return Settings(downloads=limits or Downloads(), allow=allow)


def fetch(workspace: Workspace, function: Function, limits: Downloads | None = None) -> Function:
    return Store(workspace, make_settings(workspace, limits), function).fetch()


def recall(workspace: Workspace, function: Function) -> Function:
    return Store(workspace, make_settings(workspace), function).recall()


def test_archive_is_the_code(workspace: Workspace, author: Author, site: Site) -> None:
    url = site.write("f.tar.gz", tarball(main=CODE, src__other=CODE))
    function = author("archive", url, headers={"X-Token": "word"})
    fetched = fetch(workspace, function)
    assert [file.path for file in fetched.files] == ["main.py", "src/other.py"]
    assert (workspace.root / fetched.context / "main.py").read_bytes() == CODE
    assert site.headers[0]["X-Token"] == "word"
    assert fetched.context.startswith(".stack/state/sources/far/")


def test_same_archive_is_unpacked_once(workspace: Workspace, author: Author, site: Site) -> None:
    function = author("archive", site.write("f.tgz", tarball(main=CODE)))
    first = fetch(workspace, function)
    marked = workspace.root / first.context / "mark"
    marked.touch()
    assert fetch(workspace, function).context == first.context
    assert marked.exists()
    site.write("f.tgz", tarball(main=CODE + b"# new\n"))
    second = fetch(workspace, function)
    assert second.context != first.context
    assert not marked.exists(), "what is not the latest goes"


def test_what_was_fetched_is_recalled_without_the_network(workspace: Workspace, author: Author, site: Site) -> None:
    function = author("archive", site.write("f.tgz", tarball(main=CODE)))
    assert not recall(workspace, function).is_fetched
    fetched = fetch(workspace, function)
    asked = len(site.paths)
    assert recall(workspace, function) == fetched
    assert len(site.paths) == asked
    assert not recall(workspace, author("archive", f"{site.url}/other.tgz")).is_fetched


def test_one_file_behind_a_url(workspace: Workspace, author: Author, site: Site) -> None:
    fetched = fetch(workspace, author("", site.write("sub/reader.py", CODE)))
    assert [file.path for file in fetched.files] == ["reader.py"]


def test_letters_of_an_address_are_written_as_a_browser_does(workspace: Workspace, author: Author, site: Site) -> None:
    site.write("für alle/a%b.py", CODE)
    fetched = fetch(workspace, author("", f"{site.url}/für alle/a%25b.py?ü=1&b=%C3%BC"))
    assert [file.path for file in fetched.files] == ["a%25b.py"]
    assert site.paths[-1] == "/f%C3%BCr%20alle/a%25b.py?%C3%BC=1&b=%C3%BC"
    with pytest.raises(FunctionError, match=r"bücher\.invalid:1/a\.py: .*(resolution|known|address|refused)"):
        fetch(workspace, author("", "http://bücher.invalid:1/a.py"))


@pytest.mark.parametrize("path", ["ftp://ann:word@a.example/f.zip", "file:///tmp/f.zip", "S3://bucket/f.zip"])
def test_addresses_that_nothing_is_fetched_from(workspace: Workspace, author: Author, path: str) -> None:
    scheme = path.partition(":")[0]
    with pytest.raises(
        FunctionError, match=f"an address that begins with {scheme}://; write one .* https://"
    ) as failure:
        fetch(workspace, author("", path))
    assert "word" not in str(failure.value)


def test_file_of_another_name_is_another_tree(workspace: Workspace, author: Author, site: Site) -> None:
    for name in ("one.py", "two.py"):
        assert [file.path for file in fetch(workspace, author("", site.write(name, CODE))).files] == [name]


def test_what_another_task_fetches_meanwhile_stays(workspace: Workspace, author: Author, site: Site) -> None:
    folder = workspace.state / "sources" / "far"
    for name, age in ((".fetching-now", 0), (".fetching-long-ago", 7200)):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (time.time() - age,) * 2)
    fetch(workspace, author("", site.write("one.py", CODE)))
    assert [path.name for path in folder.glob(".fetching-*")] == [".fetching-now"]


def test_two_tasks_fetch_the_same_at_once(workspace: Workspace, author: Author, site: Site) -> None:
    function = author("archive", site.write("f.tgz", tarball(main=CODE)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fetch(workspace, function), range(8)))
    assert len({one.context for one in found}) == 1
    assert len({one.files for one in found}) == 1


def pack_configuration(text: bytes) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as bundle:
        info = tarfile.TarInfo("function.yaml")
        info.size = len(text)
        bundle.addfile(info, BytesIO(text))
    return buffer.getvalue()


def test_function_yaml_beside_the_code_fills_what_is_empty(workspace: Workspace, author: Author, site: Site) -> None:
    text = b"metadata: {name: another}\nspec: {description: theirs, handler: 'main:other', eventTimeout: 5s}\n"
    content = pack_configuration(text)
    function = author("archive", site.write("f.tar", content), "  handler: main:handler\n")
    fetched = fetch(workspace, function)
    spec = fetched.config.spec
    assert (spec.description, spec.handler, spec.event_timeout) == ("theirs", "main:handler", "")
    assert (fetched.fetched.taken, fetched.fetched.left_out) == (("description", "handler"), ("eventTimeout",))
    assert (fetched.origin, fetched.version) == (f"{site.url}/f.tar", f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert recall(workspace, function).version == fetched.version
    told = explain_fetched(fetched)
    assert told.endswith("; taken of its function.yaml: description, handler; left out: eventTimeout.")


def test_function_yaml_beside_the_code_has_nothing_of_this_machine(
    workspace: Workspace, author: Author, site: Site
) -> None:
    url = site.write("f.tar", pack_configuration(b"spec: {securityContext: {runAsUser: 0}}\n"))
    with pytest.raises(AccessError, match=r"far/.*/function\.yaml: spec\.securityContext: is not taken from code that"):
        fetch(workspace, author("archive", url))
    with pytest.raises(AccessError):
        fetch(workspace, author("archive", url, "  securityContext: {runAsUser: 1000}\n"))
    same = author("archive", url, "  securityContext: {runAsUser: 0}\n")
    assert fetch(workspace, same).config.spec.security_context.run_as_user == 0


def test_work_dir(workspace: Workspace, author: Author, site: Site) -> None:
    url = site.write("f.tgz", tarball(main=CODE, src__inner=CODE))
    assert [file.path for file in fetch(workspace, author("archive", url, workDir="/src")).files] == ["inner.py"]
    for missing in ("nowhere", "../.."):
        with pytest.raises(FunctionError, match=r"workDir: there is no folder .*; there are main\.py, src"):
            fetch(workspace, author("archive", url, workDir=missing))


def test_github_s_archive(workspace: Workspace, author: Author, site: Site, tmp_path: Path) -> None:
    (tmp_path / "b-dev").mkdir()
    (tmp_path / "b-dev" / "main.py").write_bytes(CODE)
    archive = shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path, "b-dev")
    site.write("a/b/archive/dev.zip", Path(archive).read_bytes())
    headers = {"Authorization": "token word"}
    fetched = fetch(workspace, author("github", f"{site.url}/a/b", branch="dev", headers=headers))
    assert [file.path for file in fetched.files] == ["main.py"]
    assert site.headers[0]["Authorization"] == "token word"


def test_credentials_follow_no_redirect_to_another_host(workspace: Workspace, author: Author, site: Site) -> None:
    site.write("f.tgz", tarball(main=CODE))
    site.redirects["/there"] = site.url.replace("127.0.0.1", "localhost") + "/f.tgz"
    site.redirects["/here"] = "/f.tgz"
    for path in ("here", "there"):
        fetch(workspace, author("archive", f"{site.url}/{path}", headers={"Authorization": "word"}))
    assert ["Authorization" in headers for headers in site.headers] == [True, True, True, False]


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_redirect_to_another_kind_of_address_is_refused(
    workspace: Workspace, author: Author, site: Site, scheme: str
) -> None:
    site.redirects["/f.tgz"] = f"{scheme}://127.0.0.1/etc/passwd"
    with pytest.raises(FunctionError, match="The code of far could not be fetched"):
        fetch(workspace, author("archive", f"{site.url}/f.tgz"))


def test_s3_from_a_store_of_one_s_own(
    workspace: Workspace, author: Author, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("bucket/f.tgz", tarball(main=CODE))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", site.url)
    given = {"s3Bucket": "bucket", "s3ItemKey": "f.tgz", "s3AccessKeyId": "me", "s3SecretAccessKey": "word"}
    assert [file.path for file in fetch(workspace, author("s3", "", **given)).files] == ["main.py"]
    assert "X-Amz-Signature=" in site.paths[0]
    assert "word" not in site.paths[0]


def test_secret_holds_the_account(workspace: Workspace, author: Author, site: Site) -> None:
    function = author("archive", site.write("f.tgz", tarball(main=CODE)), secret="plant")
    with pytest.raises(FunctionError, match=r"there is no secret plant\. Type `invoke secret set plant"):
        fetch(workspace, function)
    workspace.secrets.mkdir(parents=True, exist_ok=True)
    (workspace.secrets / "plant.Authorization").write_text("token word\n")
    (workspace.secrets / "planter.Other").write_text("another's")
    fetched = fetch(workspace, function)
    assert site.headers[-1]["Authorization"] == "token word"
    assert "Other" not in site.headers[-1]
    assert "token word" not in fetched.config.model_dump_json()


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command lines of git, which every user of the machine can read."""
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    script = f'#!/bin/sh\necho "$@" >> {tmp_path}/words\nexec {real} "$@"\n'
    (tmp_path / "bin" / "git").write_text(script)
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path / "words"


@pytest.mark.parametrize(
    ("prefix", "attributes"),
    [
        ("", {"username": "ann", "password": "pass/ing"}),
        ("ann:pass%2Fing@", {}),
        ("ann@", {"password": "pass/ing"}),
    ],
)
def test_git_is_given_its_account_by_the_environment(
    workspace: Workspace,
    author: Author,
    site: Site,
    repository: Path,
    spoken: Path,
    prefix: str,
    attributes: dict[str, str],
) -> None:
    site.account = "ann:pass/ing"
    url = f"{site.url}/repository/.git".replace("//", f"//{prefix}")
    assert fetch(workspace, author("git", url, branch="main", **attributes)).files
    assert not re.search("ann|pass", spoken.read_text())


def test_git_does_not_tell_a_wrong_password(
    workspace: Workspace, author: Author, site: Site, repository: Path, spoken: Path
) -> None:
    site.account = "ann:passing"
    for prefix, given in (("", {"username": "ann", "password": "other"}), ("ann:other@", {}), ("other@", {})):
        url = f"{site.url}/repository/.git".replace("//", f"//{prefix}")
        with pytest.raises(FunctionError) as failure:
            fetch(workspace, author("git", url, tag="v1", **given))
        assert "other" not in str(failure.value) + spoken.read_text()


def test_git_gives_its_account_to_no_other_host(
    workspace: Workspace, author: Author, site: Site, repository: Path
) -> None:
    site.account = "ann:passing"
    site.redirects["/moved/info/refs?service=git-upload-pack"] = (
        site.url.replace("127.0.0.1", "localhost") + "/repository/.git/info/refs?service=git-upload-pack"
    )
    with pytest.raises(FunctionError):
        fetch(workspace, author("git", f"{site.url}/moved", branch="main", username="ann", password="passing"))
    told = {headers["Host"].partition(":")[0] for headers in site.headers if "Authorization" in headers}
    assert told == {"127.0.0.1"}
    assert any(headers["Host"].startswith("localhost") for headers in site.headers)


def test_too_large_a_download(workspace: Workspace, author: Author, site: Site) -> None:
    url = site.write("f.tgz", os.urandom(1_100_000))
    with pytest.raises(FunctionError, match=r"larger than 1 MB; `downloads\.megabytes`"):
        fetch(workspace, author("archive", url), Downloads(megabytes=1))
    assert not [path for path in (workspace.state / "sources/far").iterdir() if path.is_dir()]


def test_too_slow_a_download(workspace: Workspace, author: Author, site: Site) -> None:
    site.delay = 0.1
    start = time.monotonic()
    with pytest.raises(FunctionError, match=r"took longer than 1 s; `downloads\.seconds`"):
        fetch(workspace, author("archive", f"{site.url}/f.tgz"), Downloads(seconds=1))
    assert time.monotonic() - start < 10, "the server takes twenty seconds for all of it"


def test_what_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match=r"address is none: .*\. Check spec\.build\.path\.$"):
        download("http://[bad", tmp_path / "file", headers={}, limits=Downloads(), ca=None)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nothing.tgz", "the server answered 404 File not found. Check spec.build.path"),
        ("/text.tgz?key=word", "that is no archive of a known kind; make it one of zip"),
    ],
)
def test_what_is_not_there(workspace: Workspace, author: Author, site: Site, path: str, reason: str) -> None:
    site.write("text.tgz", b"<html>")
    with pytest.raises(FunctionError) as failure:
        fetch(workspace, author("archive", site.url + path))
    assert reason in str(failure.value)
    assert "word" not in str(failure.value)


def test_no_one_there(workspace: Workspace, author: Author, site: Site) -> None:
    with pytest.raises(FunctionError, match=r"127\.0\.0\.1:1/f\.tgz.*Connection refused"):
        fetch(workspace, author("archive", "http://me:word@127.0.0.1:1/f.tgz"))


def test_path_on_this_machine(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "main.py").write_bytes(CODE)
    (tmp_path / "f.tgz").write_bytes(tarball(packed=CODE))
    for path, name in ((tmp_path / "shared", "main.py"), (tmp_path / "f.tgz", "packed.py")):
        assert [file.path for file in fetch(workspace, author("", str(path))).files] == [name]
    one = author("", "../../../shared/main.py")
    assert [file.path for file in fetch(workspace, one).files] == ["main.py"]
    (tmp_path / "shared" / "main.py").write_bytes(CODE + b"# saved\n")
    assert recall(workspace, one).files != fetch(workspace, author("", str(tmp_path / "f.tgz"))).files
    for place in ("/etc", "../../../etc", "~/x", "../../.stack/secrets"):
        with pytest.raises(FunctionError, match=r"is not below functions/, and stack\.yaml does not allow it; add"):
            fetch(workspace, author("", place))
    (tmp_path / "shared" / "link").symlink_to("/etc")
    with pytest.raises(FunctionError, match=r"add to stack\.yaml: allow: \{host_paths: \[/etc\]\}"):
        fetch(workspace, author("", f"{tmp_path}/shared/link"))
    with pytest.raises(FunctionError, match=r"spec\.build\.path: there is no 'gone\.py' in functions/far"):
        fetch(workspace, author("", "gone.py"))


# Git


def git(*arguments: str, cwd: Path, text: str = "") -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example", "-c", "init.defaultBranch=main"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(site: Site) -> Path:
    """A repository with a branch, a tag and a commit behind them; plain files, as a web server gives them too."""
    folder = site.folder / "repository"
    folder.mkdir()
    git("init", "--quiet", cwd=folder)
    for number, tag in enumerate(("v1", "")):
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "main.py").write_bytes(CODE + f"# {number}\n".encode())
        (folder / "sub" / "inner.py").write_bytes(CODE)
        git("add", ".", cwd=folder)
        git("commit", "--quiet", "--message", "x", cwd=folder)
        if tag:
            git("tag", "--annotate", tag, "--message", "x", cwd=folder)
    git("update-server-info", cwd=folder)
    return folder


@pytest.mark.parametrize("served", ["file", "http"])
@pytest.mark.parametrize(("attributes", "line"), [({"branch": "main"}, "# 1"), ({"tag": "v1"}, "# 0")])
def test_git(
    workspace: Workspace,
    author: Author,
    site: Site,
    repository: Path,
    served: str,
    attributes: dict[str, str],
    line: str,
) -> None:
    url = f"file://{repository}" if served == "file" else f"{site.url}/repository/.git"
    fetched = fetch(workspace, author("git", url, **attributes))
    assert [file.path for file in fetched.files] == ["main.py", "sub/inner.py"]
    assert (workspace.root / fetched.context / "main.py").read_text().endswith(f"{line}\n")
    assert not (workspace.root / fetched.context / ".git").exists()


def test_git_fetches_a_commit_once(workspace: Workspace, author: Author, repository: Path) -> None:
    function = author("git", f"file://{repository}", reference="refs/heads/main")
    first = fetch(workspace, function)
    assert first.context.endswith(git("rev-parse", "main", cwd=repository)[:16])
    (workspace.root / first.context / "mark").touch()
    assert (workspace.root / fetch(workspace, function).context / "mark").exists()


def test_git_brings_nothing_that_leads_or_runs_here(
    workspace: Workspace, author: Author, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "hooks").mkdir()
    hook = tmp_path / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py filter=lfs\n")
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "x", cwd=repository)
    (tmp_path / "config").write_text(
        f'[core]\n hooksPath = {tmp_path}/hooks\n[filter "lfs"]\n smudge = touch {tmp_path}/ran\n required = true\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
        fetched = fetch(workspace, author("git", f"file://{repository}", branch="main"))
    assert not (tmp_path / "ran").exists()
    assert fetched.version == f"commit:{git('rev-parse', 'main', cwd=repository).strip()}"
    (repository / "sub" / "link").symlink_to("/etc")
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "x", cwd=repository)
    with pytest.raises(FunctionError, match=r"the link sub/link in file://.* leads out of its folder"):
        fetch(workspace, author("git", f"file://{repository}", branch="main"))


@pytest.mark.parametrize(("copies", "levels", "reason"), [(12, 5, "has more than 20000 files"), (9, 4, "too much")])
def test_git_s_small_commit_that_stands_for_much(
    workspace: Workspace, author: Author, repository: Path, copies: int, levels: int, reason: str
) -> None:
    """A tree whose folders are all the same one, again and again."""
    blob = git("hash-object", "-w", "--stdin", cwd=repository, text="0" * 1000).strip()
    tree = git("mktree", cwd=repository, text=f"100644 blob {blob}\tfile\n").strip()
    for _ in range(levels):
        lines = "".join(f"040000 tree {tree}\tcopy{number}\n" for number in range(copies))
        tree = git("mktree", cwd=repository, text=lines).strip()
    commit = git("commit-tree", tree, "-m", "x", cwd=repository).strip()
    git("update-ref", "refs/heads/bomb", commit, cwd=repository)
    limits = Downloads(megabytes=200 if "files" in reason else 1)
    with pytest.raises(FunctionError, match=reason):
        fetch(workspace, author("git", f"file://{repository}", branch="bomb"), limits)


def test_git_commit_and_work_dir(workspace: Workspace, author: Author, repository: Path) -> None:
    commit = git("rev-parse", "v1^{commit}", cwd=repository).strip()
    fetched = fetch(workspace, author("git", f"file://{repository}", reference=commit, workDir="sub"))
    assert [file.path for file in fetched.files] == ["inner.py"]


def test_git_of_a_clone_takes_the_reference_itself(workspace: Workspace, author: Author, repository: Path) -> None:
    """And none of those whose names end with it: a clone has those of where it comes from."""
    git("clone", "--quiet", str(repository), "clone", cwd=repository.parent)
    clone = repository.parent / "clone"
    git("commit", "--quiet", "--allow-empty", "--message", "own", cwd=clone)
    git("tag", "inner/v1", cwd=clone)
    for reference, commit in (("", "HEAD"), ("main", "HEAD"), ("v1", "v1^{commit}"), ("inner/v1", "HEAD")):
        fetched = fetch(workspace, author("git", f"file://{clone}", reference=reference))
        assert fetched.context.endswith(git("rev-parse", commit, cwd=clone)[:16])


@pytest.mark.parametrize(
    ("path", "attributes", "reason"),
    [
        ("repository", {"branch": "none"}, "has no refs/heads/none. Check spec.build.codeEntryAttributes"),
        ("nothing", {"branch": "main"}, "git cannot read file://"),
    ],
)
def test_git_that_is_not_there(
    workspace: Workspace, author: Author, repository: Path, path: str, attributes: dict[str, str], reason: str
) -> None:
    with pytest.raises(FunctionError) as failure:
        fetch(workspace, author("git", f"file://{repository.parent}/{path}", **attributes))
    assert reason in str(failure.value)


@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch /tmp/tidegate-was-here'", "--upload-pack=touch /tmp/tidegate-was-here"]
)
def test_git_runs_nothing_of_an_address(workspace: Workspace, author: Author, url: str) -> None:
    with pytest.raises(FunctionError):
        fetch(workspace, author("git", url.replace("'", ""), branch="main"))
    assert not Path("/tmp/tidegate-was-here").exists()


def test_too_large_a_repository(workspace: Workspace, author: Author, repository: Path) -> None:
    (repository / "large").write_bytes(os.urandom(1_100_000))
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "x", cwd=repository)
    with pytest.raises(FunctionError, match="git cannot read"):
        fetch(workspace, author("git", f"file://{repository}", branch="main"), Downloads(megabytes=1))
