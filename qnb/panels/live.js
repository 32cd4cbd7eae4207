// Draws the view that panels/view.py computed. Text only ever reaches the page through textContent.
const SVG = "http://www.w3.org/2000/svg";

function h(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) {
    if (k === "class") node.className = v;
    else if (k === "text") node.textContent = v;
    else if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else if (v !== null && v !== undefined) node.setAttribute(k, v);
  }
  for (const c of children) if (c) node.append(c);
  return node;
}

function s(tag, attrs = {}, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attrs)) node.setAttribute(k, v);
  if (text !== undefined) node.textContent = text;
  return node;
}

const MARKS = { waiting: "○", running: "◔", finished: "✓", failed: "✕", stopped: "■", unknown: "○" };

function header(view, stop) {
  const chip = h("span", { class: `qnb-chip qnb-${view.status}` },
    h("span", { class: "qnb-mark", "aria-hidden": "true", text: MARKS[view.status] || "○" }),
    h("span", { text: view.status_text }));
  const time = h("span", { class: "qnb-time" });
  if (view.elapsed) {
    time.append(h("b", { text: view.elapsed }));
    if (!view.over) time.append(" elapsed");
  }
  if (view.left) time.append(" · about ", h("b", { text: view.left }), " left");
  if (view.over && view.day) time.append(` · ${view.day}`);
  const id = h("code", { class: "qnb-id", text: `${view.experiment} / ${view.run_id.slice(0, 6)}`, title: view.run_id });
  return [h("strong", { class: "qnb-name", text: view.name }), chip, time, id, view.over ? null : stop].filter(Boolean);
}

function stepper(view) {
  const list = h("ol", { class: "qnb-steps", "aria-label": "Stages" });
  for (const stage of view.stages) {
    const fill = h("span", { class: "qnb-fill" });
    fill.style.width = `${Math.round(100 * stage.share)}%`;
    list.append(h("li", { class: `qnb-step qnb-${stage.status}` },
      h("span", { class: "qnb-rail", "aria-hidden": "true" }, fill),
      h("span", { class: "qnb-step-text" },
        h("span", { class: "qnb-mark", "aria-hidden": "true", text: stage.status === "waiting" ? "" : MARKS[stage.status] }),
        h("b", { text: stage.title }), h("span", { class: "qnb-muted", text: stage.time }))));
  }
  return list;
}

function progress(view) {
  const p = view.progress;
  if (!p) return null;
  const box = h("section", { class: "qnb-progress" },
    h("div", { class: "qnb-row" }, h("b", { text: p.title }), h("span", { class: "qnb-muted", text: p.note }),
      h("span", { class: "qnb-grow" }), h("span", { class: "qnb-muted", text: p.share_text },
        p.way_text ? h("span", { class: "qnb-wide", text: ` ${p.way_text}` }) : null)));
  if (p.share !== null) {
    const fill = h("span", { class: "qnb-fill" });
    fill.style.width = `${100 * p.share}%`;
    box.append(h("div", {
      class: "qnb-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100,
      "aria-valuenow": Math.round(100 * p.share), "aria-valuetext": p.spoken,
    }, fill));
  }
  return box;
}

function ticks(lo, hi, n) {
  const span = hi - lo || Math.abs(hi) || 1;
  const raw = span / n;
  const mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * mag).find((k) => k >= raw);
  const out = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi + step * 1e-9; v += step) out.push(v);
  const digits = Math.max(0, Math.min(8, -Math.floor(Math.log10(step)) + (step / mag === 2.5 ? 1 : 0)));
  return out.map((v) => [v, v.toFixed(digits)]);
}

const COLOURS = { train: "var(--qnb-s1)", valid: "var(--qnb-s2)", test: "var(--qnb-s3)" };

function pane(data, end, width, height, last) {
  const left = 62, top = 8, bottom = last ? 22 : 6;
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  const values = data.lines.flatMap((l) => l.values.filter((v) => v !== null));
  if (!values.length) return svg;
  let lo = Math.min(...values), hi = Math.max(...values);
  if (lo === hi) { lo -= Math.abs(lo) * 0.01 || 1; hi += Math.abs(hi) * 0.01 || 1; }
  const seen = Math.max(...data.lines.map((l) => l.steps[l.steps.length - 1]));
  const first = Math.min(...data.lines.map((l) => l.steps[0]));
  // The label of the last value stands right of it: in what is still to come while there is room, else in a margin.
  const label = 7 * Math.max(...data.lines.map((l) => l.name.length + l.last.length)) + 24;
  const done = Math.max(0.01, (seen - first) / Math.max(1, end - first));
  const right = Math.min(label, Math.max(16, width - left - (width - left - label) / done));
  const x = (v) => left + ((v - first) / Math.max(1, end - first)) * (width - left - right);
  const y = (v) => top + ((hi - v) / (hi - lo)) * (height - top - bottom);
  if (seen < end) svg.append(s("rect", { x: x(seen), y: top, width: x(end) - x(seen), height: height - top - bottom, class: "qnb-future" }));
  for (const [v, text] of ticks(lo, hi, 4)) {
    svg.append(s("line", { x1: left, x2: x(Math.min(seen, end)), y1: y(v), y2: y(v), class: "qnb-grid" }));
    svg.append(s("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end", class: "qnb-tick" }, text));
  }
  if (last) for (const [v, text] of [[first, String(first)], ...ticks(first, end, width > 420 ? 7 : 4).filter(([v]) => v - first > (end - first) / 20)]) if (Number.isInteger(v)) svg.append(s("text", { x: x(v), y: height - 6, "text-anchor": "middle", class: "qnb-tick" }, text));
  if (data.best_step && data.best_step <= seen) {
    svg.append(s("line", { x1: x(data.best_step), x2: x(data.best_step), y1: top, y2: height - bottom, class: "qnb-best" }));
  }
  const said = [];
  let floor = -20;
  for (const line of [...data.lines].sort((a, b) => y(a.values.at(-1) ?? lo) - y(b.values.at(-1) ?? lo))) {
    const colour = COLOURS[line.name] || "var(--qnb-s1)";
    let path = "", pen = "M";
    line.values.forEach((v, i) => { if (v === null) pen = "M"; else { path += `${pen}${x(line.steps[i]).toFixed(1)},${y(v).toFixed(1)}`; pen = "L"; } });
    svg.append(s("path", { d: path, class: "qnb-line", stroke: colour }));
    const v = line.values.at(-1);
    if (v !== null && v !== undefined) {
      svg.append(s("circle", { cx: x(seen), cy: y(v), r: 3, fill: colour }));
      const ty = Math.max(y(v) + 4, floor + 14);
      floor = ty;
      const words = s("text", { x: x(seen) + 8, y: ty, class: "qnb-end" });
      words.append(s("tspan", { fill: colour, "font-weight": 600 }, line.name), s("tspan", { dx: 4 }, line.last));
      svg.append(words);
    }
    if (line.best) {
      svg.append(s("circle", { cx: x(line.best.step), cy: y(line.best.value), r: 4, class: "qnb-best-dot" }));
      const late = x(line.best.step) + 140 > x(seen) && x(line.best.step) - 140 > left;
      svg.append(s("text", { x: x(line.best.step) + (late ? -6 : 6), y: top + 14, "text-anchor": late ? "end" : "start", class: "qnb-end" }, line.best.text));
    }
    said.push(`${line.name} ${data.metric}, last ${line.last}${line.best ? `, ${line.best.text}` : ""}`);
  }
  svg.setAttribute("aria-label", said.join("; "));
  return svg;
}

function curves(view, width) {
  if (!view.panes.length) return null;
  const box = h("section", { class: "qnb-curves" });
  let end = Math.max(2, ...view.panes.flatMap((p) => p.lines.map((l) => l.steps[l.steps.length - 1])));
  if (!view.over && view.end) end = Math.max(end, view.end);
  view.panes.forEach((p, i) => {
    const alike = view.panes.filter((o) => o.metric === p.metric).length;
    if (!i || view.panes[i - 1].metric !== p.metric) {
      box.append(h("div", { class: "qnb-row" }, h("b", { text: `${p.metric} by ${view.unit}` }),
        alike > 1 ? h("span", { class: "qnb-muted", text: "own scales" }) : null));
    }
    box.append(pane(p, end, Math.max(240, width), (p.main ? 150 : 100) + (i === view.panes.length - 1 ? 16 : 0), i === view.panes.length - 1));
  });
  return box;
}

function spark(values) {
  const svg = s("svg", { width: 110, height: 20, viewBox: "0 0 110 20", preserveAspectRatio: "none", "aria-hidden": "true" });
  const top = Math.max(...values, 1);
  const points = values.map((v, i) => `${((i / Math.max(1, values.length - 1)) * 108 + 1).toFixed(1)},${(19 - (v / top) * 17).toFixed(1)}`);
  svg.append(s("polygon", { points: `1,20 ${points.join(" ")} 109,20`, class: "qnb-spark-area" }), s("polyline", { points: points.join(" "), class: "qnb-spark" }));
  return svg;
}

function side(view) {
  const box = h("aside", { class: "qnb-side" });
  if (view.facts.length) {
    const list = h("dl", { class: "qnb-facts" });
    for (const [k, v, more] of view.facts) {
      list.append(h("div", {}, h("dt", { text: k }), h("dd", { text: v }, more ? h("span", { class: "qnb-muted", text: ` ${more}` }) : null)));
    }
    box.append(h("b", { text: view.over ? "At the end" : "Now" }), list);
  }
  const w = view.worker;
  if (w.pid) {
    box.append(h("div", { class: "qnb-worker" }, h("b", { text: w.name }), h("code", { class: "qnb-muted", text: ` pid ${w.pid}` })));
    const list = h("dl", { class: "qnb-facts" });
    if (w.cpu) list.append(h("div", {}, h("dt", { text: "CPU" }), spark(w.cpu_series), h("dd", { text: w.cpu })));
    if (w.memory) list.append(h("div", {}, h("dt", { text: "Memory" }), spark(w.memory_series), h("dd", { text: w.memory })));
    if (w.threads) list.append(h("div", {}, h("dt", { text: "Threads" }), h("dd", { text: String(w.threads) })));
    box.append(list);
  }
  return box.childNodes.length ? box : null;
}

function log(view, keep) {
  const many = view.warning_count === 1 ? "1 warning" : `${view.warning_count} warnings`;
  const head = h("div", { class: "qnb-row qnb-soft" }, h("b", { text: "Log" }),
    h("span", { class: "qnb-muted", text: `last ${view.log.length} of ${view.log_count} lines${view.warning_count ? ` · ${many}` : ""}` }));
  const body = h("div", { class: "qnb-log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log" });
  for (const line of view.log) {
    body.append(h("div", { class: `qnb-log-${line.level}` }, h("span", { class: "qnb-muted", text: line.time }),
      h("span", { class: "qnb-log-stage", text: line.stage }), h("span", { text: line.text })));
  }
  requestAnimationFrame(() => { body.scrollTop = keep.follow ? body.scrollHeight : keep.top; });
  body.addEventListener("scroll", () => { keep.top = body.scrollTop; keep.follow = body.scrollTop + body.clientHeight > body.scrollHeight - 8; });
  return [head, body];
}

function failure(view) {
  if (view.status === "stopped") return [h("div", { class: "qnb-note qnb-stopped", text: `Stopped: ${view.stop_reason}` })];
  if (!view.failure) return [];
  return [h("div", { class: "qnb-note qnb-failed", role: "alert" }, h("div", { text: view.failure.message }),
    view.failure.traceback ? h("details", {}, h("summary", { text: "Traceback" }), h("pre", { text: view.failure.traceback })) : null)];
}

function metrics(view) {
  if (!view.metrics.length) return [h("p", { class: "qnb-empty", text: "No metrics yet." })];
  const table = h("table", { class: "qnb-metrics" });
  for (const [name, value] of view.metrics) table.append(h("tr", {}, h("th", { scope: "row", text: name }), h("td", { text: value })));
  return [table];
}

const TABS = [["progress", "Progress"], ["metrics", "Metrics"], ["backtest", "Result"], ["config", "Config"]];
let count = 0;

// Tabs that stay in the page: what is drawn anew never holds the focus, and a click is never lost to a redraw.
function tabs(choose) {
  const prefix = `qnb-${(count += 1)}`;
  const list = h("div", { class: "qnb-tabs", role: "tablist", "aria-label": "Parts of the run" });
  const panels = {}, buttons = {};
  for (const [key, title] of TABS) {
    panels[key] = h("div", { class: `qnb-tab-${key}`, role: "tabpanel", id: `${prefix}-${key}`, "aria-labelledby": `${prefix}-tab-${key}` });
    buttons[key] = h("button", { type: "button", role: "tab", class: "qnb-tab", id: `${prefix}-tab-${key}`, "aria-controls": `${prefix}-${key}`, text: title, onclick: () => choose(key) });
    list.append(buttons[key]);
  }
  list.addEventListener("keydown", (e) => {
    const open = TABS.map(([key]) => key).filter((key) => !buttons[key].disabled);
    const at = open.findIndex((key) => buttons[key] === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: open.length - 1 }[e.key];
    if (at < 0 || to === undefined) return;
    e.preventDefault();
    const key = open[(to + open.length) % open.length];
    choose(key);
    buttons[key].focus();
  });
  return { list, panels, buttons };
}

// Redraws a part only when what it is made of changed.
function part(node, make) {
  let before;
  return (stamp, ...given) => {
    if (stamp === before) return;
    before = stamp;
    node.replaceChildren(...make(...given));
  };
}

function render({ model, el }) {
  const root = h("article", { class: "qnb-panel" });
  const status = h("div", { class: "qnb-sr", role: "status", "aria-live": "polite" });
  const stop = h("button", { class: "qnb-stop", type: "button", onclick: () => model.send({ kind: "stop" }) });
  const head = h("header", { class: "qnb-head" });
  const facts = h("div"), logs = h("section"), fails = h("div"), chart = h("div");
  let chosen = null;
  const { list, panels, buttons } = tabs((key) => { chosen = key; draw(); });
  panels.progress.append(chart, logs);
  root.append(status, head, fails, facts, list, ...Object.values(panels));
  el.append(root);
  const keep = { follow: true, top: 0 };
  const drawHead = part(head, (view) => header(view, stop));
  const drawFailure = part(fails, failure);
  const drawLog = part(logs, (view) => (view.log.length ? log(view, keep) : []));
  const drawMetrics = part(panels.metrics, metrics);
  const drawConfig = part(panels.config, (text) => [h("pre", { class: "qnb-config", text })]);
  let said = "";

  function draw() {
    const view = model.get("view");
    if (!view?.run_id) return;
    root.setAttribute("aria-label", `Run ${view.name}`);
    const asked = model.get("stop_asked");
    stop.textContent = asked ? "Stopping" : "Stop";
    stop.disabled = asked;
    stop.setAttribute("aria-label", `Stop run ${view.name}`);
    drawHead(JSON.stringify([view.name, view.status, view.elapsed, view.left]), view);
    drawFailure(JSON.stringify([view.status, view.stop_reason, view.failure]), view);
    const silent = view.silent ? h("div", { class: "qnb-note qnb-stopped", text: view.silent }) : null;
    facts.replaceChildren(...[silent, stepper(view)].filter(Boolean));
    const key = drawTabs(view);
    if (key === "progress") {
      const wide = root.clientWidth || 792;
      const drawn = curves(view, wide > 620 ? wide - 248 - 34 : wide - 34);
      const main = h("div", { class: `qnb-main${wide > 620 ? "" : " qnb-narrow"}` }, drawn, side(view));
      chart.replaceChildren(...[view.over ? null : progress(view), main.childNodes.length ? main : null].filter(Boolean));
      drawLog(`${view.log_count}`, view);
    } else if (key === "metrics") drawMetrics(JSON.stringify(view.metrics), view);
    else if (key === "config") drawConfig(model.get("config"), model.get("config"));
    const running = view.stages.find((x) => x.status === "running");
    const now = `${view.name}: ${view.status_text}${running ? `, ${running.title}` : ""}`;
    if (now !== said) { said = now; status.textContent = now; }
  }
  function drawTabs(view) {
    const result = Boolean(model.get("result_html"));
    buttons.backtest.disabled = !result;
    buttons.backtest.title = result ? "" : "There when the run has finished";
    let key = chosen || (result ? "backtest" : "progress");
    if (key === "backtest" && !result) key = "progress";
    for (const [k] of TABS) {
      panels[k].hidden = k !== key;
      buttons[k].setAttribute("aria-selected", String(k === key));
      buttons[k].tabIndex = k === key ? 0 : -1;
    }
    return key;
  }
  // The one HTML from outside: made and escaped by the worker's report.
  function drawResult() { panels.backtest.innerHTML = model.get("result_html") || ""; draw(); }
  model.on("change:view", draw);
  model.on("change:stop_asked", draw);
  model.on("change:result_html", drawResult);
  root.addEventListener("keydown", (e) => e.stopPropagation());
  drawResult();
  let width = root.clientWidth;
  const observer = new ResizeObserver(() => {
    if (root.clientWidth !== width) { width = root.clientWidth; draw(); }
  });
  observer.observe(root);
  const hide = h("style", { text: `.${model.get("static_class")} { display: none; }` });
  document.head.append(hide);
  return () => { observer.disconnect(); hide.remove(); };
}

export default { render };
