"""release_check.py [--quick]: checks whether this commit can be released, and prints the next steps.

Compares all places that state the version, and checks changelog, tree, tags and commit subjects. Then builds
the site and both distributions and tests them in fresh environments. --quick skips the builds.
docs/releasing.md describes the procedure. The script changes, tags and publishes nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LONGEST_SUBJECT = 72
# commands that build and test something, and report their own errors
TRIED = [
    ("the documentation site", ["make", "docs"]),
    ("wheel and sdist, on every Python found, with the client beside them", ["scripts/smoke.sh"]),
    ("the client's own wheel, alone", ["scripts/client_tests.sh"]),
]


class Section(NamedTuple):
    """A section of the changelog, `## NAME - DATE` or `## Unreleased`, with its number of bullets."""

    name: str
    date: str | None
    bullets: int


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def versions(root: Path = ROOT) -> dict[str, str]:
    """Return the version that each file states."""
    written = {}
    for name in ("chroma/_version.py", "chroma/__init__.py"):
        file = root / name
        found = re.search(
            r'^__version__\b.*= "([^"]+)"', file.read_text("utf-8") if file.exists() else "", re.M
        )
        if found:
            written[name] = found[1]
    for name in ("pyproject.toml", "client/pyproject.toml"):
        found = re.search(r'^version = "([^"]+)"', (root / name).read_text("utf-8"), re.M)
        if found:
            written[name] = found[1]
    return written


def sections(changelog: str) -> list[Section]:
    parts = re.split(r"^## (.*)$", changelog, flags=re.M)[1:]
    found = []
    for heading, body in zip(parts[::2], parts[1::2], strict=True):
        name, _, date = heading.partition(" - ")
        said = [line for line in body.splitlines() if line.startswith("- ")]
        found.append(Section(name.strip("[] "), date.strip() or None, len(said)))
    return found


def wrong_with_changelog(found: list[Section], version: str) -> list[str]:
    """Return the problems of the changelog.

    One section must be Unreleased or have the version. Sections of versions need a date, newest first.
    """
    problems = [
        f"CHANGELOG.md: the heading '{each.name} - {each.date}' has no date of the form 2026-12-24"
        for each in found
        if each.name != "Unreleased" and not re.fullmatch(r"\d{4}-\d\d-\d\d", each.date or "")
    ]
    ready = [each for each in found if each.name in ("Unreleased", version) and each.bullets]
    if not ready:
        problems.append(
            f"CHANGELOG.md: neither Unreleased nor {version} says anything; add what users notice"
        )
    if any(each.name == "Unreleased" for each in found[1:]):
        problems.append("CHANGELOG.md: Unreleased must be the first section")
    return problems


def wrong_with_versions(written: dict[str, str]) -> list[str]:
    if len(set(written.values())) == 1:
        return []
    return ["the version is not the same everywhere: " + ", ".join(f"{v} in {k}" for k, v in written.items())]


def wrong_with_tags(version: str, at_head: list[str], others: list[str]) -> list[str]:
    tag = f"v{version}"
    if tag in others and tag not in at_head:
        return [f"{tag} is out already, on another commit: raise the version"]
    return [
        f"this commit is tagged {each}, and the version is {version}"
        for each in at_head
        if re.match(r"v\d", each) and each != tag
    ]


def wrong_with_subjects(subjects: list[str]) -> list[str]:
    return [
        f"a subject of {len(each)} characters, {LONGEST_SUBJECT} are allowed: {each}"
        for each in subjects
        if len(each) > LONGEST_SUBJECT
    ]


def recent_subjects() -> list[str]:
    """Return the commit subjects since the last tag, else since this script, with which the rule began."""
    tags = git("tag", "--list", "v*", "--merged", "HEAD^", "--sort=-creatordate").split()
    start = (
        tags[0]
        if tags
        else git("log", "--diff-filter=A", "--format=%H", "--", "scripts/release_check.py").split()[-1]
    )
    return git("log", "--format=%s", f"{start}..HEAD").splitlines()


def wrong_with_files(version: str) -> list[str]:
    """Return the built files that lack the version. The client's version is known only after its build."""
    built = [*ROOT.glob("dist/*.whl"), *ROOT.glob("dist/*.tar.gz"), *ROOT.glob("build/client-tests/dist/*")]
    return [
        f"{file.relative_to(ROOT)} is not of version {version}"
        for file in built
        if not re.match(rf"chroma_arrow(_client)?-{re.escape(version)}(-|\.tar)", file.name)
    ]


def next_steps(found: list[Section], version: str, tagged: bool) -> list[str]:
    if found[0].name == "Unreleased" and found[0].bullets:
        if any(each.name == version for each in found):
            return [f"There are lines under Unreleased, and {version} has its section: raise the version."]
        return [f"CHANGELOG.md: turn 'Unreleased' into '{version} - DATE', with a new Unreleased above it."]
    if not tagged:
        return [
            "Merge, and see that the hosted checks are green.",
            f"git tag -a v{version} -m 'Version {version}' && git push origin v{version}",
            "Approve the environment `pypi` when the wheels are built.",
        ]
    return [
        f"git push origin v{version}, if that was not done",
        f"pip install chroma-arrow=={version}, and try it",
    ]


def main(arguments: list[str]) -> int:
    written = versions()
    version = next(iter(written.values()))
    found = sections((ROOT / "CHANGELOG.md").read_text("utf-8"))
    at_head = git("tag", "--points-at", "HEAD").split()
    problems = [
        *wrong_with_versions(written),
        *wrong_with_changelog(found, version),
        *wrong_with_tags(version, at_head, git("tag").split()),
        *wrong_with_subjects(recent_subjects()),
    ]
    if changed := git("status", "--porcelain"):
        problems.append("the tree is not clean:\n" + changed)
    print(f"Version {version}, commit {git('rev-parse', '--short', 'HEAD')}")
    for what, command in [] if "--quick" in arguments else TRIED:
        print(f"--- {what}: {' '.join(command)}", flush=True)
        if subprocess.run(command, cwd=ROOT).returncode:
            problems.append(f"{' '.join(command)} failed: see above")
    problems += [] if "--quick" in arguments else wrong_with_files(version)
    if problems:
        print("\nNot ready:", *problems, sep="\n- ")
        return 1
    print("\nReady. Next:", *next_steps(found, version, f"v{version}" in at_head), sep="\n- ")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
