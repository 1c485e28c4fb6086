"""The style sheet of the report: light and dark mode, plots side by side, narrow screens, and print."""

STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --ink: #1c1d1f; --soft: #5b5f66; --edge: #d9dbdf;
  --panel: #ffffff; --accent: #1f5fbf; --fall: #b4530926; --mark: #b45309; --bar: #1f5fbf33;
  --up: #1a7f37; --down: #b42318; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --ink: #e8e9eb; --soft: #a3a8b0;
  --edge: #343840; --panel: #1b1e23; --accent: #7fb0ff; --fall: #f0a35a2e; --mark: #f0a35a;
  --bar: #7fb0ff40; --up: #5bc27c; --down: #ff8a7d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem;
  background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
.conclusion { border-left: .3rem solid var(--mark); background: var(--panel); padding: .75rem 1rem;
  margin: 1rem 0; max-width: 52rem; }
.empty { border: 1px dashed var(--edge); border-radius: .4rem; padding: 1rem; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 1rem 0; }
dt { font-weight: 600; }
dd { margin: 0; max-width: 52rem; }
figcaption { padding-top: .4rem; }
figure { margin: 1rem 0; max-width: 40rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
  gap: 2rem 1.5rem; align-items: start; margin: 1rem 0; }
.plots figure { margin: 0; }
svg { display: block; width: 100%; height: auto; background: var(--panel);
  border: 1px solid var(--edge); border-radius: .4rem; }
svg text { fill: var(--soft); font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.grid { stroke: var(--edge); stroke-width: 1; }
.start { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 6 5; }
.chance { stroke: var(--mark); stroke-width: 3; }
.whisker { stroke: var(--accent); stroke-width: 2.5; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.dot { fill: var(--accent); stroke: var(--panel); stroke-width: 1.5; }
.fall { fill: var(--fall); }
.band { fill: var(--bar); }
.stage { fill: var(--bar); stroke: var(--accent); stroke-width: 1; }
.up { color: var(--up); }
.down { color: var(--down); }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding-bottom: .3rem; }
th { text-align: left; color: var(--soft); font-weight: 600; vertical-align: bottom; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--edge); }
td { vertical-align: top; }
td:first-child { white-space: nowrap; }
table.narrow { width: auto; }
.cards td { min-width: 8rem; }
.cards td:nth-child(2) { min-width: 11rem; }
.cards td:first-child { white-space: normal; overflow-wrap: anywhere; }
.cards summary { color: var(--soft); font-weight: 400; }
.votes { list-style: none; margin: 0; padding: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; height: 1.1rem; min-width: 1px; background: var(--bar);
  border-left: 3px solid var(--accent); }
.track { display: block; width: clamp(6rem, 22vw, 16rem); }
summary { cursor: pointer; font-weight: 600; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
@media (max-width: 48rem) { .cards, .cards tbody, .cards tr { display: block; }
  .cards caption { display: block; }
  .cards thead { display: none; }
  .cards tr { background: var(--panel); border: 1px solid var(--edge); border-radius: .4rem;
    padding: .5rem .8rem; margin-bottom: .8rem; }
  .cards td:nth-child(n) { min-width: 0; }
  .cards td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: .5rem; padding: .2rem 0;
    border: 0; overflow-wrap: anywhere; }
  .cards td::before { content: attr(data-label); color: var(--soft); } }
@media print { :root { color-scheme: light; --page: #fff; --ink: #000; --soft: #444; --edge: #bbb;
  --panel: #fff; --accent: #1f5fbf; --fall: #b4530926; --mark: #b45309; --bar: #1f5fbf33;
  --up: #1a7f37; --down: #b42318; }
  body { max-width: none; padding: 0; font-size: 11px; }
  figure, tr, dl { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  .bar { print-color-adjust: exact; } }
"""
