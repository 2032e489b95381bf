"""A report of a run as one HTML file that needs nothing else: no other file, no script, no network.

Whatever comes from the run's folder is a stranger's text and is escaped; a policy in the page's head forbids it to load
or run anything even so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from vae_explorer import __version__
from vae_explorer.config import text_of
from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.words import error_text, notes, value_text
from vae_explorer.export.map_drawing import PageDrawing
from vae_explorer.export.report_content import ReportContent
from vae_explorer.export.report_style import STYLE
from vae_explorer.models.catalogue import MODELS
from vae_explorer.training.run_config import sections, value_of

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_TOTALS = (
    ("epoch", "Epochs", "{:.2f}"),
    ("images_seen", "Images seen", "{:,.0f}"),
    ("seconds", "Training", "{:,.1f} s"),
)
_CURVE_KEY = (
    ("train", "training, mean of the steps of a report"),
    ("heldout", "held-out images"),
    ("change", "a setting was changed by hand"),
)
_ABOUT_CURVES = (
    "Over images seen. Losses are sums over pixels and latent dimensions, means over images. The first twentieth of a "
    "run may lie outside of a plot."
)
_BETTER = {"lower": "lower", "higher": "higher", "neither": "–"}


def report_html(content: ReportContent) -> str:
    """The whole file."""
    record = MODELS[content.config.model_name]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(content.name)} – VAE Explorer</title>",
        f"<style>{STYLE}</style></head><body><main>",
        *_head(content),
        *_section("Curves", _curves(content)),
        *_section("Samples and reconstructions", _pictures(content)),
        *_section("Latent space", _latent(content)),
        *_section("Measures", _measures(content)),
        *_section("Settings", _settings(content)),
        *_section("What happened", _happenings(content)),
        *_section("Environment", _environment(content)),
        f"<footer>Written by VAE Explorer {__version__}. Model: {escape(record.reference)}.</footer>",
        "</main></body></html>",
        "",
    ]
    return "\n".join(parts)


def _section(title: str, body: Sequence[str]) -> list[str]:
    return [f"<section><h2>{title}</h2>", *body, "</section>"] if body else []


def _head(content: ReportContent) -> list[str]:
    config = content.config
    record, data = MODELS[config.model_name], DATASETS[config.data.dataset]
    protocol = PROTOCOLS[config.data.protocol]
    facts = [("Step", f"{content.step:,}")]
    facts += [(title, form.format(content.totals[name])) for name, title, form in _TOTALS if name in content.totals]
    for item in content.measurements[:1]:
        error = error_text(item)
        text = f"{value_text(item)} ± {error}" if error else value_text(item)
        facts.append((f"{_minus(MEASURES[item.name].title)}, {item.split}", text))
    subject = f"{escape(record.title)} on {escape(data.title)}, protocol <b>{escape(protocol.name)}</b>."
    return [
        f"<h1>{escape(content.name)}</h1>",
        f'<p>{subject} <span class="muted">{escape(protocol.bound_note)}</span></p>',
        *([f"<p>{escape(content.ancestry)}</p>"] if content.ancestry else []),
        '<dl class="facts">',
        *(f"<div><dt>{escape(title)}</dt><dd>{escape(text)}</dd></div>" for title, text in facts),
        "</dl>",
    ]


def _curves(content: ReportContent) -> list[str]:
    if not content.curves:
        return []
    drawn = "".join(content.curves)
    key = [(f"line {style}", name) for style, name in _CURVE_KEY if f'class="{style}"' in drawn]
    return [
        '<div class="plots">',
        *(f"<figure>{svg}</figure>" for svg in content.curves),
        "</div>",
        _key(key),
        f'<p class="muted">{_ABOUT_CURVES}</p>',
    ]


def _pictures(content: ReportContent) -> list[str]:
    record = MODELS[content.config.model_name]
    source = "its prior" if record.has_prior else "a density fitted to its codes (ex-post)"
    told = {"class": " A row a class.", "part": " A row a given part.", "": ""}[record.condition]
    figures = [
        (content.samples, f"Mean pictures of draws from {source}, seed 0.{told}"),
        (content.reconstructions, "Each row of pictures above what the model makes of them."),
    ]
    return [
        f'<figure><img class="grid" alt="{escape(caption)}" src="{address}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for address, caption in figures
        if address
    ]


def _latent(content: ReportContent) -> list[str]:
    if not content.latent_drawings:
        return [f"<p>{escape(MODELS[content.config.model_name].map_note)}</p>"]
    return [line for drawing in content.latent_drawings for line in _drawing(drawing)]


def _drawing(drawing: PageDrawing) -> list[str]:
    return [
        f"<figure>{drawing.svg}{_key(drawing.key)}<figcaption>{escape(drawing.caption)}</figcaption></figure>",
    ]


def _key(entries: Iterable[tuple[str, str]]) -> str:
    items = "".join(f'<li class="{style}">{escape(name)}</li>' for style, name in entries)
    return f'<ul class="key">{items}</ul>' if items else ""


def _measures(content: ReportContent) -> list[str]:
    if not content.measurements:
        return []
    titles = ("Measure", "Value", "± s.e.", "Unit", "Better", "Protocol", "Bound", "Samples", "n", "Split", "Seed")
    numeric = {1, 2, 7, 8, 10}
    lines = ['<div class="wide"><table><thead><tr>', *_cells("th", titles, numeric), "</tr></thead><tbody>"]
    said: set[str] = set()
    for item in content.measurements:
        row = (
            _minus(MEASURES[item.name].title), value_text(item), error_text(item), item.unit, _BETTER[item.better],
            item.protocol, _minus(item.bound or "–"), f"{item.samples:,}" if item.samples else "–", f"{item.n:,}",
            item.split, f"{item.seed}",
        )  # fmt: skip
        lines += ["<tr>", *_cells("td", row, numeric), "</tr>"]
        fresh = [note for note in notes(item) if note not in said]
        said |= set(fresh)
        if fresh:
            text = "<br>".join(map(escape, fresh))
            lines.append(f'<tr><td class="note" colspan="{len(titles)}">{text}</td></tr>')
    return [*lines, "</tbody></table></div>"]


def _minus(text: str) -> str:
    """With a sign after which no line is broken."""
    return text.replace("-ELBO", "−ELBO")


def _cells(tag: str, texts: Sequence[str], numeric: set[int]) -> list[str]:
    styles = [' class="number"' if column in numeric else "" for column in range(len(texts))]
    return [f"<{tag}{style}>{escape(text)}</{tag}>" for style, text in zip(styles, texts, strict=True)]


def _settings(content: ReportContent) -> list[str]:
    lines = ['<div class="settings">']
    for section in sections(content.config):
        lines.append(f"<div><h3>{escape(section.title)}</h3><table>")
        for item in section.settings:
            value = value_of(content.config, f"{section.name}.{item.name}")
            text = f"{text_of(item, value)} {item.unit}".strip()
            style = ' class="value changed"' if value != item.default else ' class="value"'
            lines.append(f"<tr><td>{escape(item.label)}</td><td{style}>{escape(text)}</td></tr>")
        lines.append("</table></div>")
    return [*lines, "</div>", '<p class="muted">In bold what differs from the default.</p>']


def _happenings(content: ReportContent) -> list[str]:
    rows = [
        f'<tr><td class="number">{found.step:,}</td><td>{escape(found.words)}</td></tr>' for found in content.happenings
    ]
    head = '<table><thead><tr><th class="number">Step</th><th></th></tr></thead><tbody>'
    return [head, *rows, "</tbody></table>"] if rows else []


def _environment(content: ReportContent) -> list[str]:
    rows = [f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in content.environment.items()]
    return ["<table><tbody>", *rows, "</tbody></table>"] if rows else []
