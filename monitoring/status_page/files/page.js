// Reads status.json once a second and shows it. Every text is inserted as text, never as HTML; the plots are
// HTML that the bot made, in which all text is escaped.
"use strict";

const POLL_MS = 1000;
const HIDDEN_MS = 10000;
const LIMIT_MS = 4000;
const ARROWS = { bullish: "▲", bearish: "▼", neutral: "•", "": "–" };
const DIRECTIONS = { bullish: "votes Up", bearish: "votes Down", neutral: "is neutral", "": "has no vote" };

const byId = (id) => document.getElementById(id);
const shown = new Map();
let plotsVersion = null;
let lostSince = null;
let timer = 0;

// An element with attributes and children; a child that is a string becomes a text node.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function setText(id, text) {
  const target = byId(id);
  if (target.textContent !== text) target.textContent = text;
}

// Draws a part of the page again only if its data changed, so that a selection or a focus stays.
function draw(id, data, parts) {
  const key = JSON.stringify(data);
  if (shown.get(id) === key) return;
  shown.set(id, key);
  byId(id).replaceChildren(...parts());
}

function percent(share) {
  return `${Math.max(0, Math.min(100, 100 * share)).toFixed(2)}%`;
}

function table(caption, headings, rows) {
  const cell = (kind, column, ...content) => element(kind, { class: column.class ?? "" }, ...content);
  const head = headings.map((column) => {
    const made = cell("th", column, column.name);
    made.scope = "col";
    return made;
  });
  const body = rows.map((row) =>
    element("tr", {}, ...row.map((content, number) => cell("td", headings[number], content))),
  );
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...body),
    ),
  );
}

function empty(text) {
  return element("p", { class: "empty" }, text);
}

function toned(text, tone) {
  return tone ? element("span", { class: tone }, text) : element("span", {}, text);
}

function sign(text) {
  return text.startsWith("+") ? "green" : text.startsWith("-") ? "red" : "";
}

function showMode(page) {
  draw("mode", [page.mode, page.money, page.profile], () => [
    element("strong", { class: page.money === "real money" ? "badge live" : "badge" }, page.mode),
    element("span", { class: "badge plain" }, page.money),
    element("span", { class: "badge plain" }, page.profile),
  ]);
}

function showAlerts(health, page) {
  const alerts = health.reasons.filter((reason) => !page?.halted || !reason.startsWith("halted"));
  if (page?.halted) {
    alerts.unshift(`HALTED: ${page.halted}. No new position until: python redis_control.py resume`);
  } else if (page && !page.allows_orders) {
    alerts.push(`No new position: ${page.mode_detail}`);
  }
  if (page?.pending) alerts.push(page.pending);
  const serious = health.status === "failing";
  draw("alerts", [alerts, serious], () =>
    alerts.map((text) => element("p", { class: serious ? "serious" : "" }, text)),
  );
}

function showHealth(text, tone) {
  draw("health", [text, tone], () => [
    element("span", { class: `dot ${tone}`, "aria-hidden": "true" }),
    text,
  ]);
}

function showMarket(market) {
  byId("market-none").hidden = market !== null;
  byId("market-now").hidden = market === null;
  if (market === null) {
    setText("market-none", "Between markets: the catalogue does not list the running one yet.");
    return;
  }
  setText("market-start", market.start);
  setText("market-kind", market.kind);
  byId("market-kind").hidden = market.kind === "";
  setText("market-title", market.title);
  setText("price-up", market.up || "no price");
  setText("price-down", market.down || "no price");
  byId("split-up").style.width = percent(market.up === "" ? 0.5 : Number(market.up));
  setText("phase", market.phase);
  setText("second", `market second ${Math.floor(market.second)} of 900`);
  const [begin, end] = market.window;
  byId("window").style.left = percent(begin / 900);
  byId("window").style.width = percent((end - begin) / 900);
  byId("passed").style.width = percent(market.second / 900);
  byId("track").setAttribute("aria-valuenow", Math.floor(market.second));
  byId("track").setAttribute("aria-valuetext", `${Math.floor(market.second)} of 900, ${market.phase}`);
  setText("window-label", `decision window ${Math.round(begin)} to ${Math.round(end)}`);
  setText("facts", market.facts.join(" · "));
}

function showVotes(decision) {
  draw("votes-body", decision, () => {
    if (decision === null) return [empty("No decision yet: the votes are cast in the decision window.")];
    const when = `${decision.market}, market second ${decision.second}`;
    const parts = [
      element("p", { class: "soft" }, decision.current ? when : `${when}: the last decision, not of the running market`),
    ];
    if (decision.votes.length) {
      parts.push(element("ul", { class: decision.current ? "chips" : "chips past" }, ...decision.votes.map(vote)));
    } else {
      parts.push(empty("Decided without votes."));
    }
    parts.push(element("p", { class: "decision" }, toned(decision.decision.text, decision.decision.tone)));
    return parts;
  });
}

function vote(cast) {
  const bar = element("span", { class: "meter", "aria-hidden": "true" }, element("span", {}));
  bar.firstChild.style.width = percent(cast.confidence);
  const strength = cast.direction === "" ? ARROWS[""] : `${ARROWS[cast.direction]} ${cast.confidence.toFixed(2)}`;
  return element(
    "li",
    { class: `chip ${cast.direction || "none"}`, title: `${cast.source} ${DIRECTIONS[cast.direction]}` },
    element("span", { class: "name" }, cast.name),
    element("strong", {}, strength),
    bar,
    element("span", { class: "detail" }, cast.detail || `weight ${cast.weight}`),
  );
}

function showResults(results) {
  draw("results-body", results, () =>
    results.length === 0
      ? [empty("No results: the ledger could not be read when the bot started.")]
      : results.map((figure) =>
          element(
            "div",
            { class: "tile" },
            element("p", { class: "soft" }, figure.name),
            element("p", { class: `value ${figure.tone}` }, figure.value),
            element("p", { class: "note" }, figure.note),
          ),
        ),
  );
}

function showPositions(positions) {
  draw("positions-body", positions, () => {
    if (positions.length === 0) return [empty("No open position.")];
    const headings = [
      { name: "market" },
      { name: "side" },
      { name: "shares", class: "number roomy" },
      { name: "paid", class: "number" },
      { name: "chance", class: "number" },
      { name: "worth", class: "number roomy" },
      { name: "so far", class: "number" },
    ];
    const rows = positions.map((found) => [
      found.market,
      side(found.side),
      found.shares,
      found.paid,
      found.chance || "–",
      found.worth || "–",
      toned(found.so_far || "–", sign(found.so_far)),
    ]);
    return [
      table("Trades without an official outcome", headings, rows),
      element("p", { class: "note" }, "Valued at the market's last price; an estimate, and part of no result."),
    ];
  });
}

function side(name) {
  return element("span", { class: name === "Up" ? "side up" : "side down" }, `${name === "Up" ? "▲" : "▼"} ${name}`);
}

function showMarkets(markets) {
  draw("markets-body", markets, () =>
    markets.length === 0
      ? [empty("No market yet.")]
      : [element("ol", { class: "markets" }, ...markets.map(marketEntry))],
  );
}

function marketEntry(market) {
  const rows = market.rows.flatMap((row) => [
    element("dt", {}, row.label),
    element("dd", {}, toned(row.text, row.tone)),
  ]);
  if (rows.length === 0) rows.push(element("dt", {}, "now"), element("dd", { class: "soft" }, "no decision yet"));
  return element(
    "li",
    {},
    element("p", {}, element("strong", {}, market.start), " ", element("span", { class: "soft" }, market.kind)),
    element("dl", {}, ...rows),
  );
}

function showTrades(trades) {
  draw("trades-body", trades, () => {
    if (trades.length === 0) return [empty("No trade yet.")];
    const headings = [
      { name: "market" },
      { name: "kind", class: "roomy" },
      { name: "side" },
      { name: "price", class: "number" },
      { name: "paid", class: "number roomy" },
      { name: "score", class: "number roomy" },
      { name: "outcome" },
      { name: "P&L", class: "number" },
    ];
    const tones = { WIN: "green", LOSS: "red", PENDING: "yellow" };
    const rows = trades.map((trade) => [
      trade.market,
      trade.kind || "–",
      side(trade.side),
      trade.price,
      trade.paid,
      trade.score || "–",
      toned(trade.outcome, tones[trade.outcome]),
      toned(trade.pnl || "–", sign(trade.pnl)),
    ]);
    return [table("The newest trades, newest first", headings, rows)];
  });
}

function showFunnel(funnel) {
  draw("funnel-body", funnel, () => {
    if (funnel.length === 0 || funnel[0].markets === 0) return [empty("No market seen yet.")];
    return [
      element("ol", { class: "funnel" }, ...funnel.map(funnelRow)),
      element("p", { class: "note" }, "Each market at the furthest stage it reached, with what stopped the others."),
    ];
  });
}

function funnelRow(row) {
  const bar = element("span", { class: "meter", "aria-hidden": "true" }, element("span", {}));
  bar.firstChild.style.width = percent(row.share);
  return element(
    "li",
    {},
    element("span", { class: "name" }, row.stage),
    bar,
    element("strong", {}, String(row.markets)),
    element("span", { class: "note" }, row.stops),
  );
}

function showFeeds(feeds, system) {
  draw("feeds-body", feeds, () => {
    if (feeds.length === 0) return [empty("No external feed: recorded markets have none.")];
    const headings = [
      { name: "feed", class: "wrap" },
      { name: "state" },
      { name: "newest value", class: "number" },
      { name: "failures", class: "number roomy" },
      { name: "reconnections", class: "number roomy" },
    ];
    const rows = feeds.map((feed) => [
      feed.source,
      toned(feed.up ? "up" : "down", feed.up ? "green" : "red"),
      feed.age === "never" ? "never" : `${feed.age} ago`,
      String(feed.failures),
      String(feed.reconnects),
    ]);
    return [table("External sources", headings, rows)];
  });
  draw("system-body", system, () => [
    element(
      "dl",
      { class: "lines" },
      ...system.flatMap((line) => [
        element("dt", {}, line.label),
        element("dd", {}, toned(line.text, line.tone)),
      ]),
    ),
  ]);
}

async function readJson(name) {
  const answer = await fetch(name, { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

// A figure as the bot made it; parsing neither runs scripts nor loads anything.
function parsed(figure) {
  const made = new DOMParser().parseFromString(figure, "text/html").body.firstElementChild;
  made.tabIndex = 0;
  return document.importNode(made, true);
}

async function showPlots(version) {
  if (version === plotsVersion) return;
  const { version: read, figures } = await readJson("plots.json");
  plotsVersion = read;
  const [equity, ...others] = figures;
  byId("equity-body").replaceChildren(equity ? parsed(equity) : empty("No settled trade yet."));
  byId("plots").replaceChildren(
    ...others.map((figure) => element("div", { class: "card" }, parsed(figure))),
  );
}

function show(status) {
  const { health, page } = status;
  showAlerts(health, page);
  showHealth(health.status === "ok" ? "running" : health.status, health.status === "ok" ? "green" : "red");
  if (page === null) return;
  showMode(page);
  showMarket(page.market);
  showVotes(page.decision);
  showResults(page.results);
  showPositions(page.positions);
  showMarkets(page.markets);
  showTrades(page.trades);
  showFunnel(page.funnel);
  showFeeds(page.feeds, page.system);
  setText("time", `State of ${page.time}.`);
  document.title = page.market?.up ? `Up ${page.market.up}, ${page.market.phase}` : "Polymarket bot";
}

function showLost() {
  lostSince ??= new Date();
  document.body.classList.add("lost");
  showHealth(`no connection since ${lostSince.toLocaleTimeString()}; the bot restarts or has ended`, "red");
}

async function poll() {
  clearTimeout(timer);
  try {
    const status = await readJson("status.json").catch(() => null);
    if (status === null) {
      showLost();
      return;
    }
    lostSince = null;
    document.body.classList.remove("lost");
    show(status);
    await showPlots(status.plots).catch(() => {}); // tried again with the next status
  } finally {
    timer = setTimeout(poll, document.hidden ? HIDDEN_MS : POLL_MS);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    clearTimeout(timer);
    timer = setTimeout(poll, 0);
  }
});
poll();
