class WhatIf {
  constructor(model, el) {
    this.model = model;
    this.controls = new Map();
    this.root = h("article", { class: "qnb-runs qnb-whatif", "aria-label": `What if ${model.get("run_name")}` });
    this.said = h("p", { class: "qnb-verdict", role: "status", "aria-live": "polite" });
    this.error = h("div", { class: "qnb-error", role: "alert", hidden: true });
    this.figures = h("div", { class: "qnb-figures" });
    this.table = h("div", { class: "qnb-compare" });
    this.copied = h("div", { class: "qnb-ask", hidden: true });
    const buttons = h("div", { class: "qnb-form" }, h("button", { type: "button", class: "qnb-button qnb-filled", text: "Copy as YAML", onclick: () => this.copy() }), h("button", { type: "button", class: "qnb-button", text: "As in the run", onclick: () => this.reset() }));
    this.time = h("span", { class: "qnb-muted" });
    const head = h("div", { class: "qnb-part-head" }, h("b", { text: "What if" }), h("span", { text: model.get("run_name") }), h("span", { class: "qnb-grow" }), this.time);
    this.sides = h("div", { class: "qnb-halves" }, h("div", { class: "qnb-left" }, ...model.get("knobs").map((k) => this.knob(k)), buttons, this.table), h("div", { class: "qnb-right" }, this.error, this.figures, this.said));
    this.root.append(head, this.sides, this.copied);
    this.root.addEventListener("keydown", (e) => e.stopPropagation());
    el.append(this.root);
    this.hide = h("style", { text: `.${model.get("static_class")} { display: none; }` });
    document.head.append(this.hide);
    this.draw = this.draw.bind(this);
    model.on("change:view", this.draw);
    model.on("change:error", this.draw);
    let before = 0;
    this.observer = new ResizeObserver(() => { if (Math.abs(this.root.clientWidth - before) > 8) { before = this.root.clientWidth; this.draw(); } });
    this.observer.observe(this.root);
    this.draw();
  }

  close() {
    this.observer.disconnect();
    this.model.off("change:view", this.draw);
    this.model.off("change:error", this.draw);
    this.hide.remove();
  }

  knob(k) {
    count += 1;
    const id = `qnb-knob-${count}`;
    const label = h("label", { for: id, text: k.label });
    if (k.choices) {
      const choice = h("select", { id, class: "qnb-select", onchange: () => this.moved() }, k.choices.map((c) => h("option", { value: c, text: c })));
      choice.value = k.value;
      this.controls.set(k.key, { read: () => choice.value, write: (v) => { choice.value = v; }, base: k.value });
      return h("div", { class: "qnb-knob" }, label, choice);
    }
    const range = h("input", { id, type: "range", min: k.min, max: k.max, step: k.step });
    const number = h("input", { type: "number", class: "qnb-filter", min: k.min, max: k.max, step: "any", "aria-label": `${k.label}, number${k.unit ? ` in ${k.unit}` : ""}` });
    range.value = number.value = k.value;
    range.addEventListener("input", () => { number.value = range.value; this.moved(); });
    number.addEventListener("input", () => { if (number.value !== "" && number.checkValidity()) { range.value = number.value; this.moved(); } });
    this.controls.set(k.key, { read: () => Number(number.value), write: (v) => { range.value = number.value = v; }, base: k.value });
    return h("div", { class: "qnb-knob" }, label, range, number, h("span", { class: "qnb-muted qnb-unit", text: k.unit }));
  }

  moved() {
    const values = {};
    for (const [key, c] of this.controls) values[key] = c.read();
    this.model.send({ kind: "move", values });
    this.root.setAttribute("aria-busy", "true");
  }

  reset() {
    for (const c of this.controls.values()) c.write(c.base);
    this.moved();
  }

  async copy() {
    const yaml = this.model.get("view").yaml;
    const done = await copyText(yaml);
    const area = h("textarea", { class: "qnb-cell", readonly: true, rows: Math.min(20, yaml.split("\n").length), "aria-label": "YAML of these settings" });
    area.value = yaml;
    const close = h("button", { type: "button", class: "qnb-button", text: "Close", onclick: () => { this.copied.hidden = true; } });
    this.copied.replaceChildren(h("div", { class: "qnb-form" }, h("b", { text: done ? "Copied. It takes the place of the portfolio record." : "Copy this over the portfolio record:" }), h("span", { class: "qnb-grow" }), close), area);
    this.copied.hidden = false;
    area.focus();
    area.select();
  }

  draw() {
    const v = this.model.get("view");
    const error = this.model.get("error");
    this.error.hidden = !error;
    this.error.textContent = error;
    this.root.removeAttribute("aria-busy");
    const wide = this.root.clientWidth > 820;
    this.sides.classList.toggle("qnb-stacked", !wide);
    const width = Math.max(280, wide ? this.root.clientWidth - Math.min(400, Math.max(370, this.root.clientWidth * 0.42)) - 36 : this.root.clientWidth - 34);
    const room = labelRoom([...v.figures, { lines: [{ name: "this run", last: "+100.0 %" }] }], width);
    this.figures.replaceChildren(...v.figures.map((f) => dayFigure(f, width, room)));
    const changed = v.changed.length > 0;
    const head = h("tr", {}, h("th", { scope: "col", text: "" }), h("th", { scope: "col", class: "qnb-num" }, swatch(0), "this run"), h("th", { scope: "col", class: "qnb-num" }, changed ? swatch(1) : null, changed ? "what if" : ""), h("th", { scope: "col", class: "qnb-num", text: changed ? "Difference" : "" }));
    this.table.replaceChildren(h("table", {}, h("thead", {}, head), h("tbody", {}, v.rows.map((r) => h("tr", {}, h("th", { scope: "row", text: r.title }), h("td", { class: "qnb-num", text: r.base }), h("td", { class: "qnb-num qnb-strong", text: r.now }), h("td", { class: "qnb-num qnb-muted", text: r.difference }))))));
    this.said.textContent = v.sentence;
    this.time.textContent = `backtest in ${v.seconds}`;
  }
}

let count = 0;

function render({ model, el }) {
  const panel = new WhatIf(model, el);
  return () => panel.close();
}

export default { render };
