// What the tabs of a run show when they are opened; comes after chart.js and report.js, before live.js.
// Files and texts of a run reach the page through textContent alone; the report's HTML was escaped by the worker.

// plotly.js once for a page, whichever panel asked first.
function loadPlotly(bytes) {
  if (!window.qnbPlotly) {
    window.qnbPlotly = (async () => {
      if (window.Plotly) return window.Plotly;
      const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(unpacked).text();
      document.head.append(script);
      script.remove();
      return window.Plotly;
    })();
    window.qnbPlotly.catch(() => { window.qnbPlotly = null; });
  }
  return window.qnbPlotly;
}

function saveFile(name, bytes) {
  const url = URL.createObjectURL(new Blob([bytes]));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function rowsTable(columns, rows, name, heads = 0) {
  const table = h("table", { class: name }, h("thead", {}, h("tr", {}, ...columns.map((c) => h("th", { scope: "col", text: c })))));
  const body = h("tbody");
  for (const row of rows) body.append(h("tr", {}, ...row.map((v, i) => (i < heads ? h("th", { scope: "row", text: v }) : h("td", { text: v })))));
  table.append(body);
  return h("div", { class: "qnb-scroll", tabindex: 0 }, table);
}

const waitingLine = (text) => h("p", { class: "qnb-empty qnb-muted", text });

// The files of a run: a list beside a look into one of them.
function artifactsTab(box, ask) {
  const list = h("ul", { class: "qnb-files", role: "tree", "aria-label": "Files of the run" });
  const look = h("section", { class: "qnb-look", "aria-live": "polite" });
  let chosen = "", figure = null;
  const save = (path) => h("button", { type: "button", class: "qnb-button", text: "Save as", "aria-label": `Save ${path}`, onclick: () => ask({ kind: "save", path }) });
  function show({ rows, place }) {
    list.replaceChildren(...rows.map((r) => {
      const words = [h("span", { class: "qnb-file", text: r.folder ? `${r.name}/` : r.name }), h("span", { class: "qnb-muted", text: r.size })];
      const row = r.folder ? h("div", { class: "qnb-row-file" }, ...words)
        : h("button", { type: "button", class: "qnb-row-file", onclick: () => open(r.path) }, ...words);
      row.style.paddingLeft = `${16 + 16 * r.depth}px`;
      row.dataset.path = r.path;
      return h("li", { role: "treeitem", "aria-level": r.depth + 1 }, row);
    }));
    const main = h("div", { class: "qnb-artifacts" }, list, look);
    box.replaceChildren(rows.length ? main : waitingLine("The run has left no files yet."));
    if (place) box.append(h("p", { class: "qnb-place qnb-muted" }, "They lie in ", h("code", { text: place })));
    look.replaceChildren(waitingLine("Choose a file to look into it."));
  }
  function open(path) {
    chosen = path;
    for (const row of list.querySelectorAll("[data-path]")) row.setAttribute("aria-current", String(row.dataset.path === path));
    look.replaceChildren(waitingLine("Reading."));
    ask({ kind: "preview", path });
  }
  function preview(path, p, error) {
    if (path !== chosen) return;
    const head = h("div", { class: "qnb-row qnb-soft" }, h("b", { text: path }), h("span", { class: "qnb-muted", text: error ? "" : p.note }), h("span", { class: "qnb-grow" }), save(path));
    figure = null;
    let body = null;
    if (error) body = h("div", { class: "qnb-note qnb-failed", text: error });
    else if (p.kind === "table") body = rowsTable(p.columns, p.rows, "qnb-frame", p.index);
    else if (p.kind === "text") body = h("pre", { class: "qnb-config", tabindex: 0, text: p.text });
    else if (p.kind === "figure") {
      body = h("div", { class: "qnb-figure" });
      figure = { body, spec: p.figure };
      if (window.qnbPlotly) draw();
      else ask({ kind: "plotly" });
    }
    look.replaceChildren(...[head, body].filter(Boolean));
  }
  async function draw() {
    if (!figure) return;
    const { body, spec } = figure;
    const Plotly = await window.qnbPlotly;
    const layout = { ...spec.layout, width: Math.max(280, body.clientWidth - 8), autosize: false };
    Plotly.newPlot(body, spec.data, layout, { displayModeBar: false });
  }
  return { show, preview, draw };
}

function configTab(box) {
  const table = h("div"), text = h("pre", { class: "qnb-config", tabindex: 0 });
  box.append(table, h("div", { class: "qnb-row qnb-soft" }, h("b", { text: "Resolved YAML" }), h("span", { class: "qnb-muted", text: "as it was run" })), text);
  return {
    text(yaml) { if (text.textContent !== yaml) text.textContent = yaml; },
    show(rows) {
      table.replaceChildren(h("div", { class: "qnb-row qnb-soft qnb-first" }, h("b", { text: "Differences to defaults" }), h("span", { class: "qnb-muted", text: rows.length ? "" : "none" })),
        rows.length ? rowsTable(["Component", "Argument", "Here", "Default"], rows, "qnb-frame qnb-differences") : "");
    },
  };
}

function environmentTab(box, { groups, texts, note }) {
  const columns = groups.map((g) => h("section", {}, h("h4", { text: g.title }), h("dl", { class: "qnb-facts" },
    ...g.rows.map(([k, v]) => h("div", {}, h("dt", { text: k }), h("dd", { text: v }))))));
  box.replaceChildren(...[note ? h("div", { class: "qnb-remark", text: note }) : null, h("div", { class: "qnb-groups" }, ...columns),
    ...texts.map((t) => h("details", { class: "qnb-long" }, h("summary", { text: t.title }), h("pre", { class: "qnb-config", tabindex: 0, text: t.text })))].filter(Boolean));
}

// The numbers of the curves, for those who cannot see them.
function curvesTable(panes, unit) {
  const lines = panes.flatMap((p) => p.lines.map((l) => ({ ...l, head: l.name === p.metric ? p.metric : `${l.name} ${p.metric}` })));
  const rows = new Map();
  lines.forEach((l, i) => l.steps.forEach((step, k) => {
    if (!rows.has(step)) rows.set(step, new Array(lines.length).fill(null));
    rows.get(step)[i] = l.values[k];
  }));
  const written = (v) => (v === null || v === undefined ? "–" : (Number.isInteger(v) ? String(v) : v.toPrecision(6)).replace("-", "−"));
  const body = [...rows.keys()].sort((a, b) => a - b).map((step) => [String(step), ...rows.get(step).map(written)]);
  return rowsTable([unit, ...lines.map((l) => l.head)], body, "qnb-frame", 1);
}
