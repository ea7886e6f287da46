"""`make release-check` sees what is wrong with a release, and says what is to be done next."""

from __future__ import annotations

import pytest

from scripts import release_check as check

CHANGELOG = """# Changelog

## Unreleased

### Fixed

- A thing.

## 0.1.0 - 2026-12-24

- Another.
"""
EMPTY = CHANGELOG.replace("\n### Fixed\n\n- A thing.\n", "")


def test_the_changelog_is_read() -> None:
    assert check.sections(CHANGELOG) == [("Unreleased", None, 1), ("0.1.0", "2026-12-24", 1)]


def test_this_repository_is_of_one_version_and_says_so() -> None:
    written = check.versions()
    assert written
    assert check.wrong_with_versions(written) == []
    found = check.sections((check.ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert check.wrong_with_changelog(found, next(iter(written.values()))) == []


def test_versions_that_differ() -> None:
    (problem,) = check.wrong_with_versions({"a.py": "0.1.0", "pyproject.toml": "0.2.0"})
    assert "0.1.0 in a.py" in problem


@pytest.mark.parametrize(
    ("text", "version", "said"),
    [
        (CHANGELOG, "0.2.0", None),
        (EMPTY, "0.1.0", None),
        (EMPTY, "0.2.0", "neither Unreleased nor 0.2.0"),
        (CHANGELOG.replace("2026-12-24", "soon"), "0.2.0", "'0.1.0 - soon' has no date"),
        ("## 0.2.0 - 2027-01-01\n\n- More.\n\n" + CHANGELOG, "0.2.0", "must be the first"),
    ],
)
def test_changelogs(text: str, version: str, said: str | None) -> None:
    problems = check.wrong_with_changelog(check.sections(text), version)
    assert (problems == []) if said is None else (len(problems) == 1 and said in problems[0])


def test_tags() -> None:
    assert check.wrong_with_tags("0.1.0", [], ["v0.0.9"]) == []
    assert check.wrong_with_tags("0.1.0", ["v0.1.0", "demo"], ["v0.1.0", "demo"]) == []
    assert "raise the version" in check.wrong_with_tags("0.1.0", [], ["v0.1.0"])[0]
    assert "the version is 0.1.0" in check.wrong_with_tags("0.1.0", ["v0.2.0"], ["v0.2.0"])[0]


def test_subjects() -> None:
    assert check.wrong_with_subjects(["x" * 72]) == []
    assert "73 characters" in check.wrong_with_subjects(["x" * 73])[0]


def test_the_next_step() -> None:
    assert "turn 'Unreleased' into '0.2.0" in check.next_steps(check.sections(CHANGELOG), "0.2.0", False)[0]
    assert "raise the version" in check.next_steps(check.sections(CHANGELOG), "0.1.0", False)[0]
    assert "git tag -a v0.1.0" in check.next_steps(check.sections(EMPTY), "0.1.0", False)[1]
    assert "git push origin v0.1.0" in check.next_steps(check.sections(EMPTY), "0.1.0", True)[0]
