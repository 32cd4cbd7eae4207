/* Draws the figures of the report in `root` over their static pictures, follows the theme of the page, links the time
   axes, moves end labels above a figure where the page is narrow, and shows a figure's numbers as a table. The figures
   and the colours of the dark theme stand in the report as JSON. Returns a function that ends the following. */
function qnbReport(root, Plotly) {
  "use strict";
  const read = (name) => JSON.parse(root.querySelector(`script.${name}`).textContent);
  const specs = read("qnb-figures");
  const dark = read("qnb-dark");
  const night = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset", showTips: false };
  const NARROW = 340;

  const isDark = () => {
    if (document.body.dataset.jpThemeLight) return document.body.dataset.jpThemeLight === "false";
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
    const narrow = width < NARROW && layout.meta.labels.length > 0;
    root.querySelector(`#figure-${name}`).classList.toggle("narrow", narrow);
    if (narrow) {
      layout.annotations = (layout.annotations || []).filter((a) => a.name !== "end");
      layout.margin.r = Math.min(layout.margin.r, 10);
    }
    if (width < 420 && layout.xaxis.type === "date") layout.xaxis.nticks = 4;
    return figure;
  };

  const box = (name) => root.querySelector(`[data-figure="${name}"]`);
  const draw = (name) => {
    const live = box(name);
    const width = Math.floor(live.parentElement.clientWidth);
    const figure = prepared(name, width);
    live.parentElement.style.height = `${figure.layout.height}px`;
    return Plotly.react(live, figure.data, figure.layout, config).then(() => {
      if (live.parentElement.classList.contains("drawn")) return;
      live.parentElement.classList.add("drawn");
      live.on("plotly_relayout", (change) => {
        if (!Object.keys(change).some((key) => key.startsWith("xaxis."))) return;
        if (specs[name].layout.meta.sync) follow(name, change);
        if (specs[name].layout.xaxis.type === "date") relabel(name);
      });
    });
  };

  /* While a figure is zoomed, the labels at its right edge say the values at that edge. */
  const GAP = 14;
  const relabel = (name) => {
    const live = box(name);
    const { layout, data } = live;
    const [low, high] = live._fullLayout.xaxis.range.map((x) => new Date(x).getTime());
    const ends = (layout.annotations || []).map((a, i) => ({ a, i })).filter(({ a }) => a.name === "end");
    if (!ends.length) return;
    const whole = prepared(name, layout.width).layout;
    const first = new Date(whole.xaxis.range[0]).getTime();
    const last = new Date(whole.xaxis.range[1]).getTime();
    const update = {};
    if (low <= first && high >= last) {
      whole.annotations.forEach((a, i) => {
        if (a.name === "end") Object.assign(update, { [`annotations[${i}].y`]: a.y, [`annotations[${i}].yshift`]: a.yshift, [`annotations[${i}].text`]: a.text });
      });
    } else {
      const placed = ends.map(({ a, i }, k) => {
        const trace = data.find((t) => t.meta && t.meta.head === layout.meta.ends[k]);
        let at = -1;
        if (trace) trace.x.forEach((x, j) => { if (trace.y[j] !== null && new Date(x).getTime() <= high) at = j; });
        if (at < 0) return null;
        const axis = live._fullLayout[`yaxis${a.yref.slice(1)}`];
        const y = trace.y[at];
        return { i, y, axis: a.yref, pixel: axis.l2p(y), text: a.text.replace(/(<span[^>]*>)[^<]*/, `$1${written(y, trace.meta)}`) };
      }).filter(Boolean).sort((a, b) => a.axis.localeCompare(b.axis) || a.pixel - b.pixel);
      placed.forEach((p, k) => {
        const above = placed[k - 1];
        p.place = above && above.axis === p.axis ? Math.max(p.pixel, above.place + GAP) : p.pixel;
        Object.assign(update, { [`annotations[${p.i}].y`]: p.y, [`annotations[${p.i}].yshift`]: p.pixel - p.place, [`annotations[${p.i}].text`]: p.text });
      });
    }
    if (Object.keys(update).length) Plotly.relayout(live, update);
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
        if (trace.y[k] !== null) rows.get(x)[i] = trace.y[k];
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

  for (const button of root.querySelectorAll(".as-table")) {
    const panel = root.querySelector(`#${button.getAttribute("aria-controls")}`);
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
  const ready = () => { root.dataset.drawn = String(root.querySelectorAll(".chart.drawn").length); };
  let queued = 0;
  const again = () => {
    clearTimeout(queued);
    queued = setTimeout(() => all().then(ready), 120);
  };
  let width = root.clientWidth;
  const sized = new ResizeObserver(() => {
    if (root.clientWidth && root.clientWidth !== width) { width = root.clientWidth; again(); }
  });
  sized.observe(root);
  night.addEventListener("change", again);
  const themed = new MutationObserver(again);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  all().then(ready);
  return () => {
    clearTimeout(queued);
    sized.disconnect();
    themed.disconnect();
    night.removeEventListener("change", again);
    for (const live of root.querySelectorAll(".live")) Plotly.purge(live);
  };
}
