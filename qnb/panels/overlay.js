// Draws several runs over each other; comes after chart.js.
function render({ model, el }) {
  const root = h("article", { class: "qnb-panel qnb-overlay" });
  const names = h("header", { class: "qnb-head" }), charts = h("div", { class: "qnb-curves" });
  root.append(names, charts);
  el.append(root);
  function draw() {
    const view = model.get("view");
    if (!view?.runs) return;
    root.setAttribute("aria-label", `Runs ${view.runs.map((r) => r.name).join(", ")}`);
    names.replaceChildren(...view.runs.map((run) => {
      const line = s("svg", { width: 22, height: 8, "aria-hidden": "true" });
      line.append(s("path", { d: "M0,4H22", stroke: run.colour, "stroke-width": 2, "stroke-dasharray": view.panes.flatMap((p) => p.lines).find((l) => l.name === run.name)?.dash || "none" }));
      return h("span", { class: "qnb-entry" }, line, h("strong", { text: run.name }),
        h("span", { class: `qnb-chip qnb-${run.status}` }, h("span", { class: "qnb-mark", "aria-hidden": "true", text: MARKS[run.status] || "○" }), h("span", { text: run.status_text })),
        h("span", { class: "qnb-time", text: run.elapsed }));
    }));
    const drawn = curves({ panes: view.panes, unit: "step", over: true }, Math.max(280, (root.clientWidth || 792) - 34));
    charts.replaceChildren(...(drawn ? drawn.childNodes : [h("p", { class: "qnb-muted", text: "No curve yet." })]));
  }
  let due = false;
  const soon = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; draw(); }); } };
  model.on("change:view", soon);
  root.addEventListener("keydown", (e) => e.stopPropagation());
  draw();
  let width = root.clientWidth;
  const observer = new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; draw(); } });
  observer.observe(root);
  const hide = h("style", { text: `.${model.get("static_class")} { display: none; }` });
  document.head.append(hide);
  return () => { observer.disconnect(); hide.remove(); };
}

export default { render };
