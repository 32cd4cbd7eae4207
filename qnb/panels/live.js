// Draws the view that panels/view.py computed; comes after chart.js.
function header(view, buttons) {
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
  if (view.attempt > 1) time.append(` · try ${view.attempt}`);
  const id = h("code", { class: "qnb-id", text: `${view.experiment} / ${view.run_id.slice(0, 6)}`, title: view.run_id });
  const shown = { stop: !view.over, next: view.status === "waiting", resume: view.resumable, retry: view.over && view.can_retry, cell: view.over, save_report: view.has_report };
  const row = h("span", { class: "qnb-buttons" }, ...Object.keys(shown).filter((k) => shown[k]).map((k) => buttons[k]));
  return [h("strong", { class: "qnb-name", text: view.name }), chip, time, id, row].filter(Boolean);
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
    if (w.memory) list.append(h("div", {}, h("dt", { text: "Memory" }), spark(w.memory_series, w.memory_limit || 1), h("dd", { text: w.memory })));
    if (w.gpu) list.append(h("div", {}, h("dt", { text: "GPU" }), spark(w.gpu_series, 100), h("dd", { text: w.gpu })));
    if (w.threads) list.append(h("div", {}, h("dt", { text: "Threads" }), h("dd", { text: String(w.threads) })));
    box.append(list);
  }
  return box.childNodes.length ? box : null;
}

// The head stays in the page, so that typing in the search is never interrupted by a redraw.
function logPart(search) {
  const box = h("section", { hidden: "" });
  const count = h("span", { class: "qnb-muted" });
  const field = h("input", { type: "search", class: "qnb-search", placeholder: "Search log", "aria-label": "Search the log" });
  const warnings = h("input", { type: "checkbox" });
  let timer = 0;
  const ask = () => { clearTimeout(timer); timer = setTimeout(() => search(field.value, warnings.checked), 120); };
  field.addEventListener("input", ask);
  warnings.addEventListener("change", ask);
  const follow = h("button", { type: "button", class: "qnb-follow", text: "Follow", hidden: "" });
  const body = h("div", { class: "qnb-log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log" });
  let following = true, before;
  follow.addEventListener("click", () => { following = true; follow.hidden = true; body.scrollTop = body.scrollHeight; });
  body.addEventListener("scroll", () => {
    following = body.scrollTop + body.clientHeight > body.scrollHeight - 8;
    follow.hidden = following;
  });
  box.append(h("div", { class: "qnb-row qnb-soft" }, h("b", { text: "Log" }), count, h("span", { class: "qnb-grow" }), follow, field,
    h("label", { class: "qnb-only" }, warnings, "Warnings only")), body);
  function draw(log, over) {
    if (log === before) return;
    before = log;
    box.hidden = !log.count;
    const many = log.warnings === 1 ? "1 warning" : `${log.warnings} warnings`;
    count.textContent = log.searched ? `${log.matches} of ${log.kept} lines` + (log.lines.length < log.matches ? `, the last ${log.lines.length}` : "")
      : `last ${log.lines.length} of ${log.count} lines${log.warnings ? ` · ${many}` : ""}`;
    body.replaceChildren(...log.lines.map((line) => h("div", { class: `qnb-log-${line.level}` }, h("span", { class: "qnb-muted", text: line.time }),
      h("span", { class: "qnb-log-stage", text: line.stage }), h("bdi", { text: line.text }))));
    if (!log.lines.length) body.append(h("p", { class: "qnb-muted qnb-empty", text: "No line matches." }));
    if (following) requestAnimationFrame(() => { body.scrollTop = body.scrollHeight; });
  }
  return { box, draw };
}

function failure(view) {
  if (view.stop_reason) return [h("div", { class: "qnb-note qnb-stopped", text: view.stop_reason })];
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

const TABS = [["progress", "Progress"], ["metrics", "Metrics"], ["artifacts", "Artifacts"], ["backtest", "Backtest"], ["what_if", "What-if"], ["config", "Config"], ["environment", "Environment"]];
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
  const button = (kind, words, name = "qnb-button") => h("button", { class: name, type: "button", text: words, onclick: () => model.send({ kind }) });
  const actions = {
    stop: button("stop", "Stop", "qnb-stop"), next: button("next", "Run next"), resume: button("resume", "Resume"), retry: button("retry", "Retry"),
    cell: button("cell", "Copy as cell"), save_report: button("save_report", "Save report"),
  };
  const head = h("header", { class: "qnb-head" });
  const facts = h("div"), fails = h("div"), chart = h("div"), copied = h("div"), numbers = h("div", { hidden: "" });
  const logs = logPart((text, warnings) => model.send({ kind: "log", text, warnings }));
  let chosen = null;
  const { list, panels, buttons } = tabs((key) => { chosen = key; draw(); });
  const asTable = h("button", { type: "button", class: "qnb-plain", text: "Show as table", "aria-expanded": "false", onclick: () => {
    numbers.hidden = !numbers.hidden;
    asTable.textContent = numbers.hidden ? "Show as table" : "Hide table";
    asTable.setAttribute("aria-expanded", String(!numbers.hidden));
    draw();
  } });
  const below = h("div", { class: "qnb-below", hidden: "" }, asTable, numbers);
  panels.progress.append(chart, below, logs.box);
  root.append(status, head, copied, fails, facts, list, ...Object.values(panels));
  // What a tab asked for, so that it asks once a run.
  const asked = {};
  const ask = (request) => model.send(request);
  const once = (kind, run) => { if (asked[kind] !== run) { asked[kind] = run; ask(kind === "report" ? { kind, plotly: Boolean(window.qnbPlotly) } : { kind }); } };
  const files = artifactsTab(panels.artifacts, ask);
  const config = configTab(panels.config);
  el.append(root);
  const drawHead = part(head, (view) => header(view, actions));
  const drawFailure = part(fails, failure);
  const drawMetrics = part(panels.metrics, metrics);
  const drawNumbers = part(numbers, (panes, unit) => [curvesTable(panes, unit)]);
  let said = "";

  function draw() {
    const view = { ...model.get("view"), panes: model.get("panes") };
    if (!view.run_id) return;
    root.setAttribute("aria-label", `Run ${view.name}`);
    const stopping = model.get("stop_asked");
    actions.stop.textContent = stopping ? "Stopping" : "Stop";
    actions.stop.disabled = stopping;
    for (const [kind, node] of Object.entries(actions)) node.setAttribute("aria-label", `${{ next: "Run next:", stop: "Stop run", retry: "Retry run", resume: "Resume run", cell: "Copy as a cell: run", save_report: "Save the report of run" }[kind]} ${view.name}`);
    drawHead(JSON.stringify([view.name, view.run_id, view.status, view.elapsed, view.left, view.attempt, view.resumable, view.can_retry, view.has_report]), view);
    drawFailure(JSON.stringify([view.status, view.stop_reason, view.failure]), view);
    const silent = view.silent ? h("div", { class: "qnb-note qnb-stopped", text: view.silent }) : null;
    const notes = (view.notes || []).map((text) => h("div", { class: "qnb-remark", text }));
    facts.replaceChildren(...[silent, ...notes, stepper(view)].filter(Boolean));
    const key = drawTabs(view);
    if (key === "progress") {
      const wide = root.clientWidth || 792;
      const drawn = curves(view, wide > 620 ? wide - 248 - 34 : wide - 34);
      const main = h("div", { class: `qnb-main${wide > 620 ? "" : " qnb-narrow"}` }, drawn, side(view));
      chart.replaceChildren(...[view.over ? null : progress(view), main.childNodes.length ? main : null].filter(Boolean));
      below.hidden = !view.panes.length;
      if (!numbers.hidden) drawNumbers(JSON.stringify(view.panes.map((p) => p.lines.map((l) => l.steps.length))), view.panes, view.unit);
      logs.draw(model.get("log"), view.over);
    } else if (key === "artifacts") {
      if (asked.artifacts !== `${view.run_id} ${view.status}`) panels.artifacts.replaceChildren(waitingLine("Reading the list of files."));
      once("artifacts", `${view.run_id} ${view.status}`);
    } else if (key === "environment") {
      if (asked.environment !== `${view.run_id} ${view.status}`) panels.environment.replaceChildren(waitingLine("Reading what was recorded."));
      once("environment", `${view.run_id} ${view.status}`);
    } else if (key === "backtest") once("report", view.run_id);
    else if (key === "metrics") drawMetrics(JSON.stringify(view.metrics), view);
    else if (key === "what_if") askWhatIf(view.run_id);
    else if (key === "config") { config.text(model.get("config")); once("config", view.run_id); }
    const running = view.stages.find((x) => x.status === "running");
    const now = `${view.name}: ${view.status_text}${running ? `, ${running.title}` : ""}`;
    if (now !== said) { said = now; status.textContent = now; }
  }
  function drawTabs(view) {
    const result = Boolean(model.get("result_html"));
    buttons.backtest.textContent = view.trades || !view.over ? "Backtest" : "Report";
    buttons.backtest.disabled = !result;
    buttons.backtest.title = result ? "" : "There when the run has finished";
    const traded = result && view.status === "finished" && view.trades;
    buttons.what_if.disabled = !traded;
    buttons.what_if.title = traded ? "" : "There when a run with a backtest has finished";
    if (chosen === "what_if" && !traded) chosen = null;
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
  let unlink = null;
  function drawResult() {
    if (unlink) { unlink(); unlink = null; }
    panels.backtest.innerHTML = model.get("result_html") || "";
    asked.report = null;
    draw();
  }
  // The same with live figures, when the tab is looked at: the static pictures stay until the live ones are drawn.
  async function drawReport(html, bytes) {
    if (!html || (!bytes && !window.qnbPlotly)) return;
    try {
      const run = model.get("view").run_id;
      const Plotly = await loadPlotly(bytes);
      if (model.get("view").run_id !== run) return;
      const holder = h("div");
      holder.innerHTML = html;
      const old = panels.backtest.querySelector(".qnb-report");
      if (old) old.replaceWith(holder); else panels.backtest.prepend(holder);
      unlink = qnbReport(holder.querySelector(".qnb-report"), Plotly);
    } catch (error) {
      console.warn("qnb: the live figures cannot be drawn", error);
    }
  }
  async function copyCell(text) {
    const done = await copyText(text);
    const close = h("button", { type: "button", class: "qnb-button", text: "Close", onclick: () => copied.replaceChildren() });
    const pre = h("pre", { class: "qnb-config", tabindex: 0, text });
    copied.replaceChildren(h("div", { class: "qnb-row qnb-soft" }, h("b", { text: done ? "Copied: paste it into a new cell" : "Copy this into a new cell" }), h("span", { class: "qnb-grow" }), close), pre);
    if (!done) { pre.focus(); getSelection().selectAllChildren(pre); }
  }
  model.on("msg:custom", (reply, buffers) => {
    if (reply.run_id !== model.get("view").run_id) return;
    const failed = (box) => box.replaceChildren(h("div", { class: "qnb-note qnb-failed", text: reply.error }));
    const bytes = buffers && buffers[0];
    switch (reply.kind) {
      case "report": drawReport(reply.html, bytes); break;
      case "plotly": loadPlotly(bytes).then(() => files.draw(), (error) => console.warn("qnb: the figure cannot be drawn", error)); break;
      case "artifacts": if (reply.error) failed(panels.artifacts); else files.show(reply); break;
      case "preview": files.preview(reply.path, reply.preview, reply.error); break;
      case "environment": if (reply.error) failed(panels.environment); else environmentTab(panels.environment, reply); break;
      case "config": if (reply.error) failed(copied); else config.show(reply.rows); break;
      case "cell": if (reply.error) failed(copied); else copyCell(reply.text); break;
      case "save": case "save_report": if (reply.error) failed(copied); else saveFile(reply.name, bytes); break;
    }
  });
  // The sliders are a widget of their own, made when the tab is first opened.
  let sliders = "";
  function askWhatIf(id) {
    if (sliders === id) return;
    sliders = id;
    panels.what_if.replaceChildren(h("p", { class: "qnb-empty", text: "Reading the predictions." }));
    model.send({ kind: "what_if" });
  }
  async function drawWhatIf() {
    const id = model.get("what_if");
    if (!id) { sliders = ""; panels.what_if.replaceChildren(); return; }
    const view = await model.widget_manager.create_view(await model.widget_manager.get_model(id), {});
    panels.what_if.replaceChildren(view.el);
  }
  model.on("change:what_if", drawWhatIf);
  // One drawing a frame, however many values came with a message.
  let due = false;
  const soon = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; draw(); }); } };
  for (const name of ["view", "panes", "log"]) model.on(`change:${name}`, soon);
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
  return () => { observer.disconnect(); hide.remove(); if (unlink) unlink(); };
}

export default { render };
