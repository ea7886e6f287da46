"""The files in deploy/ fit the server: its settings, metrics, routes, ports and commands."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from chroma.cli import cli
from chroma.server.routes import ROUTES
from chroma.server.settings.server_settings import declared

from ..chroma.server.conftest import Api

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "chroma-arrow"
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
# Only Linux has it, and only in a single process.
OF_THE_PROCESS = {"process_resident_memory_bytes"}


def test_settings_exist() -> None:
    known = {f"CHROMA_{name.upper()}" for name, _, _ in declared()}
    found = {
        (path.name, name)
        for path in FILES
        for name in re.findall(r"\bCHROMA_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))
    }
    assert len(found) > 20
    assert not [pair for pair in found if pair[1] not in known]


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each call of chroma in a file of settings or of text."""
    text = text.replace("\\\n", " ")
    for match in re.finditer(r"(?m)(?:^|`|chroma \\?\n#? *|/bin/)chroma ((?:[a-z]+)(?: [^`\n#…]*)?)", text):
        yield shlex.split(match[1].partition(" # ")[0].partition(" 2>")[0].replace("'", "").rstrip(".,:"))


PAGES = [ROOT / "docs" / name for name in ("deploy.md", "security.md")]


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_commands_and_options_exist(path: Path) -> None:
    for arguments in commands(path.read_text("utf-8")):
        command: Any = cli
        while isinstance(command, click.Group) and arguments:
            name = arguments.pop(0)
            command = command.get_command(click.Context(command), name)
            assert command is not None, f"{path.name}: chroma {name}"
        known = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        wrong = [
            option for option in arguments if option.startswith("--") and option.split("=")[0] not in known
        ]
        assert not wrong, f"{path.name}: chroma {command.name} has no {wrong}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_pages_name_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    for named in re.findall(r"`?(deploy/[A-Za-z0-9_./-]+[A-Za-z0-9/])", text):
        assert (ROOT / named).exists(), named
    command: Any = cli.get_command(click.Context(cli), "run")
    run = {option for parameter in command.params for option in parameter.opts}
    others = {"--keep", "--days", "--grace-hours", "--time", "--set"}
    for option in re.findall(r"`(--[a-z-]+)", text):
        assert option in run | others, option
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for group, key in re.findall(r"`(persistence|backup|auth|image)\.([A-Za-z]+)`", text):
        assert key in values[group]


def test_routes_exist() -> None:
    known = {route.path for route in ROUTES}
    for path in [*FILES, *PAGES]:
        for route in re.findall(r"(?<![\w}])/api/v2/[a-z/-]+", path.read_text("utf-8")):
            assert route in known, f"{path.name}: {route}"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    api = Api(tmp_path / "db", backup_dir=str(tmp_path / "backups"))
    yield api
    api.backend.close()


def test_metrics_exist(api: Api) -> None:
    """Every metric of the dashboard and of the rules is one that a server exports, and none is left out."""
    things = api.collection()
    api.post(f"{things}/add", {"ids": ["a"], "embeddings": [[1.0, 2.0]]})
    text = api.get("/metrics").text
    exported = {sample.name for each in text_string_to_metric_families(text) for sample in each.samples}
    exported = {name for name in exported if not name.endswith("_created")}
    rules = yaml.safe_load((DEPLOY / "monitoring" / "alerts.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    panels = json.loads((DEPLOY / "monitoring" / "grafana.json").read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    named = set(re.findall(r"\b(?:chroma|process)_\w+", " ".join([*expressions, *shown])))
    assert named - exported - OF_THE_PROCESS == set()
    left_out = {name for name in exported if name.startswith("chroma_")} - named
    assert left_out == set()
    labels = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", " ".join([*expressions, *shown])))
    assert labels <= {"job", "instance", "route", "status"}


def test_the_chart_and_its_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(values)
    for wrong in (
        {"nonsense": 1},
        {"settings": {"PATH": "/x"}},
        {"ingress": {"enabled": True, "host": ""}},
        {"service": {"port": 0}},
        {"persistence": {"size": "much"}},
    ):
        assert not validator.is_valid(values | wrong), wrong
    templates = "".join(path.read_text() for path in CHART.glob("templates/*"))
    for name in set(re.findall(r"\.Values\.(\w+(?:\.\w+)?)", templates)):
        found: Any = values
        for part in name.split("."):
            found = found[part]
    version = re.search(r'(?m)^version = "(.+)"', (ROOT / "pyproject.toml").read_text())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert version and chart["appVersion"] == version[1]
    compose = yaml.safe_load((DEPLOY / "compose" / "docker-compose.yml").read_text())
    assert compose["services"]["chroma"]["image"].endswith(f":{version[1]}")


def test_the_image_gets_what_it_copies() -> None:
    """.dockerignore lets in every file that the Dockerfile copies."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    copied: set[str] = set()
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / path).exists() for path in copied)


def test_the_health_check_of_the_image(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = runpy.run_path(str(DEPLOY / "healthcheck.py"))["main"]
    monkeypatch.setenv("CHROMA_PORT", "tcp://10.0.0.1:1")
    assert check() == 1
    assert "http://127.0.0.1:1/api/v2/healthcheck did not answer" in capsys.readouterr().out
