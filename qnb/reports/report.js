/* Draws the figures of a report over their static pictures, follows the page's theme, links the time axes,
   moves end labels above a figure where the page is narrow, and shows a figure's numbers as a table. */
(() => {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("qnb-figures");
  const dark = read("qnb-dark");
  const root = document.querySelector(".qnb-report");
  const night = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset", showTips: false };
  const NARROW = 560;

  const isDark = () => {
    const wish = document.documentElement.dataset.theme;
    return wish === "dark" || (wish !== "light" && night.matches);
  };
  const recolour = (text) => text.replace(/#[0-9a-f]{6}|rgba\([^)]*\)/g, (c) => dark[c] || c);

  const prepared = (name, width) => {
    const text = JSON.stringify(specs[name]);
    const figure = JSON.parse(isDark() ? recolour(text) : text);
    const layout = figure.layout;
    const head = layout.meta.head;
    delete layout.title;
    layout.margin.t -= head;
    layout.height -= head;
    layout.width = width;
    layout.autosize = false;
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    if (width < NARROW && layout.meta.labels.length) {
      layout.annotations = (layout.annotations || []).filter((a) => a.name !== "end");
      layout.margin.r = Math.min(layout.margin.r, 10);
    }
    if (width < 420 && layout.xaxis.type === "date") layout.xaxis.nticks = 4;
    return figure;
  };

  const box = (name) => document.querySelector(`[data-figure="${name}"]`);
  const draw = (name) => {
    const live = box(name);
    const width = Math.floor(live.parentElement.clientWidth);
    const figure = prepared(name, width);
    live.parentElement.style.height = `${figure.layout.height}px`;
    return Plotly.react(live, figure.data, figure.layout, config).then(() => {
      if (live.parentElement.classList.contains("drawn")) return;
      live.parentElement.classList.add("drawn");
      if (specs[name].layout.meta.sync) live.on("plotly_relayout", (change) => follow(name, change));
    });
  };

  const linked = Object.keys(specs).filter((name) => specs[name].layout.meta.sync);
  let following = false;
  const follow = (from, change) => {
    if (following) return;
    let update = null;
    if ("xaxis.range[0]" in change) {
      update = { "xaxis.range[0]": change["xaxis.range[0]"], "xaxis.range[1]": change["xaxis.range[1]"] };
    } else if (Array.isArray(change["xaxis.range"])) {
      update = { "xaxis.range": change["xaxis.range"].slice() };
    }
    if (!update) return;
    following = true;
    Promise.all(linked.filter((n) => n !== from).map((n) => Plotly.relayout(box(n), { ...update })))
      .finally(() => { following = false; });
  };

  const written = (value, rule) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: rule.digits, maximumFractionDigits: rule.digits });
    const sign = !/[1-9]/.test(text) ? "" : value < 0 ? "−" : rule.sign ? "+" : "";
    return sign + text + (rule.unit ? `\u00a0${rule.unit}` : "");
  };
  const cell = (row, tag, text, right) => {
    const node = row.appendChild(document.createElement(tag));
    node.textContent = text;
    if (right) node.className = "r";
    return node;
  };
  const tabulated = (name) => {
    const { data, layout } = specs[name];
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    cell(head, "th", layout.meta.first, false).scope = "col";
    const rows = new Map();
    data.forEach((trace, i) => {
      cell(head, "th", trace.meta.head, true).scope = "col";
      trace.x.forEach((x, k) => {
        if (!rows.has(x)) rows.set(x, new Array(data.length).fill(null));
        rows.get(x)[i] = trace.y[k];
      });
    });
    const body = table.createTBody();
    const keys = [...rows.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    for (const key of keys) {
      const row = body.insertRow();
      cell(row, "td", key, false);
      rows.get(key).forEach((value, i) => cell(row, "td", written(value, data[i].meta), true));
    }
    return table;
  };

  for (const button of document.querySelectorAll(".as-table")) {
    const panel = document.getElementById(button.getAttribute("aria-controls"));
    button.hidden = false;
    button.addEventListener("click", () => {
      const open = panel.hidden;
      if (open && !panel.firstChild) panel.appendChild(tabulated(button.dataset.of));
      panel.hidden = !open;
      button.textContent = open ? "Hide table" : "Show as table";
      button.setAttribute("aria-expanded", String(open));
    });
  }

  const all = () => Object.keys(specs).reduce((chain, name) => chain.then(() => draw(name)), Promise.resolve());
  const ready = () => { root.dataset.drawn = String(document.querySelectorAll(".chart.drawn").length); };
  let queued = 0;
  const again = () => {
    clearTimeout(queued);
    queued = setTimeout(() => all().then(ready), 120);
  };
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (root.clientWidth !== width) { width = root.clientWidth; again(); }
  }).observe(root);
  night.addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  all().then(ready);
})();
