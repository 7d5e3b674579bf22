"""Builds the archive that HACS installs: the files of the integration, with manifest.json at the top.

It needs only Python. The release workflow runs it with the tag of the release.
"""

import argparse
import json
from pathlib import Path
import sys
import tomllib
from zipfile import ZIP_DEFLATED, ZipFile

ROOT = Path(__file__).parent.parent
INTEGRATION = ROOT / "custom_components/balena_supervisor"


def read_version() -> str:
    """Return the version of the project. Exits if its files disagree."""
    manifest = json.loads((INTEGRATION / "manifest.json").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version: str = manifest["version"]
    if version != project["version"]:
        sys.exit(
            f"manifest.json has version {version}, pyproject.toml has {project['version']}."
        )
    return version


def build(folder: Path) -> Path:
    """Write the archive into a folder; returns its path."""
    hacs = json.loads((ROOT / "hacs.json").read_text("utf-8"))
    target = folder / hacs["filename"]
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for path in sorted(INTEGRATION.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(INTEGRATION))
    return target


def main() -> None:
    """Check the version, then build the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", help="exit if this is not v and the version")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where to write (here)"
    )
    options = parser.parse_args()
    tag = f"v{read_version()}"
    if options.tag not in {None, tag}:
        sys.exit(f"The tag is {options.tag}, but the files are of {tag}.")
    print(build(options.folder))


if __name__ == "__main__":
    main()
