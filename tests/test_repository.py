"""The files around the code are consistent: versions, the release archive, workflows, issue forms."""

from fnmatch import fnmatch
import json
from pathlib import Path
import re
import subprocess
import sys
import tomllib
from typing import Any, Final
from zipfile import ZipFile

import pytest
import yaml

ROOT: Final = Path(__file__).parent.parent
INTEGRATION: Final = ROOT / "custom_components/balena_supervisor"
MANIFEST: Final = json.loads((INTEGRATION / "manifest.json").read_text("utf-8"))
HACS: Final = json.loads((ROOT / "hacs.json").read_text("utf-8"))
WORKFLOWS: Final[dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
# Every action that a workflow uses, with the comment behind it.
ACTIONS: Final = sorted(
    {
        action
        for path in (ROOT / ".github/workflows").glob("*.yml")
        for action in re.findall(r"uses: (.*)", path.read_text("utf-8"))
    }
)
UNPINNED: Final = yaml.safe_load((ROOT / ".github/zizmor.yml").read_text("utf-8"))[
    "rules"
]["unpinned-uses"]["config"]["policies"]
# The pages, and their headings, that forms and policies link to.
LINKS: Final = sorted(
    {
        link
        for path in (
            ROOT / "SECURITY.md",
            *(ROOT / ".github").glob("*.md"),
            *(ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"),
        )
        for link in re.findall(
            r"\b(docs/[\w-]+\.md)(?:#([\w-]+))?", path.read_text("utf-8")
        )
    }
)


def _archive(folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """Build the archive as the release workflow does."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts/archive.py", "--tag", tag],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_versions_agree() -> None:
    """The integration and the project have the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert MANIFEST["version"] == project["version"]


def test_hacs_installs_the_integration() -> None:
    """HACS shows the name of the integration, and installs its archive."""
    assert HACS["name"] == MANIFEST["name"]
    assert HACS["zip_release"]
    assert HACS["hide_default_branch"]


def test_oldest_home_assistant_is_tested() -> None:
    """The nightly job tests the oldest Home Assistant that HACS accepts."""
    job = WORKFLOWS["nightly.yml"]["jobs"]["home-assistant"]
    oldest = job["strategy"]["matrix"]["release"][0]
    assert HACS["homeassistant"] == f"{oldest}.0"


def test_archive_has_the_integration_at_its_top(tmp_path: Path) -> None:
    """HACS extracts the archive into the folder of the integration, so its files are at the top level."""
    result = _archive(tmp_path, f"v{MANIFEST['version']}")
    assert result.returncode == 0, result.stderr

    files = {
        path.relative_to(INTEGRATION).as_posix()
        for path in INTEGRATION.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    with ZipFile(tmp_path / HACS["filename"]) as archive:
        assert set(archive.namelist()) == files
        assert json.loads(archive.read("manifest.json")) == MANIFEST


def test_archive_refuses_another_version(tmp_path: Path) -> None:
    """A tag that differs from the version of the files builds no archive."""
    result = _archive(tmp_path, "v0.0.0")
    assert result.returncode == 1
    assert result.stderr == (
        f"The tag is v0.0.0, but the files are of v{MANIFEST['version']}.\n"
    )
    assert not list(tmp_path.iterdir())


def test_release_has_the_archive_before_it_is_public() -> None:
    """The workflow builds and attaches the archive before it publishes the release."""
    steps = WORKFLOWS["release.yml"]["jobs"]["release"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    order = [
        commands.index(part)
        for part in (
            'scripts/archive.py --tag "$TAG"',
            f'gh release upload "$TAG" {HACS["filename"]}',
            'gh release edit "$TAG" --draft=false',
        )
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("action", ACTIONS)
def test_action_is_pinned(action: str) -> None:
    """An action is pinned to a commit with a version comment, or is an exception in zizmor.yml."""
    name = action.partition("@")[0]
    is_exception = any(fnmatch(name, pattern) for pattern in UNPINNED)
    assert is_exception or re.fullmatch(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS)
def test_workflow_may_only_read(workflow: dict[str, Any]) -> None:
    """A workflow can only read the code; a job declares further permissions."""
    assert workflow["permissions"] in ({}, {"contents": "read"})


def test_code_owners_agree() -> None:
    """CODEOWNERS and the manifest name the same people."""
    owners = (ROOT / ".github/CODEOWNERS").read_text("utf-8")
    assert owners == f"* {' '.join(MANIFEST['codeowners'])}\n"


@pytest.mark.parametrize(("page", "anchor"), LINKS)
def test_link(page: str, anchor: str) -> None:
    """A link of a form or a policy leads to an existing page and heading."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"\W+", "-", heading.lower()) for heading in headings}
    assert not anchor or anchor in anchors


def test_editor_runs_the_scripts() -> None:
    """Each task of the editor and each hook runs a script of the project."""
    tasks = json.loads((ROOT / ".vscode/tasks.json").read_text("utf-8"))["tasks"]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    commands = [task["command"] for task in tasks]
    commands += [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    scripts = {ROOT / command.split()[0] for command in commands}
    assert {script.name for script in scripts} >= {"demo", "lint", "test"}
    assert all(script.stat().st_mode & 0o111 for script in scripts)
