"""Packaging: the requirements of Home Assistant, the Marketplace and GitHub, tested here first."""

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
import homeassistant.components
from homeassistant.const import Platform, __version__ as HA_VERSION
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.selector import TargetSelector, selector
from homeassistant.requirements import DISCOVERY_INTEGRATIONS
from packaging.requirements import Requirement
import probatio
import pytest
import yaml

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "custom_components" / "whatsminer"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ON_FLOOR = Path(sys.prefix).name == ".venv-floor"
LANGUAGES = sorted((HOUSE / "translations").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    """Return a JSON file, or a YAML file with every value as text."""
    text = path.read_text()
    return (
        json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    )


MANIFEST = load(HOUSE / "manifest.json")
HACS = load(ROOT / "hacs.json")


# Versions


def test_changelog_names_the_version() -> None:
    """A user who updates would not find what the version changes."""
    headings = re.findall(
        r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    released = [heading for heading in headings if heading != "[Unreleased]"]
    assert all(
        re.fullmatch(r"\[[\d.]+\] - \d{4}-\d{2}-\d{2}", each) for each in released
    )
    assert released[0].startswith(f"[{MANIFEST['version']}] - ")
    assert headings[-len(released) :] == released


def test_minimum_version_is_stated_once() -> None:
    """A user with an older Home Assistant would be offered a version that does not run there."""
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
    """`scripts/test --floor` would test another Home Assistant than the oldest supported one."""
    floor, here = AwesomeVersion(HACS["homeassistant"]), AwesomeVersion(HA_VERSION)
    assert here == floor if ON_FLOOR else here > floor


# The release


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of scripts/release, with copies of the files that it writes."""
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
    """The integration would not work after the download because of a missing file or a wrong folder."""
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
    """A user would miss a file that only exists in the repository."""
    release.try_out(release.build())
    assert "works in a fresh Home Assistant" in capfd.readouterr().out


@pytest.mark.timeout(240)
def test_broken_zip_is_not_released(release: ModuleType) -> None:
    """The test above and the release would always pass if they tested nothing."""
    package = release.build()
    broken = package.with_name("broken.zip")
    with ZipFile(package) as whole, ZipFile(broken, "w") as part:
        for name in whole.namelist():
            if name != "coordinator.py":
                part.writestr(name, whole.read(name))
    with pytest.raises(release.ReleaseError, match="did not take it"):
        release.try_out(broken)


def test_version_is_raised_everywhere(release: ModuleType) -> None:
    """Manifest and changelog would differ, which confuses users who report a bug."""
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
    """A broken release would be installed by users before it can be withdrawn."""
    released = release.CHANGELOG.read_text().replace("## [Unreleased]", "## [9.0.0]")
    release.CHANGELOG.write_text(released)
    with pytest.raises(release.ReleaseError, match=complaint):
        release.bump(version)
    assert release.CHANGELOG.read_text() == released
    assert load(release.MANIFEST) == MANIFEST


def test_tag_must_be_the_version(release: ModuleType) -> None:
    """The Marketplace would offer one version (the tag), and Home Assistant show another (the manifest)."""
    options = release.argparse.Namespace(version=None, tag="9.9.9", check=False)
    with pytest.raises(release.ReleaseError, match=r"The tag is 9\.9\.9"):
        release.main(options)
    assert not release.DIST.exists()


# Workflows


WRITES = {
    ("release", "release"): {"contents": "write"},
    ("codeql", "analyze"): {"security-events": "write"},
}
"""The permissions to write that a job may have: releases, and findings of the security scan."""


def jobs() -> Iterator[Any]:
    """Return every job of every workflow."""
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


each_job = pytest.mark.parametrize("job", [*jobs()])


def test_there_are_workflows() -> None:
    """The tests below would always pass if there were no jobs."""
    assert {path.stem for path in WORKFLOWS} >= {"lint", "release", "test", "validate"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(path: Path) -> None:
    """An action could change its code: a tag can move, a commit cannot. The comment names the version."""
    used = re.findall(r"uses: *(.+)$", path.read_text(), re.MULTILINE)
    steps = [step for job in load(path)["jobs"].values() for step in job["steps"]]
    assert len(used) == len([step for step in steps if "uses" in step])
    for action in used:
        assert re.fullmatch(
            r"[\w/.-]+@[0-9a-f]{40} # (v?\d+(\.\d+)*|master)", action
        ), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_do_nothing_by_default(path: Path) -> None:
    """A compromised dependency would have all permissions of the workflow."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in workflow["on"]
    for name, job in workflow["jobs"].items():
        more = WRITES.get((path.stem, name), {})
        assert job["permissions"] == {"contents": "read"} | more


@each_job
def test_jobs_keep_no_credentials_and_end(job: dict[str, Any]) -> None:
    """A test that hangs would run for six hours, and tested code could read a token."""
    assert int(job["timeout-minutes"]) <= 60
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


@each_job
def test_commands_of_jobs_exist(job: dict[str, Any]) -> None:
    """A wrong command in a workflow would only be noticed in public."""
    included = job.get("strategy", {}).get("matrix", {}).get("include", [])
    for step in job["steps"]:
        command = step.get("run", "")
        assert "${{" not in command, "what GitHub puts in could be a command of its own"
        for each in included or [{}]:
            parts = command.replace("$ARGUMENTS", each.get("arguments", "")).split()
            if not parts or parts[0] == "gh":
                continue
            assert parts[0].startswith("scripts/")
            script = ROOT / parts[0]
            assert os.access(script, os.X_OK)
            options = [part for part in parts[1:] if part.startswith("--")]
            for option in options:
                assert option in helped(script), f"{parts[0]} does not know {option}"


def helped(script: Path) -> list[str]:
    """Return the words of a script's help."""
    return subprocess.run(
        [script, "--help"], check=True, capture_output=True, text=True
    ).stdout.split()


def test_release_attaches_what_was_built() -> None:
    """A release without its zip could not be installed."""
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
    """A dependency would stay at an old version with known vulnerabilities."""
    updates = load(ROOT / ".github" / "dependabot.yml")["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "pip"}


def test_devcontainer_runs_the_demo() -> None:
    """The development container would not work."""
    container = load(ROOT / ".devcontainer" / "devcontainer.json")
    for command in (container["postCreateCommand"], container["postAttachCommand"]):
        assert os.access(ROOT / command, os.X_OK)
    assert container["postAttachCommand"] == "scripts/demo"
    assert 8123 in container["forwardPorts"]


# Issue forms


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_form_is_valid(name: str) -> None:
    """GitHub would show an empty page instead of a form that has an error."""
    form = load(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert form["name"]
    assert form["description"]
    for field in form["body"]:
        assert field["type"] in {"markdown", "input", "textarea"}
        assert field["attributes"].get("label") or field["type"] == "markdown"
    ids = [field["id"] for field in form["body"] if "id" in field]
    assert len(ids) == len(set(ids))


def test_bug_form_asks_for_what_is_needed() -> None:
    """A bug report would lack the information that is needed."""
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
    """Home Assistant would not load the integration without a valid manifest."""
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
    """The Marketplace would ignore an unknown key."""
    assert HACS.keys() <= {
        *("name", "homeassistant", "zip_release", "filename", "hide_default_branch")
    }
    assert HACS["name"] == MANIFEST["name"]
    assert (ROOT / "README.md").exists()
    assert "MIT License" in (ROOT / "LICENSE").read_text()


def test_requirements_are_those_of_the_tests() -> None:
    """The tests would use other package versions than a user's installation, or miss one on a fresh machine."""
    tested = {
        requirement.name: next(iter(requirement.specifier)).version
        for line in (ROOT / "requirements_test.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for requirement in [Requirement(line)]
    }
    core = Path(homeassistant.components.__path__[0])
    used = [
        line
        for name in ("conversation", "homekit", "camera", "ffmpeg")
        for line in load(core / name / "manifest.json")["requirements"]
        if not ON_FLOOR
    ]
    for line in MANIFEST["requirements"] + used:
        assert " " not in line
        requirement = Requirement(line)
        assert requirement.specifier.contains(tested[requirement.name]), line


def imports() -> set[str]:
    """Return all third-party modules that the integration imports."""
    found = set()
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_are_required() -> None:
    """A package that only the tests install would be missing in a new Home Assistant."""
    packages = {module.partition(".")[0] for module in imports()}
    # Type checkers bring it along; it does not exist when the code runs.
    foreign = packages - sys.stdlib_module_names - {"_typeshed"}
    provided = importlib.metadata.packages_distributions()
    always = {"homeassistant"} | {
        Requirement(line).name
        for line in importlib.metadata.requires("homeassistant") or []
    }
    required = {Requirement(line).name for line in MANIFEST["requirements"]}
    imported = {name for package in foreign for name in provided[package]}
    assert required == imported - always


def test_components_that_are_used_are_named() -> None:
    """Home Assistant could set up the integration before its dependencies."""
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
    """The integration would have no icon."""
    for name, size in (("icon.png", 256), ("icon@2x.png", 512)):
        head = (HOUSE / "brand" / name).read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", head[16:24]) == (size, size)


KEY = re.compile(r"(?!.+[_-]{2})[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
URL = re.compile(r"\b(?:https?|ftps?|mqtts?)://|\bwww\.", re.IGNORECASE)


def leaves(texts: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Return all texts, each with its path of keys."""
    if isinstance(texts, dict):
        for key, below in texts.items():
            yield from leaves(below, *path, key)
    else:
        yield path, texts


_STEP = (
    r"title|description|submit|sections\.K\.(name|description)"
    r"|(menu_options|menu_option_descriptions)\.K|(sections\.K\.)?(data|data_description)\.K"
)
_FLOW = rf"flow_title|(error|abort|progress|create_entry)\.K|step\.K\.({_STEP})"
_FIELDS = r"name|description|fields\.K\.(name|description)"
PLACES = re.compile(
    "|".join(
        (
            rf"(config|options|issues\.K\.fix_flow)\.({_FLOW})",
            rf"(services|triggers|conditions)\.K\.({_FIELDS})",
            r"entity\.K\.K\.((state_attributes\.K\.)?(name|state\.K)|unit_of_measurement)",
            r"selector\.K\.((options|unit_of_measurement)\.K|fields\.K\.(name|description))",
            r"exceptions\.K\.message|issues\.K\.(title|description)|common\.K|title",
        )
    ).replace("K", r"[\w-]+")
)
"""Where a text may stand; one elsewhere is never shown."""


def text(value: Any) -> None:
    """Return the errors that hassfest would find in a translation."""
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
    """The test below would always pass if the check found nothing."""
    with pytest.raises((AssertionError, probatio.Invalid)):
        text(wrong)


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_translations_are_valid(path: Path) -> None:
    """A text with a wrong placeholder would be shown as its key, or not at all."""
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
            "triggers",
            "conditions",
        ),
        *("common", "device", "title"),
    }
    for keys, value in leaves(texts):
        text(value)
        assert all(KEY.fullmatch(key) for key in keys), keys
        assert PLACES.fullmatch(".".join(keys)), keys
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
    """An action would have no name or description in the automation editor."""
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
    """The editor would offer all devices; hassfest refuses a filter by device."""
    actions = load(HOUSE / "services.yaml")
    assert actions
    for name, action in actions.items():
        assert action["target"] == {"entity": {"integration": MANIFEST["domain"]}}, name
        TargetSelector(action["target"])


@pytest.mark.parametrize("kind", ["services", "triggers", "conditions"])
def test_required_parts_of_forms_are_valid(kind: str) -> None:
    """The editor would show no form, or an option by its key."""
    texts = load(HOUSE / "translations" / "en.json")
    for name, form in yaml.safe_load((HOUSE / f"{kind}.yaml").read_text()).items():
        assert form.keys() <= {"target", "fields"}, name
        TargetSelector(form["target"])
        assert texts[kind][name].keys() >= {"name", "description"}
        fields = flat(form.get("fields") or {})
        assert texts[kind][name].get("fields", {}).keys() == fields.keys(), name
        for key, field in fields.items():
            assert field.keys() <= {
                *("required", "default", "example", "advanced", "selector")
            }
            selector(field["selector"])
            [(type_, config)] = field["selector"].items()
            if translation_key := (config or {}).get("translation_key"):
                part = "fields" if type_ == "object" else "options"
                wanted = [*config[part]]
                assert [*texts["selector"][translation_key][part]] == wanted, key


def test_quality_scale_is_valid() -> None:
    """A rule that is missing, or exempt without a reason, is a promise that nobody can check."""
    rules = load(HOUSE / "quality_scale.yaml")["rules"]
    assert len(rules) == 54
    for name, rule in rules.items():
        status = rule["status"] if isinstance(rule, dict) else rule
        assert status in {"done", "todo", "exempt"}, name
        assert status == "done" or rule["comment"].endswith("."), name
    assert {name for name, rule in rules.items() if "todo" in str(rule)} == {
        "dependency-transparency",
        "integration-owner",
    }


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an action, also those in a section."""
    found = {}
    for name, field in fields.items():
        found |= flat(field["fields"]) if "fields" in field else {name: field}
    return found


def test_icons_are_valid() -> None:
    """Home Assistant would show no icon where it cannot read one."""
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
