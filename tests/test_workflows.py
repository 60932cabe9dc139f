"""What runs on GitHub: pinned, with no more leave than it needs, and a release that is whole."""

from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from io import BytesIO
from pathlib import Path
import re
import shutil
from typing import Any
from zipfile import ZipFile

import pytest
import yaml

from .conftest import PACKAGE

ROOT = PACKAGE.parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").iterdir())

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)

# Actions of ours, or at a commit, with the tag or branch that it was at.
USES = re.compile(
    r"uses: (?:\./\.github/.+|[\w./-]+@[0-9a-f]{40} # (?:v\d+\.\d+\.\d+|main|master))"
)


def load(path: Path) -> dict[str, Any]:
    """Return a workflow; its ``on`` is a word to GitHub, not the truth that YAML makes of it."""
    loaded = yaml.safe_load(re.sub("^on:", '"on":', path.read_text(), flags=re.MULTILINE))
    assert isinstance(loaded, dict)
    return loaded


def steps(path: Path) -> list[dict[str, Any]]:
    """Return the steps of all jobs of a workflow."""
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", ())]


def commands(path: Path) -> str:
    """Return what a workflow runs."""
    return "\n".join(step["run"] for step in steps(path) if "run" in step)


@each_workflow
def test_pinned(path: Path) -> None:
    """Every action is named by its commit: a tag can be moved to other code."""
    lines = [line.strip(" -") for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert USES.fullmatch(line), line


def test_one_pin_each() -> None:
    """An action is at the same commit everywhere."""
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for step in steps(path):
            if "uses" in step:
                name, _, commit = step["uses"].partition("@")
                pins.setdefault(name, set()).add(commit)
    assert {name for name, commits in pins.items() if len(commits) > 1} == set()


@each_workflow
def test_least_permissions(path: Path) -> None:
    """A workflow may read, and only the job that publishes a release may write."""
    workflow = load(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        allowed = "write" if (path.name, name) == ("release.yml", "release") else "read"
        assert job.get("permissions", {"contents": "read"}) == {"contents": allowed}
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_no_words_of_others_in_commands(path: Path) -> None:
    """What an outsider can write, such as a branch's name, is never part of a command."""
    assert "${{" not in commands(path)
    assert "pull_request_target" not in load(path)["on"]


@each_workflow
def test_ends(path: Path) -> None:
    """Every job has its time; one of another workflow has that one's."""
    for job in load(path)["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 60


def test_scripts_exist() -> None:
    """What is run is what a developer runs."""
    for path in WORKFLOWS:
        for script in re.findall(r"\bscript/\w+", commands(path)):
            assert (ROOT / script).stat().st_mode & 0o111, script


def test_what_lands_is_what_is_tested() -> None:
    """GitHub runs all that has to pass before anything lands."""
    wanted = re.findall(r"(?<=^run )script/.*", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert wanted
    assert commands(GITHUB / "workflows" / "tests.yml").splitlines() == wanted


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms(path: Path) -> None:
    """Each form says what it is for, and asks each thing once."""
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert form["blank_issues_enabled"] is False
        return
    assert form["name"]
    assert form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in asked]
    assert len(ids) == len(set(ids))
    for field in asked:
        assert field["attributes"]["label"]


def test_links_into_the_repository() -> None:
    """A link from a form or a policy to a file here leads to one."""
    for path in [*FORMS, GITHUB / "SECURITY.md"]:
        text = path.read_text()
        for target in re.findall(r"/blob/main/([\w./-]+)", text):
            assert (ROOT / target).is_file(), f"{path.name}: {target}"
        for target in re.findall(r"\]\((\.[^)#]+)", text):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"


async def run(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command in a folder; return its exit code and what it complained of."""
    process = await create_subprocess_exec(*command, cwd=folder, stderr=PIPE)
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


@pytest.fixture
async def repository(tmp_path: Path) -> Path:
    """Return a small repository that is about to release 1.2.3."""
    package = tmp_path / PACKAGE.relative_to(ROOT)
    package.mkdir(parents=True)
    (package / "manifest.json").write_text('{"version": "1.2.3"}')
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- Later\n\n"
        "## [1.2.3] - 2026-12-01\n\n### Added\n\n- This\n\n"
        "## [1.2.2] - 2026-11-30\n\n- Earlier\n\n[1.2.3]: https://example.com\n"
    )
    (tmp_path / "script").mkdir()
    shutil.copy(ROOT / "script" / "release", tmp_path / "script")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=x"]):
        assert await run(tmp_path, *git, *command) == (0, "")
    return tmp_path


async def test_release(repository: Path) -> None:
    """It consists of what the Marketplace unpacks, and of what the changelog says of it."""
    assert await run(repository, "script/release", "v1.2.3") == (0, "")
    made = repository / ".cache" / "release"
    with ZipFile(BytesIO((made / "crypto_invoices.zip").read_bytes())) as archive:
        assert archive.namelist() == ["manifest.json"]
    assert (made / "notes.md").read_text() == "### Added\n\n- This\n"


@pytest.mark.parametrize(
    ("file", "old", "said"),
    [
        ("custom_components/crypto_invoices/manifest.json", "1.2.3", "manifest.json says 1.2.4"),
        ("pyproject.toml", "1.2.3", "pyproject.toml says 1.2.4"),
        ("CHANGELOG.md", "[1.2.3] -", "CHANGELOG.md has no"),
    ],
)
async def test_release_of_something_else(repository: Path, file: str, old: str, said: str) -> None:
    """A tag that is not the version of everything releases nothing."""
    path = repository / file
    path.write_text(path.read_text().replace(old, old.replace("1.2.3", "1.2.4")))
    code, errors = await run(repository, "script/release", "v1.2.3")
    assert code == 1
    assert said in errors
    assert not (repository / ".cache").exists()


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc1", "main"])
async def test_release_of_no_version(repository: Path, tag: str) -> None:
    """What is not a version is refused."""
    code, errors = await run(repository, "script/release", tag)
    assert code == 1
    assert "script/release v1.2.3" in errors
