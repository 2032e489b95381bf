"""How a report looks: in light, in dark, and on paper."""

from __future__ import annotations

CLASS_COLOURS = (
    "#3154b8", "#c19200", "#d35467", "#18e1af", "#8d6be6", "#9e2074", "#09a0b1", "#f793ff", "#755a06", "#bcce1b",
)  # fmt: skip
"""Of the classes, as in the window, in turn."""

_LIGHT = """
    --page: #eef0f3; --card: #ffffff; --text: #1b1e24; --muted: #616976; --line: #dfe3e8; --grid: #e6e8ec;
    --accent: #3b5fdb; --second: #c2560a; --good: #178a5b; --positive: #d9730a; --negative: #2f6fd6;
    --warning: #9a6300; --note: #eaf0ff;"""
_DARK = """
    --page: #111215; --card: #191b1f; --text: #e7e9ed; --muted: #979daa; --line: #2f333a; --grid: #2a2d33;
    --accent: #6c8cff; --second: #ff9d45; --good: #4cc38a; --positive: #ff9d45; --negative: #6f9cff;
    --warning: #e0b04a; --note: #1d2540;"""

_COLOURS = {
    **{name: f"var(--{name})" for name in ("text", "muted", "accent", "good", "positive", "negative", "warning")},
    **{f"class-{number}": colour for number, colour in enumerate(CLASS_COLOURS)},
}
_ROLES = "\n".join(
    f".role-{name} {{ stroke: {colour}; --swatch: {colour}; }}" for name, colour in _COLOURS.items()
)  # of `latent.drawing`

STYLE = f"""
:root {{ color-scheme: light dark;{_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{{_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }}
main {{ max-width: 1000px; margin: 0 auto; padding: 28px 20px 48px; }}
h1 {{ font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }}
h2 {{ font-size: 18px; margin: 0 0 10px; }}
p {{ margin: 0 0 10px; }}
section {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
    margin-top: 16px; }}
.muted {{ color: var(--muted); }}
.facts {{ display: flex; flex-wrap: wrap; gap: 10px 34px; margin: 14px 0 0; padding: 0; }}
.facts div {{ min-width: 92px; }}
.facts dt {{ color: var(--muted); font-size: 13px; }}
.facts dd {{ margin: 0; font-size: 17px; font-variant-numeric: tabular-nums; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 14px 20px; }}
.settings {{ columns: 2 380px; column-gap: 36px; }}
.settings div {{ break-inside: avoid; margin-bottom: 14px; }}
.settings h3 {{ margin: 0 0 4px; }}
h3 {{ font-size: 15px; }}
figure {{ margin: 0; }}
figure + figure {{ margin-top: 16px; }}
.plots figure + figure {{ margin-top: 0; }}
figcaption {{ color: var(--muted); font-size: 13px; margin-top: 6px; }}
img, svg {{ max-width: 100%; height: auto; display: block; }}
img.grid {{ image-rendering: pixelated; border: 1px solid var(--line); border-radius: 4px; }}
.wide {{ overflow-x: auto; }}
.wide table {{ font-size: 13.5px; }}
.wide td, .wide th {{ padding-right: 10px; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-weight: 600; color: var(--muted); font-size: 13px; }}
th, td {{ padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }}
th:last-child, td:last-child {{ padding-right: 0; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
td.note {{ color: var(--muted); font-size: 13px; }}
td.value {{ text-align: right; overflow-wrap: anywhere; }}
.changed {{ font-weight: 650; }}
.key {{ display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0 0; padding: 0; list-style: none;
    font-size: 13px; }}
.key + p {{ margin-top: 8px; }}
.key li::before {{ content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px;
    background: var(--swatch); vertical-align: -1px; }}
.key li.line::before {{ height: 3px; border-radius: 2px; vertical-align: 4px; }}
svg text {{ font-size: 12px; fill: var(--text); }}
svg text.title {{ font-size: 13.5px; font-weight: 600; }}
svg text.muted {{ fill: var(--muted); }}
svg .middle {{ text-anchor: middle; }}
svg .end {{ text-anchor: end; }}
svg line.grid {{ stroke: var(--grid); }}
svg rect.frame {{ fill: none; stroke: var(--line); }}
svg line.change {{ stroke: var(--warning); stroke-dasharray: 4 3; }}
svg path {{ fill: none; stroke-linecap: round; stroke-linejoin: round; }}
svg path.train {{ stroke: var(--accent); stroke-width: 1.3; opacity: .8; }}
svg path.heldout {{ stroke: var(--second); stroke-width: 2; }}
.key .train {{ --swatch: var(--accent); }}
.key .heldout {{ --swatch: var(--second); }}
.key .change {{ --swatch: var(--warning); }}
{_ROLES}
footer {{ color: var(--muted); font-size: 13px; margin-top: 18px; }}
@media print {{
    :root {{ color-scheme: light;{_LIGHT} --page: #ffffff; }}
    body {{ font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
    main {{ max-width: none; padding: 0; }}
    section {{ border: none; padding: 0; }}
    figure, tr, .facts {{ break-inside: avoid; }}
    h2, h3 {{ break-after: avoid; }}
    .plots {{ grid-template-columns: 1fr 1fr; }}
    .settings {{ columns: 2; }}
    .wide {{ overflow: visible; font-size: 8.5pt; }}
    .wide td, .wide th {{ padding-right: 8px; }}
}}
"""


def role_class(role: str) -> str:
    """The class of a role of `latent.drawing`, such as `muted` or `class:3`."""
    if role.startswith("class:"):
        return f"role-class-{int(role[6:]) % len(CLASS_COLOURS)}"
    return f"role-{role}"
