# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""How the page for people looks, and the few lines that renew it. All of it is in the page, since a site may have no
internet; a browser is told to run and to fetch nothing else."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

RENEW_SECONDS = 2

STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1b1f24; --faint: #626b77; --line: #dfe3e8;
  --bar: #e6e9ee; --full: #2f6fde; --good: #16794a; --bad: #b9261c; font: 15px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --card: #1d2127; --ink: #e7eaee; --faint: #98a2af;
  --line: #2e343c; --bar: #2e343c; --full: #6ea3ff; --good: #55cf92; --bad: #ff8a7d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); }
main, #old { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; padding: 1.5rem 0 1rem; }
h1 { font-size: 1.25rem; margin: 0; }
h2 { font-size: .95rem; margin: 1.75rem 0 .5rem; }
.faint, small, th, dt { color: var(--faint); font-weight: 400; }
.good { color: var(--good); } .bad { color: var(--bad); }
.state { font-weight: 600; } .state::before { content: "\\25cf"; margin-right: .4em; }
.where { margin-left: auto; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; } .tiles div { flex: 1 1 8.2rem; }
.tiles div, .card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.tiles div { padding: .75rem 1rem; } .card { padding: .35rem 1rem; overflow-x: auto; }
dd { margin: 0; font-size: 1.7rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
dd small { font-size: .85rem; display: block; min-height: 1.5em; }
svg { display: block; }
.bar { width: 7rem; height: .4rem; border-radius: .2rem; margin-top: .3rem; } .bar rect { fill: var(--bar); }
.bar rect + rect { fill: var(--full); }
.line { width: 100%; height: 1.6rem; fill: none; stroke: var(--full); stroke-width: 1.5; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem 1rem .5rem 0; vertical-align: top; overflow-wrap: break-word; }
th, .times td + td { white-space: nowrap; }
td { border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
td:last-child, th:last-child { padding-right: 0; }
footer { color: var(--faint); padding: 1.5rem 0 2rem; font-size: .9rem; } a { color: inherit; }
#old { color: var(--bad); font-weight: 600; padding-top: 1rem; } .old main { opacity: .45; }
@media (max-width: 50rem) {
  .rows thead { display: none; } .rows tr { display: block; padding: .35rem 0; }
  .rows tr + tr { border-top: 1px solid var(--line); }
  .rows td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .2rem 0; }
  .rows td::before { content: attr(data-name); color: var(--faint); flex: none; }
  .rows td div { text-align: right; min-width: 0; overflow-wrap: anywhere; } .rows .bar { margin-left: auto; }
  .rows td:first-child div { font-weight: 600; }
}
@media (max-width: 30rem) {
  .where { margin-left: 0; width: 100%; } dd { font-size: 1.35rem; } th, td { padding-right: .5rem; }
}
"""

# A node that restarts, or is cut off, leaves the page standing; it says so, and goes on when the node answers again.
SCRIPT = f"""
const old = document.getElementById("old");
let told = new Date();
async function renew() {{
  if (!document.hidden && getSelection().isCollapsed) try {{
    const answer = await fetch(location.pathname, {{ cache: "no-store", signal: AbortSignal.timeout(5000) }});
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.querySelector("link").href = page.querySelector("link").href;
    document.title = page.title;
    told = new Date();
    old.hidden = true;
    document.body.className = "";
  }} catch {{
    old.textContent = `No answer since ${{told.toISOString().slice(11, 19)}} UTC. What stands here is old.`;
    old.hidden = false;
    document.title = "no answer: Holdfast inference";
    document.body.className = "old";
  }}
  setTimeout(renew, {RENEW_SECONDS * 1000});
}}
setTimeout(renew, {RENEW_SECONDS * 1000});
"""


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def icon(*, ready: bool) -> str:
    """The dot of the tab, so that it tells the state beside other tabs."""
    dot = f'<circle cx="4" cy="4" r="3.5" fill="{"#2a9d63" if ready else "#d1382c"}"/>'
    return "data:image/svg+xml," + quote(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">{dot}</svg>')
