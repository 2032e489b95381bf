"""One file about a run: all of it is there, none of it needs anything else, and no run can make it do something."""

from __future__ import annotations

import base64
import io
import json
import re
import signal
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from tests.export.trained_models import small_config, trained_run
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer import cli
from vae_explorer.cli_signals import STOPPED
from vae_explorer.config import read_toml
from vae_explorer.export import report_style
from vae_explorer.gui import theme
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.run_config import with_value

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "b", "br", "span", "dl", "dt",
    "dd", "div", "section", "figure", "figcaption", "ul", "li", "img", "table", "thead", "tbody", "tr", "th", "td",
    "footer", "svg", "g", "path", "line", "rect", "text", "image", "clippath",
}  # fmt: skip
EMPTY = {"meta", "br", "img"}


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def pictures(self) -> list[np.ndarray]:
        addresses = [found.get("src") or found.get("href") for tag, found in self.tags if tag in ("img", "image")]
        found = []
        for address in addresses:
            assert address is not None
            head, _, content = address.partition(",")
            assert head == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
                found.append(np.array(picture))
        return found


def needs_nothing_else(page: Page) -> None:
    assert {tag for tag, _ in page.tags} - {"title"} <= TAGS
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert "<script" not in page.source.lower()
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "action", "data", "xlink:href"):
                assert str(value).startswith("data:image/png;base64,"), (tag, name)
            if name in ("style", "background"):
                raise AssertionError((tag, name))
    assert set(re.findall(r"url\(([^)]{0,20})", page.source)) <= {
        f"#{found['id']}"[:20] for tag, found in page.tags if tag == "clippath"
    }
    assert "@import" not in page.source
    policy = next(found for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report(run: Path, out: Path, *arguments: str) -> Page:
    assert cli.main(["report", str(run), "--out", str(out), *arguments]) == 0
    return Page(out)


@pytest.fixture(params=list(MODELS), ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


@pytest.mark.slow
def test_every_model_has_a_report_that_needs_nothing_else(record: ModelRecord, tmp_path: Path) -> None:
    run = trained_run(tmp_path / "run", record)
    page = report(run, tmp_path / "out.html", "--limit", "40")
    needs_nothing_else(page)
    headings = [text for text in page.texts if text in ("Curves", "Measures", "Latent space", "Environment")]
    assert headings == ["Curves", "Latent space", "Measures", "Environment"]
    shown = {found["aria-label"] for tag, found in page.tags if tag == "svg"}
    assert {f"{term.title} over images seen" for term in record.terms} <= shown
    is_plane = small_config(record).data.dataset == "two-moons"
    assert ("Latent map" in shown) == record.has_codes
    assert ("Data plane" in shown) == is_plane
    if not record.has_codes and not is_plane:
        assert record.map_note in page.text
    for picture in page.pictures():
        assert len(np.unique(picture.reshape(-1, *picture.shape[2:]), axis=0)) > 3


@pytest.mark.parametrize("latents", [1, 5])
def test_a_line_and_a_space_of_many_dimensions_are_shown_too(latents: int, tmp_path: Path) -> None:
    train_tiny(tmp_path / "run", tiny_config(latents=latents))
    page = report(tmp_path / "run", tmp_path / "out.html", "--measures", "none")
    assert "Latent map" in {found.get("aria-label") for _, found in page.tags}
    assert ("of the variance of the codes" in page.text) == (latents > 2)
    assert "Measures" not in page.texts


def test_measures_are_those_of_an_evaluation_with_all_that_they_carry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = train_tiny(tmp_path / "run")
    page = report(run.path, tmp_path / "out.html", "--limit", "50", "--seed", "7")
    capsys.readouterr()
    assert cli.main(["evaluate", str(run.path), "--limit", "50", "--seed", "7", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["measures"]
    rows = [row.split("</td>") for row in page.source.split("<tr>") if "<td" in row]
    cells = [[re.sub(r"<[^>]*>", "", cell).strip() for cell in row] for row in rows]
    for item in measured:
        wanted = {item["protocol"], item["unit"], item["split"], (item["bound"] or "–").replace("-ELBO", "−ELBO")}
        wanted |= {str(item[name]) for name in ("n", "seed")}
        assert any(
            wanted <= set(row) and row[1] and float(row[1]) == pytest.approx(item["value"], abs=5e-4) for row in cells
        ), item["name"]
        if item["standard_error"] is not None:
            assert any(wanted <= set(row) and row[2].replace(".", "").isdigit() for row in cells), item["name"]


def test_what_was_changed_by_hand_is_marked_and_told(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    change = {"path": "model.beta", "old": 1, "new": 4}
    add_event(run, {"event": "setting_changed", "step": 5, "images_seen": 125, **change})
    page = report(run.path, tmp_path / "out.html", "--measures", "none")
    assert "Setting changed: model.beta from 1 to 4" in page.text
    marks = [found for tag, found in page.tags if tag == "line" and found.get("class") == "change"]
    assert len(marks) >= len(MODELS["vae"].terms)


def test_settings_that_differ_stand_out_and_the_environment_is_told(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run", with_value(tiny_config(), "training.learning_rate", 0.0123))
    page = report(run.path, tmp_path / "out.html", "--measures", "none")
    assert '<td>Learning rate</td><td class="value changed">0.0123</td>' in page.source
    assert '<td>Schedule</td><td class="value">constant</td>' in page.source
    environment = read_toml(run.path / "run.toml")["environment"]
    assert all(f"<td>{name}</td><td>{value}</td>" in page.source for name, value in environment.items())


HOSTILE = '"><script>alert(1)</script><img src=https://example.org/x onerror=a>'


def add_event(run: RunDirectory, event: Mapping[str, Any]) -> None:
    with run.events_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def test_a_strangers_run_can_make_a_report_do_nothing(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" <b>'
    run, _ = train_tiny(folder)
    for kind in ("warning", "error", "finished", "paused", "setting_changed", HOSTILE):
        words = dict.fromkeys(("message", "reason", "path", "old", "new", "images_seen"), HOSTILE)
        add_event(run, {**words, "event": kind})
    add_event(run, {"event": "finished", "step": 10**400, "reason": ["a"] * 10_000})
    table = read_toml(run.path / "run.toml")
    table["environment"] |= {"torch": HOSTILE, HOSTILE: HOSTILE, "deep": {"a": [1]}}
    table["created"] = HOSTILE
    (run.path / "run.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    page = report(run.path, tmp_path / "out.html", "--measures", "none")
    assert HOSTILE in page.text
    assert 'a "b" <b>' in page.text
    source = page.source
    page.source = source.replace("https://example.org", "")  # as text it may stand there
    needs_nothing_else(page)


def test_a_report_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = train_tiny(tmp_path / "run")
    out = tmp_path / "out.html"
    out.write_text("of yesterday", encoding="utf-8")
    assert cli.main(["report", str(run.path), "--out", str(tmp_path / "out.pdf")]) == 1
    assert "Choose .html or .htm." in capsys.readouterr().err
    assert cli.main(["report", str(run.path), "--out", str(out), "--measures", "nil"]) == 1

    def interrupted(measured: object, *arguments: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return measured

    monkeypatch.setattr("vae_explorer.cli_evaluate.measure", interrupted)
    assert cli.main(["report", str(run.path), "--out", str(out)]) == STOPPED
    assert out.read_text(encoding="utf-8") == "of yesterday"


def test_a_run_that_is_still_without_a_checkpoint_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RunDirectory.create(tiny_config(), tmp_path / "run")
    assert cli.main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "out.html")]) == 1
    assert "has no checkpoint yet" in capsys.readouterr().err


def test_the_style_knows_light_dark_and_paper_and_the_windows_class_colours() -> None:
    assert "prefers-color-scheme: dark" in report_style.STYLE
    assert "@media print" in report_style.STYLE
    assert report_style.CLASS_COLOURS == theme.CLASS_COLOURS
    for role in ("text", "muted", "accent", "good", "positive", "negative", "warning", "class:0", "class:19"):
        assert f".{report_style.role_class(role)} {{" in report_style.STYLE, role
