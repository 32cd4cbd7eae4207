const ICONS = { waiting: "○", running: "◔", finished: "✓", failed: "✕", damaged: "✕", stopped: "■" };
const POLL_MS = 2000;
const TYPING_MS = 40;

const isBeginning = (r) => r.id.startsWith("dir:") && r.status !== "damaged"; // the store does not know it yet

class Browser {
  constructor(model, el) {
    this.model = model;
    this.first = model.get("first");
    this.rows = [];
    this.columns = this.first.columns;
    this.sort = null;
    this.curves = new Map();
    this.selected = [];
    this.seq = 0;
    this.waiting = new Map();
    this.active = 0;
    this.view = null;
    this.build(el);
    this.onMessage = (message) => this.received(message);
    model.on("msg:custom", this.onMessage);
    this.page(this.first);
    this.timer = setInterval(() => this.poll(), POLL_MS);
    let before = 0;
    this.observer = new ResizeObserver(() => {
      const width = this.root.clientWidth;
      if (Math.abs(width - before) > 8 && this.view) this.drawComparison();
      before = width;
    });
    this.observer.observe(this.root);
  }

  build(el) {
    this.experiment = h("select", { class: "qnb-select", "aria-label": "Experiment", onchange: () => this.query() });
    this.text = h("input", { class: "qnb-filter", type: "search", spellcheck: "false", autocomplete: "off", "aria-label": "Filter runs", placeholder: "metrics.IC > 0.04, or type a word", value: this.first.text || "" });
    this.text.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => this.typed(), TYPING_MS); });
    this.text.addEventListener("keydown", (e) => { if (e.key === "Enter") { clearTimeout(this.typing); this.query(); } else if (e.key === "ArrowDown") { e.preventDefault(); this.focusRow(0); } });
    this.count = h("span", { class: "qnb-count", role: "status", "aria-live": "polite" });
    const refresh = h("button", { type: "button", class: "qnb-button", text: "Refresh", onclick: () => this.query() });
    this.chips = h("div", { class: "qnb-chips", role: "group", "aria-label": "Columns" });
    this.picker = h("div", { class: "qnb-picker", hidden: true });
    this.head = h("tr");
    this.body = h("tbody");
    this.table = h("table", { class: "qnb-runs-table", "aria-label": "Runs", "aria-multiselectable": "true" }, h("thead", {}, this.head), this.body);
    this.scroll = h("div", { class: "qnb-scroll", tabindex: "-1" }, this.table);
    this.scroll.addEventListener("scroll", () => { if (this.scroll.scrollTop + this.scroll.clientHeight > this.scroll.scrollHeight - 200) this.more(); });
    this.body.addEventListener("keydown", (e) => this.key(e));
    this.error = h("div", { class: "qnb-error", role: "alert", hidden: true });
    this.actions = h("div", { class: "qnb-actions", role: "toolbar", "aria-label": "Selected runs" });
    this.ask = h("div", { class: "qnb-ask", hidden: true });
    this.note = h("div", { class: "qnb-sr", role: "status", "aria-live": "polite" });
    this.compared = h("section", { class: "qnb-compare", "aria-label": "Comparison", hidden: true });
    this.opened = h("section", { class: "qnb-opened", "aria-label": "Run", hidden: true });
    this.root = h("article", { class: "qnb-runs", "aria-label": "Runs" },
      h("header", { class: "qnb-bar-top" }, h("strong", { text: "Runs" }), this.experiment, this.text, this.count, refresh),
      h("div", { class: "qnb-columns" }, h("span", { class: "qnb-muted", text: "Columns" }), this.chips), this.picker,
      this.error, this.scroll, this.actions, this.ask, this.note, this.compared, this.opened);
    this.root.addEventListener("keydown", (e) => { if (e.key === "Escape") this.escape(); e.stopPropagation(); });
    this.child = h("div", { class: "qnb-child-of-runs" }); // a panel with a style of its own stands beside, not within
    el.append(this.root, this.child);
    this.hide = h("style", { text: `.${this.model.get("static_class")} { display: none; }` });
    document.head.append(this.hide);
  }

  close() {
    clearInterval(this.timer);
    this.observer.disconnect();
    this.hide.remove();
    this.model.off("msg:custom", this.onMessage);
  }

  send(request, then) {
    this.seq += 1;
    if (then) this.waiting.set(this.seq, then);
    this.model.send({ ...request, seq: this.seq });
    return this.seq;
  }

  received(message) {
    const then = this.waiting.get(message.seq);
    this.waiting.delete(message.seq);
    if (message.kind === "error") { this.fail(message.text); if (message.to === "query") this.answered(); return; }
    if (message.kind === "curves") { for (const [id, v] of Object.entries(message.curves)) this.curves.set(id, v); this.drawCurves(); return; }
    if (message.kind === "comparison") {
      if (JSON.stringify(message.ids) === JSON.stringify(this.comparing)) { this.view = message.view; this.drawComparison(); }
      return;
    }
    if (then) then(message);
  }

  request(offset) {
    return { kind: "query", text: this.text.value, experiment: this.experiment.value, sort: this.sort, columns: this.columns.map((c) => c.key), offset, depth: this.depth?.text === this.text.value ? 1e9 : 0 };
  }

  query() {
    this.busy = true;
    const mine = this.send(this.request(0), (page) => { if (mine === this.newest) { this.page(page); this.answered(); } });
    this.newest = mine;
  }

  typed() { // one question at a time, so that a slow store answers what stands there now and not every letter
    if (this.busy) this.again = true;
    else this.query();
  }

  answered() {
    this.busy = false;
    if (this.again) { this.again = false; this.query(); }
  }

  more() {
    if (this.busy || this.rows.length >= this.matching) return;
    this.busy = true;
    const at = this.rows.filter((r) => !r.id.startsWith("dir:")).length;
    this.send(this.request(at), (page) => { this.busy = false; this.counts(page); this.rows.push(...page.rows.filter((r) => !this.rows.some((o) => o.id === r.id))); this.drawRows(); });
  }

  poll() {
    const going = this.rows.some((r) => r.status === "running" || r.status === "waiting");
    if (!going || this.busy || document.hidden || !this.root.isConnected || this.rows.length > 200) return;
    this.query();
  }

  page(page) {
    this.fail("");
    this.rows = page.rows;
    this.counts(page);
    this.columns = page.columns;
    const names = ["", ...page.experiments];
    if (this.experiment.childNodes.length !== names.length) {
      const chosen = this.experiment.value || this.first.experiment || "";
      this.experiment.replaceChildren(...names.map((n) => h("option", { value: n, text: n || "All experiments" })));
      this.experiment.value = chosen;
    }
    this.drawChips();
    this.drawHead();
    this.drawRows();
  }

  counts(page) {
    this.matching = page.matching;
    this.total = page.total;
    this.searched = page.searched;
  }

  // A store that is not an SQLite file has no count and is looked through a page at a time: what was not is said.
  counted() {
    const n = (k) => k.toLocaleString("en");
    if (this.searched && this.matching >= this.searched) return ["more than ", h("b", { text: n(this.matching) }), " runs"];
    if (this.searched) {
      const deeper = () => { this.depth = { text: this.text.value }; this.count.textContent = "searching…"; this.query(); };
      return [h("b", { text: n(this.matching) }), ` of the newest ${n(this.searched)} runs `, h("button", { type: "button", class: "qnb-button", text: "Search all", onclick: deeper })];
    }
    if (this.matching === this.total) return [h("b", { text: n(this.total) }), this.total === 1 ? " run" : " runs"];
    return [h("b", { text: n(this.matching) }), ` of ${n(this.total)} runs`];
  }

  fail(text) {
    this.error.hidden = !text;
    this.error.textContent = text;
  }

  say(text) { this.note.textContent = text; }

  drawChips() {
    const chips = this.columns.map((c, i) => h("span", { class: "qnb-chip-column" }, h("span", { text: c.title }),
      h("button", { type: "button", "aria-label": `Remove column ${c.title}`, text: "×", onclick: () => { this.columns = this.columns.filter((_, k) => k !== i); this.query(); } })));
    const add = h("button", { type: "button", class: "qnb-add", "aria-expanded": String(!this.picker.hidden), onclick: () => this.openPicker() }, "+ Add");
    this.chips.replaceChildren(...chips, add);
  }

  openPicker() {
    if (!this.picker.hidden) { this.picker.hidden = true; this.drawChips(); return; }
    this.send({ kind: "keys" }, (reply) => {
      const input = h("input", { class: "qnb-filter", type: "search", placeholder: "Find a metric, param or tag", "aria-label": "Find a column" });
      const list = h("div", { class: "qnb-picker-list", role: "listbox", "aria-label": "Columns to add" });
      const draw = () => {
        const word = input.value.toLowerCase();
        const there = new Set(this.columns.map((c) => c.key));
        const left = reply.columns.filter((c) => !there.has(c.key) && c.key.toLowerCase().includes(word));
        const shown = [...left.slice(0, 80).map((c) => h("button", { type: "button", role: "option", "aria-selected": "false", title: c.key, text: c.key.includes(".") ? c.key : c.title, onclick: () => { this.add(c); draw(); } })),
          left.length > 80 ? h("span", { class: "qnb-muted", text: `${left.length - 80} more: type to narrow` }) : null, left.length ? null : h("span", { class: "qnb-muted", text: "No other column of that name." })];
        list.replaceChildren(...shown.filter(Boolean));
      };
      input.addEventListener("input", draw);
      this.picker.replaceChildren(input, list);
      this.picker.hidden = false;
      this.drawChips();
      draw();
      input.focus();
    });
  }

  add(column) {
    const at = Math.max(0, this.columns.findIndex((c) => c.key === "curve"));
    this.columns = [...this.columns.slice(0, at), column, ...this.columns.slice(at)];
    this.query();
  }

  drawHead() {
    const cell = (c) => {
      const mine = this.sort?.key === c.key || (!this.sort && c.key === "start");
      const down = this.sort ? this.sort.descending : true;
      const direction = mine ? (down ? "descending" : "ascending") : "none";
      const title = mine ? `${c.title} ${down ? "▾" : "▴"}` : c.title;
      const inner = c.sortable ? h("button", { type: "button", text: title, onclick: () => this.sortBy(c, mine && down) }) : h("span", { text: title });
      return h("th", { scope: "col", class: `${c.numeric ? "qnb-num " : ""}${mine ? "qnb-sorted" : ""}`, "aria-sort": c.sortable ? direction : null, title: c.key }, inner);
    };
    this.head.replaceChildren(h("th", { scope: "col", class: "qnb-check" }, h("span", { class: "qnb-sr", text: "Select" })), cell({ key: "name", title: "Name", sortable: true }), ...this.columns.map(cell));
  }

  sortBy(column, down) {
    this.sort = { key: column.key, descending: column.numeric ? !down : Boolean(this.sort?.key === column.key && !this.sort.descending) };
    this.query();
  }

  drawRows() {
    const focused = this.body.contains(document.activeElement) && document.activeElement.tagName === "TR";
    this.count.replaceChildren(...this.counted());
    this.active = Math.min(this.active, Math.max(0, this.rows.length - 1));
    this.body.replaceChildren(...this.rows.map((r, i) => this.row(r, i)));
    if (!this.rows.length) this.body.append(h("tr", {}, h("td", { class: "qnb-empty", colspan: this.columns.length + 2 }, ...this.empty())));
    if (focused) this.focusRow(this.active);
    this.drawCurves();
    this.drawActions();
  }

  empty() {
    if (this.total) return [`No run matches${this.searched ? ` in the newest ${this.searched.toLocaleString("en")}` : ""}. ${this.total.toLocaleString("en")} without the filter. `, h("button", { type: "button", class: "qnb-button", text: "Clear filter", onclick: () => { this.text.value = ""; this.experiment.value = ""; this.query(); } })];
    return ["No runs yet. Run a %%qtask cell, or ", h("code", { text: "qnb demo" }), " in a shell."];
  }

  row(r, i) {
    const at = this.selected.findIndex((o) => o.id === r.id);
    const box = h("input", { type: "checkbox", tabindex: "-1", "aria-label": `Select ${r.name}`, disabled: isBeginning(r) });
    box.checked = at >= 0;
    box.addEventListener("change", () => this.toggle(r));
    const chip = h("span", { class: `qnb-state qnb-is-${r.status}` }, h("span", { "aria-hidden": "true", text: ICONS[r.status] || "○" }), h("span", { text: r.status_text }));
    const cells = this.columns.map((c) => {
      if (c.key === "status") return h("td", {}, chip);
      if (c.key === "tags") return h("td", {}, r.tags.map((t) => h("span", { class: "qnb-tag", text: t.text })));
      if (c.key === "curve") return h("td", { class: "qnb-curve", "data-run": r.id }, this.remark(r));
      const text = r.cells[c.key] ?? "–";
      return h("td", { class: `${c.numeric ? "qnb-num" : "qnb-text"}${text === "–" ? " qnb-muted" : ""}`, title: text.length > 24 ? text : null, text });
    });
    const open = h("button", { type: "button", class: "qnb-name", tabindex: "-1", text: r.name, title: r.experiment ? `${r.experiment} / ${r.name}` : r.name, onclick: () => { this.active = i; this.open(r); } });
    const row = h("tr", { tabindex: i === this.active ? "0" : "-1", "aria-selected": String(at >= 0), "data-i": i }, h("td", { class: "qnb-check" }, box), h("td", { class: "qnb-name-cell" }, at >= 0 ? swatch(at) : h("span", { class: "qnb-swatch" }), open), cells);
    row.addEventListener("focus", () => { this.active = i; for (const o of this.body.children) o.tabIndex = o === row ? 0 : -1; });
    return row;
  }

  remark(r) {
    if (r.note.kind === "progress") {
      const fill = h("span");
      fill.style.width = `${Math.round(100 * r.note.share)}%`;
      return h("span", { class: "qnb-progress-bar", role: "progressbar", "aria-valuenow": Math.round(100 * r.note.share), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuetext": r.note.text, title: r.note.text }, fill);
    }
    if (r.note.kind) return h("span", { class: r.note.kind === "error" ? "qnb-bad" : "qnb-muted", text: r.note.text, title: r.note.text });
    return null;
  }

  drawCurves() {
    const spots = [...this.body.querySelectorAll(".qnb-curve")];
    if (!spots.length) return;
    const missing = [];
    const known = [];
    for (const spot of spots) {
      const values = this.curves.get(spot.dataset.run);
      const r = this.rows.find((o) => o.id === spot.dataset.run);
      if (r?.status === "finished" && values === undefined) { missing.push(r.id); this.curves.set(r.id, null); }
      if (values?.length) known.push(...values);
    }
    const lo = Math.min(0, ...known), hi = Math.max(0.01, ...known);
    for (const spot of spots) {
      const values = this.curves.get(spot.dataset.run);
      const r = this.rows.find((o) => o.id === spot.dataset.run);
      if (!r || r.note.kind) continue;
      const at = this.selected.findIndex((o) => o.id === r.id);
      if (values?.length) spot.replaceChildren(spark(values, lo, hi, at >= 0 ? colour(at) : "var(--qnb-c4)"));
      else if (values && r.status === "finished") spot.replaceChildren(h("span", { class: "qnb-muted", text: "no backtest" }));
    }
    if (missing.length) this.send({ kind: "curves", ids: missing });
  }

  toggle(r) {
    if (isBeginning(r)) return;
    const at = this.selected.findIndex((o) => o.id === r.id);
    if (at >= 0) this.selected.splice(at, 1);
    else this.selected.push(r);
    this.ask.hidden = true;
    this.drawRows();
    this.say(`${this.selected.length} selected`);
  }

  focusRow(i) {
    const rows = [...this.body.querySelectorAll("tr[data-i]")];
    if (!rows.length) return;
    this.active = Math.max(0, Math.min(rows.length - 1, i));
    rows[this.active].tabIndex = 0;
    rows[this.active].focus();
    if (this.active > rows.length - 5) this.more();
  }

  key(e) {
    if (e.target.tagName !== "TR") return;
    const r = this.rows[this.active];
    const moves = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, Home: 0, End: this.rows.length - 1, PageDown: this.active + 10, PageUp: this.active - 10 };
    if (e.key in moves) { e.preventDefault(); this.focusRow(moves[e.key]); }
    else if (e.key === " ") { e.preventDefault(); this.toggle(r); this.focusRow(this.active); }
    else if (e.key === "Enter") { e.preventDefault(); this.open(r); }
    else if (e.key.toLowerCase() === "c" && !e.ctrlKey && !e.metaKey) { e.preventDefault(); this.compare(); }
    else if (e.key === "Delete") { e.preventDefault(); if (!this.selected.length) this.toggle(r); this.askDelete(); }
  }

  escape() {
    if (!this.ask.hidden) { this.ask.hidden = true; this.focusRow(this.active); }
    else if (!this.picker.hidden) { this.picker.hidden = true; this.drawChips(); }
    else if (!this.opened.hidden) this.closeRun();
    else if (!this.compared.hidden) this.closeComparison();
  }

  drawActions() {
    const n = this.selected.length;
    const button = (text, run, ok, kind = "") => h("button", { type: "button", class: `qnb-button ${kind}`, disabled: !ok, text, onclick: run });
    const shown = [h("b", { class: "qnb-selected", text: n ? `${n} selected` : "None selected" }),
      button("Compare", () => this.compare(), n >= 2 && n <= 8, "qnb-filled"), button("Open", () => this.open(this.selected[0]), n === 1),
      button("Tag", () => this.askTag(), n > 0), button("Rename", () => this.askRename(), n === 1), button("Copy as cell", () => this.copyCell(this.selected[0]), n === 1),
      button("Delete…", () => this.askDelete(), n > 0, "qnb-danger"), n ? button("Clear", () => { this.selected = []; this.ask.hidden = true; this.drawRows(); }, true, "qnb-quiet") : null,
      h("span", { class: "qnb-grow" }), h("span", { class: "qnb-muted qnb-keys", text: n > 8 ? "At most 8 runs can be compared" : "Space selects · Enter opens · C compares" })];
    this.actions.replaceChildren(...shown.filter(Boolean));
  }

  form(label, fields, action, run, danger) {
    const go = h("button", { type: "submit", class: `qnb-button ${danger ? "qnb-danger" : "qnb-filled"}`, text: action });
    const cancel = h("button", { type: "button", class: "qnb-button", text: "Cancel", onclick: () => { this.ask.hidden = true; this.focusRow(this.active); } });
    const form = h("form", { class: "qnb-form", role: danger ? "alertdialog" : "group", "aria-label": label }, ...fields, go, cancel);
    form.addEventListener("submit", (e) => { e.preventDefault(); run(); });
    this.ask.replaceChildren(form);
    this.ask.hidden = false;
    (danger ? cancel : form.querySelector("input")).focus();
  }

  changed(reply) {
    this.ask.hidden = true;
    if (reply.deleted) { this.selected = this.selected.filter((r) => !reply.deleted.includes(r.id)); this.closeComparison(); this.closeRun(); }
    this.say(reply.text);
    this.query();
  }

  askTag() {
    const key = h("input", { class: "qnb-filter", required: true, placeholder: "baseline", "aria-label": "Tag" });
    const value = h("input", { class: "qnb-filter", placeholder: "value, may be empty", "aria-label": "Value" });
    const own = [...new Set(this.selected.flatMap((r) => r.tags.map((t) => t.key)))];
    const ids = this.selected.map((r) => r.id);
    const gone = own.map((k) => h("button", { type: "button", class: "qnb-button", "aria-label": `Remove tag ${k}`, onclick: () => this.send({ kind: "untag", ids, key: k }, (r) => this.changed(r)) }, `${k} ×`));
    this.form("Tag runs", [h("b", { text: `Tag ${ids.length === 1 ? this.selected[0].name : `${ids.length} runs`}` }), key, value], "Set tag", () => this.send({ kind: "tag", ids, key: key.value, value: value.value }, (r) => this.changed(r)));
    if (gone.length) this.ask.firstChild.append(h("span", { class: "qnb-muted", text: "remove" }), ...gone);
  }

  askRename() {
    const r = this.selected[0];
    const name = h("input", { class: "qnb-filter", required: true, value: r.name, "aria-label": "New name" });
    this.form("Rename run", [h("b", { text: `Rename ${r.name} to` }), name], "Rename", () => this.send({ kind: "rename", id: r.id, name: name.value }, (reply) => { r.name = name.value; this.changed(reply); }));
  }

  askDelete() {
    if (!this.selected.length) return;
    this.send({ kind: "ask_delete", ids: this.selected.map((r) => r.id) }, (reply) => {
      const more = reply.count > reply.names.length ? ` and ${reply.count - reply.names.length} more` : "";
      const what = reply.count === 1 ? "run" : `${reply.count} runs`;
      this.form(`Delete ${what}`, [h("p", {}, h("b", { text: `Delete ${what}: ` }), h("span", { text: `${reply.names.join(", ")}${more}? ` }), h("span", { class: "qnb-muted", text: reply.text }))],
        reply.count === 1 ? "Delete run" : `Delete ${reply.count} runs`, () => this.send({ kind: "delete", token: reply.token }, (r) => this.changed(r)), true);
    });
  }

  copyCell(r) {
    this.send({ kind: "cell", id: r.id }, async (reply) => {
      const done = await copyText(reply.text);
      const area = h("textarea", { class: "qnb-cell", readonly: true, rows: Math.min(14, reply.text.split("\n").length + 1), "aria-label": "Cell of the run" });
      area.value = reply.text;
      const close = h("button", { type: "button", class: "qnb-button", text: "Close", onclick: () => { this.ask.hidden = true; this.focusRow(this.active); } });
      this.ask.replaceChildren(h("div", { class: "qnb-form" }, h("b", { text: done ? "Copied. Paste it into a cell." : "Copy this into a cell:" }), h("span", { class: "qnb-grow" }), close), area);
      this.ask.hidden = false;
      area.focus();
      area.select();
      this.say(done ? "Copied" : "Ready to copy");
    });
  }

  open(r, kind = "open") {
    if (!r) return;
    this.send({ kind, id: r.id }, async (reply) => {
      this.openedId = r.id;
      this.child.replaceChildren();
      const head = h("div", { class: "qnb-part-head" }, h("b", { text: r.name }), h("span", { class: "qnb-grow" }), this.whatIf(r, kind === "open"), h("button", { type: "button", class: "qnb-button", text: "Copy as cell", onclick: () => this.copyCell(r) }), h("button", { type: "button", class: "qnb-button", text: "Close", onclick: () => this.closeRun() }));
      if (reply.kind === "details") { this.opened.replaceChildren(head, details(reply)); this.opened.hidden = false; }
      else {
        this.opened.replaceChildren(head);
        this.opened.hidden = false;
        const child = await this.model.widget_manager.get_model(reply.model);
        const view = await this.model.widget_manager.create_view(child, {});
        if (this.openedId === r.id) this.child.replaceChildren(view.el);
      }
      this.opened.scrollIntoView({ block: "nearest" });
    });
  }

  whatIf(r, there) {
    if (r.status !== "finished" || !r.panel || !this.curves.get(r.id)?.length) return null;
    return h("button", { type: "button", class: "qnb-button", text: there ? "What if" : "Result", onclick: () => this.open(r, there ? "what_if" : "open") });
  }

  closeRun() {
    this.openedId = null;
    this.opened.hidden = true;
    this.opened.replaceChildren();
    this.child.replaceChildren();
  }

  compare() {
    const n = this.selected.length;
    if (n < 2 || n > 8) { this.say("Select two to eight runs"); return; }
    this.comparing = this.selected.map((r) => r.id);
    this.view = null;
    this.send({ kind: "compare", ids: this.comparing });
  }

  closeComparison() {
    this.comparing = null;
    this.view = null;
    this.compared.hidden = true;
    this.compared.replaceChildren();
  }

  drawComparison() {
    const v = this.view;
    const began = this.compared.hidden;
    const wide = this.root.clientWidth > 860;
    const width = wide ? this.root.clientWidth - Math.min(580, this.root.clientWidth * 0.44) - 36 : this.root.clientWidth - 34;
    const names = v.runs.flatMap((r, i) => [i ? h("span", { class: "qnb-muted", text: i === 1 && v.runs.length === 2 ? "with" : "·" }) : null, swatch(i), h("span", { text: r.label })]);
    const buttons = v.runs.length === 2 ? v.runs.map((r) => h("button", { type: "button", class: "qnb-button", onclick: () => this.copyCell(r) }, `Copy ${r.label} as cell`)) : [];
    const head = h("div", { class: "qnb-part-head" }, h("b", { text: "Compare" }), ...names, h("span", { class: "qnb-grow" }), ...buttons, h("button", { type: "button", class: "qnb-button", text: "Close", onclick: () => this.closeComparison() }));
    const figures = v.figures ? v.figures.map((f) => dayFigure(f, Math.max(280, width), labelRoom(v.figures, Math.max(280, width)))) : [220, 120].map((height) => { const bar = h("div", { class: "qnb-blank" }); bar.style.height = `${height}px`; return bar; });
    const right = h("div", { class: "qnb-right" }, ...figures, v.figures && !v.figures.length ? h("p", { class: "qnb-muted", text: "No backtest and no labels to draw: the tasks have no portfolio record." }) : null,
      v.correlation && v.runs.length > 2 ? correlations(v) : null, v.verdict ? h("p", { class: "qnb-verdict", text: v.verdict.join(" ") }) : null);
    this.compared.replaceChildren(head, h("div", { class: `qnb-halves${wide ? "" : " qnb-stacked"}` }, h("div", { class: "qnb-left" }, configTable(v), metricTable(v)), right));
    this.compared.hidden = false;
    if (began) this.compared.scrollIntoView({ block: "nearest" });
    if (v.verdict) this.say(v.verdict.join(" "));
  }
}

function spark(values, lo, hi, stroke) {
  const w = 112, tall = 20;
  const svg = s("svg", { width: w, height: tall, viewBox: `0 0 ${w} ${tall}`, "aria-hidden": "true" });
  const y = (v) => 2 + ((hi - v) / (hi - lo)) * (tall - 5);
  const x = (i) => 1 + (i / Math.max(1, values.length - 1)) * (w - 6);
  svg.append(s("line", { x1: 1, x2: w - 5, y1: y(0), y2: y(0), class: "qnb-grid" }));
  svg.append(s("polyline", { points: values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" "), class: "qnb-spark-line", style: `stroke:${stroke}` }));
  svg.append(s("circle", { cx: x(values.length - 1), cy: y(values.at(-1)), r: 2, style: `fill:${stroke}` }));
  return svg;
}

function runHeads(v) {
  return v.runs.map((r, i) => h("th", { scope: "col", class: "qnb-num" }, swatch(i), h("span", { class: "qnb-head-name", text: r.label, title: r.label })));
}

function configTable(v) {
  const title = h("h4", {}, "Configuration", h("span", { class: "qnb-muted", text: v.config.length ? `${v.config.length} of ${v.config_keys} keys differ` : `all ${v.config_keys} keys are equal` }));
  if (!v.config.length) return h("div", {}, title);
  const body = [], few = 16;
  let group = null;
  for (const row of v.config) {
    if (row.group !== group) { group = row.group; if (group) body.push(h("tr", { class: "qnb-group" }, h("th", { scope: "rowgroup", colspan: v.runs.length + 1, text: group }))); }
    body.push(h("tr", {}, h("th", { scope: "row" }, h("code", { text: row.key })), row.values.map((t, i) => h("td", { class: `qnb-num${row.changed[i] ? " qnb-strong" : ""}`, title: t.length > 20 ? t : null }, h("span", { class: "qnb-value", text: t })))));
  }
  const table = h("tbody", {}, body.slice(0, few));
  return h("div", {}, title, h("div", { class: "qnb-table-box" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col", text: "Key" }), runHeads(v))), table)), rest(table, body, few));
}

function rest(table, rows, few) {
  if (rows.length <= few) return null;
  return h("button", { type: "button", class: "qnb-quiet", text: `${rows.length - few} more`, onclick: (e) => { table.append(...rows.slice(few)); e.target.remove(); } });
}

function metricTable(v) {
  const two = v.runs.length === 2;
  const rows = v.metrics.map((m) => h("tr", {}, h("th", { scope: "row", text: m.title, title: m.key }), m.values.map((t, i) => h("td", { class: "qnb-num" }, h("span", m.best === i ? { class: "qnb-best-value", text: t, "aria-label": `${t}, best` } : { text: t }))), two ? h("td", { class: "qnb-num qnb-muted", text: m.difference }) : null));
  const few = 14;
  const table = h("tbody", {}, rows.slice(0, few));
  return h("div", {}, h("h4", {}, "Metrics", h("span", { class: "qnb-muted", text: "best is boxed; where equal, none" })), h("div", { class: "qnb-table-box" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col", text: "Metric" }), runHeads(v), two ? h("th", { scope: "col", class: "qnb-num", text: "Difference" }) : null)), table)), rest(table, rows, few));
}

function correlations(v) {
  const head = h("tr", {}, h("th", { scope: "col", text: "Run" }), runHeads(v));
  const body = v.runs.map((r, i) => h("tr", {}, h("th", { scope: "row" }, swatch(i), h("span", { text: r.label })), v.correlation[i].map((t, j) => h("td", { class: `qnb-num${i === j ? " qnb-muted" : ""}`, text: t }))));
  return h("div", {}, h("h4", {}, "Predictions", h("span", { class: "qnb-muted", text: "correlation, mean of the days" })), h("div", { class: "qnb-table-box" }, h("table", {}, h("thead", {}, head), h("tbody", {}, body))));
}

function details(reply) {
  const table = (title, rows, open) => rows.length ? h("details", { open }, h("summary", { text: `${title}, ${rows.length}` }), h("table", {}, h("tbody", {}, rows.map(([k, t]) => h("tr", {}, h("th", { scope: "row", text: k }), h("td", { text: t })))))) : null;
  return h("div", { class: "qnb-details" }, h("p", { class: "qnb-muted", text: "Written by plain MLflow: there is no journal, so this is what the store has." }), table("Run", reply.facts, true), table("Metrics", reply.metrics, true), table("Params", reply.params, false), table("Tags", reply.tags, false), table("Artifacts", reply.artifacts.map((a) => [a, ""]), false));
}

function render({ model, el }) {
  const browser = new Browser(model, el);
  return () => browser.close();
}

export default { render };
