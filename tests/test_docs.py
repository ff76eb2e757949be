"""The documentation keeps up with the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import landscape_cli
from landscape_cli.cli.app import COMMANDS
from tests.support.pages import BLOCK, DOCS, ROOT, WIDTH, command_line_page, help_texts, with_examples
from tests.test_architecture import ALLOWED

NAMES = list(COMMANDS)
FUNCTIONS = [name for name in landscape_cli.__all__ if inspect.isroutine(getattr(landscape_cli, name))]
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *(ROOT / "examples").glob("*/README.md")])
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
MADE_FROM_HELP = "run python -m tests.support.pages"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return help_texts()


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_no_torch_shows_examples_and_fits(texts: dict[str, str], name: str) -> None:
    text = texts[name]
    assert "Examples:" in text
    assert f"  landscape {name} " in text
    examples = text.index("Examples:")
    options = text.index("\n\n", examples)
    assert max(map(len, text[options:].splitlines())) <= int(WIDTH)


def test_program_help_lists_every_command(texts: dict[str, str]) -> None:
    assert "Examples:" in texts[""]
    assert all(re.search(rf"^  {name} +\S", texts[""], re.MULTILINE) for name in NAMES)


def test_the_page_of_the_command_line_is_what_help_says(texts: dict[str, str]) -> None:
    assert (DOCS / "cli.md").read_text() == command_line_page(texts), MADE_FROM_HELP


def test_worked_examples_are_the_files_that_tests_run() -> None:
    page = (DOCS / "extending.md").read_text()
    shown = {match[2] for match in BLOCK.finditer(page)}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "extending").glob("*.py")}
    examples = {file for file in files if not Path(file).name.startswith(("test_", "__init__"))}
    assert examples <= shown
    assert with_examples(page) == page, MADE_FROM_HELP


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(CODE.sub("", page.read_text())):
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), target


def anchors(text: str) -> set[str]:
    """Return what headings can be linked by."""
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


def test_readme_is_short_and_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.encode()) < 10_000
    assert all(f"`landscape {name}" in readme or f"landscape {name} " in readme for name in NAMES)


def test_docstrings_cite_headings_that_are_there() -> None:
    method = (DOCS / "method.md").read_text()
    headings = set(re.findall(r"^## (.+)$", method, re.MULTILINE))
    cited = set()
    for path in Path(landscape_cli.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"\bSPEC \d", text), path
        cited |= {heading.strip() for heading in re.findall(r"docs/method\.md: ([A-Z][a-z ]+)", text)}
    assert cited
    assert cited <= headings


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_say_what_they_take_and_return(name: str) -> None:
    function = getattr(landscape_cli, name)
    text = inspect.getdoc(function) or ""
    summary, _, rest = text.partition("\n")
    assert summary.endswith((".", ":"))
    parts = re.split(r"^(Args|Returns|Raises|Warns):$", rest, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    signature = inspect.signature(function)
    described = re.findall(r"^    \*{0,2}(\w+): \S", sections.get("Args", ""), re.MULTILINE)
    assert described == list(signature.parameters)
    assert ("Returns" in sections) == (signature.return_annotation not in {None, "None"})
    assert sections["Raises"].strip()


def test_the_page_of_the_architecture_names_every_module() -> None:
    """Each in the table of its folder, and none that is not there; of `__init__.py`, the package's own."""
    _, tree, _ = re.split(r"^## (?:The tree|Who may import whom)$", (DOCS / "architecture.md").read_text(), flags=re.M)
    named = []
    for section in tree.split("\n### ")[1:]:
        folder = re.match(r"`(\w+/)`", section)
        cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
        named += [f"{folder[1] if folder else ''}{name}" for cell in cells for name in re.findall(r"`(\S+\.py)`", cell)]
    package = Path(landscape_cli.__file__).parent
    modules = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    assert sorted(named) == sorted(name for name in modules if not name.endswith("/__init__.py"))


def test_the_page_of_the_architecture_says_who_imports_whom() -> None:
    page = (DOCS / "architecture.md").read_text()
    table = page[page.index("## Who may import whom") : page.index("## One network")]
    said = {}
    for folders, others in re.findall(r"^\| (`.+?) \| (.+?) \|$", table, re.MULTILINE):
        for folder in re.findall(r"`(\w+)/`", folders):
            said[folder] = set(re.findall(r"`(\w+)`", others))
    assert said.pop("cli") == set()
    assert said == ALLOWED


def test_files_that_the_page_of_the_architecture_leads_to_are_there() -> None:
    package = Path(landscape_cli.__file__).parent
    page = (DOCS / "architecture.md").read_text()
    answers = page[page.index("## Where is") :]
    for name, definition in re.findall(r"`([\w/*]+\.py)`(?: \(`(\w+)`?)?", answers):
        files = sorted(package.glob(name))
        assert files, name
        assert definition is None or any(re.search(rf"\b{definition}\b", file.read_text()) for file in files), name


def test_changelog_has_this_version() -> None:
    assert f"## {landscape_cli.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{landscape_cli.__version__}"' in (ROOT / "pyproject.toml").read_text()
