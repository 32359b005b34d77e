"""Packaging: what Home Assistant, the Marketplace and GitHub ask of the repository, asked here first."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
import importlib.metadata
import importlib.util
import json
import os
from pathlib import Path
import re
import string
import struct
import subprocess
import sys
from types import ModuleType
from typing import Any
from zipfile import ZipFile

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy
from homeassistant.bootstrap import CORE_INTEGRATIONS
from homeassistant.const import Platform, __version__ as HA_VERSION
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.selector import TargetSelector
from homeassistant.requirements import DISCOVERY_INTEGRATIONS
from packaging.requirements import Requirement
import probatio
import pytest
import yaml

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "custom_components" / "whatsminer"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LANGUAGES = sorted((HOUSE / "translations").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    """Read a JSON file, or a YAML file in which every value is a text."""
    text = path.read_text()
    return (
        json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    )


MANIFEST = load(HOUSE / "manifest.json")
HACS = load(ROOT / "hacs.json")


# Versions


def test_version_is_told_by_the_changelog() -> None:
    """A user who updates must find what the version brings."""
    headings = re.findall(
        r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    released = [heading for heading in headings if heading != "[Unreleased]"]
    assert all(
        re.fullmatch(r"\[[\d.]+\] - \d{4}-\d{2}-\d{2}", each) for each in released
    )
    assert released[0].startswith(f"[{MANIFEST['version']}] - ")
    assert headings[-len(released) :] == released


def test_floor_is_told_once() -> None:
    """Who has an older Home Assistant must not be offered what does not run there."""
    floor = HACS["homeassistant"]
    assert (
        f"Home Assistant {floor.rpartition('.')[0]} or newer"
        in (ROOT / "README.md").read_text()
    )
    assert f"Home Assistant {floor}," in (ROOT / "scripts" / "setup").read_text()
    matrix = load(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["strategy"][
        "matrix"
    ]
    assert {"home-assistant": floor, "arguments": "--floor"} in matrix["include"]


def test_floor_is_what_runs_here() -> None:
    """`scripts/test --floor` would prove nothing with another Home Assistant."""
    floor, here = AwesomeVersion(HACS["homeassistant"]), AwesomeVersion(HA_VERSION)
    assert here == floor if Path(sys.prefix).name == ".venv-floor" else here > floor


# The release


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What scripts/release runs, with copies of all that it writes."""
    spec = importlib.util.spec_from_file_location(
        "release_zip", ROOT / "scripts" / "release_zip.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, source in (
        ("MANIFEST", HOUSE / "manifest.json"),
        ("CHANGELOG", ROOT / "CHANGELOG.md"),
    ):
        copy = tmp_path / source.name
        copy.write_text(source.read_text())
        monkeypatch.setattr(module, name, copy)
    monkeypatch.setattr(module, "DIST", tmp_path / "dist")
    return module


def test_zip_is_what_the_marketplace_installs(release: ModuleType) -> None:
    """A folder too many, or a file too few, and nothing works after the download."""
    assert HACS["zip_release"] is True
    assert HACS["hide_default_branch"] is True  # a branch has no zip
    package = release.build()
    assert package.name == HACS["filename"]
    with ZipFile(package) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        for name in names:
            assert archive.read(name) == (HOUSE / name).read_bytes()
    assert {"__init__.py", "manifest.json", "icons.json", "api/__init__.py"} <= names
    assert {"brand/icon.png", "translations/en.json"} <= names
    assert not [
        name for name in names if "__pycache__" in name or name.endswith(".pyc")
    ]
    before = package.read_bytes()
    assert release.build().read_bytes() == before, "not the same when built again"
    notes = (release.DIST / "notes.md").read_text()
    assert notes.strip()
    assert not re.search(r"^## ", notes, re.MULTILINE)


@pytest.mark.timeout(240)
def test_zip_works_in_a_fresh_home_assistant(
    release: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that only exists in the repository would be missed by everyone else."""
    release.try_out(release.build())
    assert "works in a fresh Home Assistant" in capfd.readouterr().out


@pytest.mark.timeout(240)
def test_broken_zip_is_not_released(release: ModuleType) -> None:
    """The test above, and the release, would be green for ever if nothing were tried."""
    package = release.build()
    broken = package.with_name("broken.zip")
    with ZipFile(package) as whole, ZipFile(broken, "w") as part:
        for name in whole.namelist():
            if name != "coordinator.py":
                part.writestr(name, whole.read(name))
    with pytest.raises(release.ReleaseError, match="did not take it"):
        release.try_out(broken)


def test_version_is_raised_everywhere(release: ModuleType) -> None:
    """A manifest and a changelog that differ confuse everyone who reports a bug."""
    changelog = release.CHANGELOG.read_text().replace("## [Unreleased]", "## [9.0.0]")
    release.CHANGELOG.write_text(
        changelog.replace("## ", "## [Unreleased]\n\n* Something new.\n\n## ", 1)
    )
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    release.bump("9.8.7")
    assert json.loads(release.MANIFEST.read_text()) == {**MANIFEST, "version": "9.8.7"}
    assert release.notes("9.8.7") == "* Something new.\n"
    assert release.CHANGELOG.read_text() == changelog.replace(
        "## ", f"## [9.8.7] - {today}\n\n* Something new.\n\n## ", 1
    )


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ("v9.8.7", "is no version"),
        ("9.8", "is no version"),
        ("0.0.1", "Choose a higher one"),
        (MANIFEST["version"], "Choose a higher one"),
        ("9.8.7", "says nothing of Unreleased"),
    ],
)
def test_version_is_not_raised_by_mistake(
    release: ModuleType, version: str, complaint: str
) -> None:
    """A release that must be taken back has been installed by then."""
    released = release.CHANGELOG.read_text().replace("## [Unreleased]", "## [9.0.0]")
    release.CHANGELOG.write_text(released)
    with pytest.raises(release.ReleaseError, match=complaint):
        release.bump(version)
    assert release.CHANGELOG.read_text() == released
    assert load(release.MANIFEST) == MANIFEST


def test_tag_must_be_the_version(release: ModuleType) -> None:
    """The Marketplace offers the tag; Home Assistant then shows the manifest's version."""
    options = release.argparse.Namespace(version=None, tag="9.9.9", check=False)
    with pytest.raises(release.ReleaseError, match=r"The tag is 9\.9\.9"):
        release.main(options)
    assert not release.DIST.exists()


# Workflows


WRITES = {
    ("release", "release"): {"contents": "write"},
    ("codeql", "analyze"): {"security-events": "write"},
}
"""What a job may write: a release, and what the search for security faults has found."""


def jobs() -> Iterator[Any]:
    """Every job of every workflow."""
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


each_job = pytest.mark.parametrize("job", [*jobs()])


def test_there_are_workflows() -> None:
    """The tests below would be green for ever if there were none."""
    assert {path.stem for path in WORKFLOWS} >= {"lint", "release", "test", "validate"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(path: Path) -> None:
    """A tag can be moved to other code; a commit cannot. The comment says which version it is."""
    used = re.findall(r"uses: *(.+)$", path.read_text(), re.MULTILINE)
    steps = [step for job in load(path)["jobs"].values() for step in job["steps"]]
    assert len(used) == len([step for step in steps if "uses" in step])
    for action in used:
        assert re.fullmatch(
            r"[\w/.-]+@[0-9a-f]{40} # (v?\d+(\.\d+)*|master)", action
        ), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_do_nothing_by_default(path: Path) -> None:
    """What a workflow may do, a dependency that was taken over may do."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in workflow["on"]
    for name, job in workflow["jobs"].items():
        more = WRITES.get((path.stem, name), {})
        assert job["permissions"] == {"contents": "read"} | more


@each_job
def test_jobs_keep_no_credentials_and_end(job: dict[str, Any]) -> None:
    """A test that hangs would run for six hours, and code under test could read a token."""
    assert int(job["timeout-minutes"]) <= 60
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


@each_job
def test_commands_of_jobs_exist(job: dict[str, Any]) -> None:
    """A workflow with a wrong command is only found out once it is public."""
    included = job.get("strategy", {}).get("matrix", {}).get("include", [])
    for step in job["steps"]:
        command = step.get("run", "")
        assert "${{" not in command, "what GitHub puts in could be a command of its own"
        for each in included or [{}]:
            words = command.replace("$ARGUMENTS", each.get("arguments", "")).split()
            if not words or words[0] == "gh":
                continue
            assert words[0].startswith("scripts/")
            script = ROOT / words[0]
            assert os.access(script, os.X_OK)
            for option in (word for word in words if word.startswith("--")):
                assert option in helped(script), f"{words[0]} does not know {option}"


def helped(script: Path) -> list[str]:
    """What the script says of itself, word by word."""
    return subprocess.run(
        [script, "--help"], check=True, capture_output=True, text=True
    ).stdout.split()


def test_release_attaches_what_was_built() -> None:
    """A release without its zip cannot be installed."""
    workflow = load(ROOT / ".github" / "workflows" / "release.yml")
    build, publish = [
        step for step in workflow["jobs"]["release"]["steps"] if "run" in step
    ]
    assert build["run"] == 'scripts/release --check --tag "$GITHUB_REF_NAME"'
    assert publish["run"].startswith(
        f'gh release create "$GITHUB_REF_NAME" dist/{HACS["filename"]} --verify-tag '
    )
    assert list(workflow["on"]) == ["push"]


def test_dependabot_follows_actions_and_packages() -> None:
    """A pin that nobody moves is an old version with known holes."""
    updates = load(ROOT / ".github" / "dependabot.yml")["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "pip"}


def test_devcontainer_runs_the_demo() -> None:
    """Who opens the repository in a container wants to see it work."""
    container = load(ROOT / ".devcontainer" / "devcontainer.json")
    for command in (container["postCreateCommand"], container["postAttachCommand"]):
        assert os.access(ROOT / command, os.X_OK)
    assert container["postAttachCommand"] == "scripts/demo"
    assert 8123 in container["forwardPorts"]


# Issue forms


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_form_is_valid(name: str) -> None:
    """GitHub shows an empty page instead of a form with an error."""
    form = load(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert form["name"]
    assert form["description"]
    for field in form["body"]:
        assert field["type"] in {"markdown", "input", "textarea"}
        assert field["attributes"].get("label") or field["type"] == "markdown"
    ids = [field["id"] for field in form["body"] if "id" in field]
    assert len(ids) == len(set(ids))


def test_bug_form_asks_for_what_is_needed() -> None:
    """A report without these costs both sides a day."""
    form = load(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    required = {
        field["id"]
        for field in form["body"]
        if field.get("validations", {}).get("required") == "true"
    }
    assert required == {
        "what",
        "diagnostics",
        "model",
        "firmware",
        "version",
        "home-assistant",
    }


# What hassfest and the Marketplace check


def test_manifest_is_valid() -> None:
    """Home Assistant does not load an integration without a valid manifest."""
    assert list(MANIFEST) == [
        "domain",
        "name",
        *sorted(MANIFEST.keys() - {"domain", "name"}),
    ]
    assert MANIFEST["domain"] == HOUSE.name
    assert MANIFEST.keys() >= {
        "codeowners",
        "documentation",
        "issue_tracker",
        "version",
    }
    assert AwesomeVersion(MANIFEST["version"]).strategy is AwesomeVersionStrategy.SEMVER
    assert MANIFEST["iot_class"] == "local_polling"
    assert MANIFEST["integration_type"] == "device"
    for matcher in MANIFEST["dhcp"]:
        assert matcher.keys() <= {"hostname", "macaddress", "registered_devices"}
        assert matcher.get("hostname", "").islower() or "registered_devices" in matcher
    for url in (MANIFEST["documentation"], MANIFEST["issue_tracker"]):
        assert url.startswith("https://")
    assert not set(MANIFEST.get("dependencies", [])) & set(
        MANIFEST.get("after_dependencies", [])
    )


def test_hacs_json_is_valid() -> None:
    """The Marketplace leaves out a key that it does not know."""
    assert HACS.keys() <= {
        *("name", "homeassistant", "zip_release", "filename", "hide_default_branch")
    }
    assert HACS["name"] == MANIFEST["name"]
    assert (ROOT / "README.md").exists()
    assert "MIT License" in (ROOT / "LICENSE").read_text()


def test_requirements_are_those_of_the_tests() -> None:
    """A user gets what the manifest asks for; so must the tests."""
    tested = {
        requirement.name: next(iter(requirement.specifier)).version
        for line in (ROOT / "requirements_test.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for requirement in [Requirement(line)]
    }
    for line in MANIFEST["requirements"]:
        assert " " not in line
        requirement = Requirement(line)
        assert requirement.specifier.contains(tested[requirement.name]), line


def imports() -> set[str]:
    """All modules that the integration imports from elsewhere."""
    found = set()
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_are_required() -> None:
    """A package that only the tests bring along is missing in a fresh Home Assistant."""
    packages = {module.partition(".")[0] for module in imports()}
    foreign = packages - sys.stdlib_module_names
    provided = importlib.metadata.packages_distributions()
    always = {"homeassistant"} | {
        Requirement(line).name
        for line in importlib.metadata.requires("homeassistant") or []
    }
    required = {Requirement(line).name for line in MANIFEST["requirements"]}
    imported = {name for package in foreign for name in provided[package]}
    assert required == imported - always


def test_components_that_are_used_are_named() -> None:
    """Home Assistant might set up the integration before what it uses."""
    used = {
        module.split(".")[2]
        for module in imports()
        if module.startswith("homeassistant.components.")
    }
    discovery = {
        domain
        for domain, keys in DISCOVERY_INTEGRATIONS.items()
        if {*keys} & MANIFEST.keys()
    }
    named = {*MANIFEST.get("dependencies", []), *MANIFEST.get("after_dependencies", [])}
    own = {path.stem for path in HOUSE.glob("*.py")}
    there = {platform.value for platform in Platform} | CORE_INTEGRATIONS
    assert "sensor" in used
    assert used <= there | discovery | named | own


def test_brand_images_are_there() -> None:
    """Without them the integration has a grey square for a face."""
    for name, size in (("icon.png", 256), ("icon@2x.png", 512)):
        head = (HOUSE / "brand" / name).read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", head[16:24]) == (size, size)


KEY = re.compile(r"(?!.+[_-]{2})[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
URL = re.compile(r"\b(?:https?|ftps?|mqtts?)://|\bwww\.", re.IGNORECASE)


def leaves(texts: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All texts, each with the keys that lead to it."""
    if isinstance(texts, dict):
        for key, below in texts.items():
            yield from leaves(below, *path, key)
    else:
        yield path, texts


def text(value: Any) -> None:
    """Check a translation the way hassfest does."""
    cv.string_with_no_html(value)
    assert value == value.strip()
    assert not URL.search(value), "pass it as a placeholder"
    assert not re.search(r"'{\w+}'", value)
    for _, name, _, _ in string.Formatter().parse(value):
        assert name is None or name.isidentifier()


@pytest.mark.parametrize(
    "wrong",
    ["<b>bold</b>", " space", "see https://example.com", "'{host}'", "{a b}", "{}"],
)
def test_wrong_translations_are_noticed(wrong: str) -> None:
    """The test below would be green for ever if it noticed nothing."""
    with pytest.raises((AssertionError, probatio.Invalid)):
        text(wrong)


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_translations_are_valid(path: Path) -> None:
    """A text that Home Assistant cannot fill in is shown as its key, or not at all."""
    texts = load(path)
    assert texts.keys() <= {
        *(
            "config",
            "options",
            "entity",
            "exceptions",
            "issues",
            "services",
            "selector",
        ),
        *("common", "device", "title"),
    }
    for keys, value in leaves(texts):
        text(value)
        assert all(KEY.fullmatch(key) for key in keys), keys
        # A state is shown as it stands.
        assert "{" not in value or keys[0] != "entity" or keys[-2] != "state", keys
    flows = [texts["config"], texts["options"]]
    flows += [
        issue["fix_flow"] for issue in texts["issues"].values() if "fix_flow" in issue
    ]
    for step in (step for flow in flows for step in flow["step"].values()):
        assert step.get("data_description", {}).keys() <= step.get("data", {}).keys()
    for issue in texts["issues"].values():
        assert issue["title"]
        assert ("description" in issue) != ("fix_flow" in issue)


def test_actions_have_texts_and_icons() -> None:
    """An action without them is a riddle in the automation editor."""
    path = HOUSE / "services.yaml"
    actions = load(path) if path.exists() else {}
    texts = load(HOUSE / "translations" / "en.json").get("services", {})
    assert texts.keys() == actions.keys()
    assert load(HOUSE / "icons.json").get("services", {}).keys() == actions.keys()
    for name, action in actions.items():
        assert texts[name]["name"]
        assert texts[name]["description"]
        fields = flat((action or {}).get("fields", {}))
        assert texts[name].get("fields", {}).keys() == fields.keys()
        for field in texts[name].get("fields", {}).values():
            assert field["name"]
            assert field["description"]


def test_actions_are_for_miners() -> None:
    """The editor would offer every device of the house; hassfest refuses a filter by device."""
    actions = load(HOUSE / "services.yaml")
    assert actions
    for name, action in actions.items():
        assert action["target"] == {"entity": {"integration": MANIFEST["domain"]}}, name
        TargetSelector(action["target"])


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an action, also those in a section."""
    found = {}
    for name, field in fields.items():
        found |= flat(field["fields"]) if "fields" in field else {name: field}
    return found


def test_icons_are_valid() -> None:
    """Home Assistant shows no icon at all where it cannot read one."""
    icons = load(HOUSE / "icons.json")
    for _, icon in leaves(icons):
        assert re.fullmatch(r"mdi:[a-z0-9-]+", icon)
    for platform, entities in icons["entity"].items():
        assert platform in set(Platform)
        for entity in entities.values():
            assert entity.keys() <= {"default", "state", "range"}
            assert entity.get("default") not in entity.get("state", {}).values()
            borders = [float(border) for border in entity.get("range", {})]
            assert borders == sorted(borders)
