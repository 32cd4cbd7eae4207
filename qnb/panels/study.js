// Draws the view that panels/study_view.py computed; comes after dom.js.
const MARKS = { waiting: "○", running: "◔", finished: "✓", complete: "✓", failed: "✕", stopped: "■", paused: "■", interrupted: "■", pruned: "–" };
const CHIP = { complete: "finished", pruned: "waiting", paused: "stopped", interrupted: "stopped", waiting: "waiting" };
const WORD = { complete: "Complete", pruned: "Pruned", failed: "Failed", running: "Running" };

function chip(status, text) {
  return h("span", { class: `qnb-chip qnb-${CHIP[status] || status}` },
    h("span", { class: "qnb-mark", "aria-hidden": "true", text: MARKS[status] || "○" }), h("span", { text }));
}

function svg(width, height, label) {
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

function ticks(lo, hi, n) {
  const span = hi - lo || Math.abs(hi) || 1, raw = span / n, mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * mag).find((k) => k >= raw);
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step)) + (step / mag === 2.5 ? 1 : 0)));
  const out = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi + step * 1e-9; v += step) out.push([v, v.toFixed(digits)]);
  return out;
}

function grid(node, left, right, y, lo, hi) {
  for (const [v, text] of ticks(lo, hi, 5)) {
    node.append(s("line", { x1: left, x2: right, y1: y(v), y2: y(v), class: "qnb-grid" }),
      s("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end", class: "qnb-tick" }, text));
  }
}

function figure(title, note, ...nodes) {
  return h("section", { class: "qnb-fig" }, h("div", { class: "qnb-row" }, h("b", { text: title }), h("span", { class: "qnb-muted", text: note })), ...nodes);
}

function kpis(view) {
  const list = h("dl", { class: "qnb-kpis" });
  for (const [label, value, note] of view.kpis) {
    list.append(h("div", {}, h("dt", { text: label }), h("dd", {}, h("b", { text: value }), h("span", { class: "qnb-muted", text: note }))));
  }
  return list;
}

// A number on a scale that shows where good begins.
function scale(share, good, below) {
  const node = svg(190, 14, "");
  node.setAttribute("aria-hidden", "true");
  node.append(s("rect", { x: 0, y: 4, width: 180, height: 5, rx: 2.5, class: "qnb-scale" }),
    s("rect", { x: below ? 0 : 180 * good, y: 4, width: 180 * (below ? good : 1 - good), height: 5, class: "qnb-scale-good" }),
    s("line", { x1: 180 * good, x2: 180 * good, y1: 0, y2: 13, class: "qnb-scale-mark" }));
  const fine = below ? share < good : share >= good;
  node.append(s("circle", { cx: 180 * Math.min(1, Math.max(0, share)), cy: 6.5, r: 4.5, class: fine ? "qnb-dot-good" : "qnb-dot-bad" }));
  return node;
}

function luck(v) {
  const node = svg(230, 72, `Sharpe ratio found ${v.found_text}, best by luck ${v.luck_text}`);
  const end = Math.max(v.found, v.by_luck, 0.5) * 1.1, begin = Math.min(0, v.found);
  const x = (value) => 8 + ((value - begin) / (end - begin)) * 210;
  node.append(s("rect", { x: x(0), y: 34, width: Math.max(0, x(v.by_luck) - x(0)), height: 18, class: "qnb-luck" }),
    s("line", { x1: 8, x2: 222, y1: 52, y2: 52, class: "qnb-zero" }));
  for (const [value, text] of ticks(begin, end, 4)) node.append(s("text", { x: x(value), y: 67, "text-anchor": "middle", class: "qnb-tick" }, text));
  for (const [value, text, cls, row] of [[v.by_luck, `by luck ${v.luck_text}`, "qnb-luck-mark", 0], [v.found, `found ${v.found_text}`, "qnb-found", 1]]) {
    const at = x(value), end = at > 115;
    node.append(s("line", { x1: at, x2: at, y1: 3 + 14 * row, y2: 52, class: cls }),
      s("text", { x: end ? at - 5 : at + 5, y: 12 + 14 * row, "text-anchor": end ? "end" : "start", class: `qnb-tick qnb-halo ${cls}-text` }, text));
  }
  return node;
}

function verdict(view) {
  const v = view.verdict;
  if (!v) return null;
  const words = h("div", { class: "qnb-verdict-words" }, h("p", { text: `${v.sentence} ${v.advice}` }), h("p", { class: "qnb-muted qnb-small", text: v.basis }));
  const body = h("div", { class: "qnb-verdict-body" }, words);
  if (v.deflated !== null) {
    body.append(h("div", {}, h("div", { text: "Deflated Sharpe" }), h("b", { class: "qnb-big", text: v.deflated_text }), h("div", { class: "qnb-small", text: "probability of beating luck" }), scale(v.deflated, 0.95, false), h("div", { class: "qnb-muted qnb-small", text: "good from 0.95" })));
  }
  if (v.overfit !== null) {
    body.append(h("div", {}, h("div", { text: "Overfitting (PBO)" }), h("b", { class: "qnb-big", text: v.overfit_text }), h("div", { class: "qnb-small", text: "winner below the median" }), scale(v.overfit, 0.2, true), h("div", { class: "qnb-muted qnb-small", text: "good below 20 %" })));
  }
  if (v.found !== null) body.append(h("div", {}, h("div", { text: "Sharpe ratio a year" }), luck(v), h("div", { class: "qnb-muted qnb-small", text: v.measure })));
  return h("section", { class: `qnb-verdict qnb-tone-${v.tone}` },
    h("div", { class: "qnb-verdict-head" }, h("span", { text: "How much of this is luck? " }), h("b", { text: v.headline }), h("span", { class: "qnb-muted", text: v.after })), body);
}

function history(view, width) {
  const { points, best, maximize, end } = view.history;
  const complete = points.filter((p) => p[2] === "complete");
  if (!complete.length) return null;
  const height = 190, left = 58, right = width - 92, top = 10, bottom = height - 24;
  let lo = Math.min(...complete.map((p) => p[1])), hi = Math.max(...complete.map((p) => p[1]));
  const room = (hi - lo) || Math.abs(hi) * 0.1 || 1;
  // Values far below stand as triangles at the foot, so the best stay readable.
  const sorted = complete.map((p) => p[1]).sort((a, b) => a - b), middle = sorted[Math.floor(sorted.length / 2)];
  if (maximize) lo = Math.max(lo, middle - 2 * (hi - middle || room)); else hi = Math.min(hi, middle + 2 * (middle - lo || room));
  // A pruned trial may have stood above the best on its way.
  const ends = points.map((p) => p[1]);
  if (maximize) hi = Math.max(hi, Math.min(Math.max(...ends), hi + room)); else lo = Math.min(lo, Math.max(Math.min(...ends), lo - room));
  lo -= room * 0.04; hi += room * 0.04;
  const last = Math.max(1, end - 1), x = (n) => left + (n / last) * (right - left);
  const y = (v) => Math.min(bottom, Math.max(top, top + ((maximize ? hi - v : v - lo) / (hi - lo)) * (bottom - top)));
  const final = best[best.length - 1];
  const off = points.filter((p) => (maximize ? p[1] < lo : p[1] > hi));
  const node = svg(width, height, `${complete.length} complete trials, best ${view.kpis[0][1]} in trial ${final ? final[0] : ""}`);
  grid(node, left, right, y, lo, hi);
  for (const [v, text] of ticks(0, last, 6)) if (Number.isInteger(v)) node.append(s("text", { x: x(v), y: height - 6, "text-anchor": "middle", class: "qnb-tick" }, text));
  for (const [n, v, state, text] of points) {
    if (off.some((p) => p[0] === n)) { node.append(s("path", { d: `M${x(n) - 4},${bottom - 7}h8l-4,7z`, class: "qnb-pruned-fill" })); continue; }
    const mark = state === "complete" ? s("circle", { cx: x(n), cy: y(v), r: 3.5, class: final && n === final[0] ? "qnb-dot-best" : "qnb-ring" })
      : s("path", { d: `M${x(n) - 3},${y(v) - 3}l6,6m0,-6l-6,6`, class: "qnb-pruned-mark" });
    mark.append(s("title", {}, `trial ${n}: ${text}, ${state}`));
    node.append(mark);
  }
  let path = "";
  best.forEach(([n, v], i) => { path += `${i ? "L" : "M"}${x(n)},${y(v)}H${i + 1 < best.length ? x(best[i + 1][0]) : x(last)}`; });
  node.append(s("path", { d: path, class: "qnb-line", stroke: "var(--qnb-s1)" }));
  if (final) node.append(s("text", { x: right + 6, y: y(final[1]) + 4, class: "qnb-end" }, `best ${view.kpis[0][1]}`));
  return figure("Optimisation history", `by trial · filled: best · rings: complete · crosses: pruned${off.length ? ` · triangles: ${off.length} beyond the scale` : ""}`, node);
}

function importance(view) {
  const box = h("div", { class: "qnb-bars" });
  const most = Math.max(0.01, ...view.importances.map((i) => i[1]));
  for (const [name, share, text] of view.importances) {
    const fill = h("span", { class: "qnb-bar-fill" });
    fill.style.width = `${(100 * share) / most}%`;
    box.append(h("code", { text: name }), h("span", { class: "qnb-bar-rail", "aria-hidden": "true" }, fill), h("span", { class: "qnb-num", text }));
  }
  const note = view.importances.length ? `share of the variance of ${view.metric}` : "there when the study is over";
  return figure("Importance", note, box);
}

function parallel(view, width, keep, redraw) {
  const { axes, lines } = view.axes;
  if (axes.length < 2 || !lines.length) return null;
  const height = 230, top = 34, bottom = height - 14, left = 50, right = width - 64;
  const x = (i) => left + (i / (axes.length - 1)) * (right - left), y = (v) => bottom - v * (bottom - top);
  const inside = (l) => Object.entries(keep.ranges).every(([i, [a, b]]) => l.at[i] !== null && l.at[i] >= a - 1e-9 && l.at[i] <= b + 1e-9);
  const shown = lines.filter(inside);
  const node = svg(width, height, `Parallel coordinates of ${lines.length} trials over ${axes.map((a) => a.name).join(", ")}`);
  const ordered = [...lines].sort((a, b) => (a.state === b.state ? a.good - b.good : a.state === "pruned" ? -1 : 1));
  for (const line of ordered) {
    let d = "", px = null, py = null;
    line.at.forEach((v, i) => {
      if (v === null) { px = null; return; }
      const cx = x(i), cy = y(v);
      d += px === null ? `M${cx},${cy}` : `C${(px + cx) / 2},${py} ${(px + cx) / 2},${cy} ${cx},${cy}`;
      [px, py] = [cx, cy];
    });
    const best = line.trial === view.best;
    const path = s("path", { d, fill: "none", stroke: line.state === "complete" ? "var(--qnb-s1)" : "var(--qnb-s4)", "stroke-width": best ? 2.5 : 1, opacity: inside(line) ? (best ? 1 : line.state === "complete" ? 0.2 + 0.6 * line.good : 0.28) : 0.04 });
    path.append(s("title", {}, `trial ${line.trial}`));
    node.append(path);
  }
  axes.forEach((axis, i) => {
    node.append(s("line", { x1: x(i), x2: x(i), y1: top, y2: bottom, class: "qnb-axis" }),
      s("text", { x: x(i), y: (right - left) / (axes.length - 1) < 130 && i % 2 ? 27 : 13, "text-anchor": i === axes.length - 1 ? "end" : i ? "middle" : "start", class: "qnb-end" }, axis.name.length > 22 ? `${axis.name.slice(0, 21)}…` : axis.name));
    const lastAxis = i === axes.length - 1;
    for (const [at, text] of axis.ticks) node.append(s("text", { x: x(i) + (lastAxis ? 6 : -6), y: y(at) + 4, "text-anchor": lastAxis ? "start" : "end", class: "qnb-tick qnb-halo" }, text.length > 12 ? `${text.slice(0, 11)}…` : text));
    const range = keep.ranges[i];
    if (range) node.append(s("rect", { x: x(i) - 6, y: y(range[1]), width: 12, height: Math.max(2, y(range[0]) - y(range[1])), class: "qnb-brush" }));
    const catcher = s("rect", { x: x(i) - 10, y: top - 4, width: 20, height: bottom - top + 8, fill: "transparent", class: "qnb-catch" });
    catcher.addEventListener("pointerdown", (e) => {
      const box = node.getBoundingClientRect(), value = (ev) => Math.min(1, Math.max(0, (bottom - ((ev.clientY - box.top) * height) / box.height) / (bottom - top)));
      const from = value(e);
      const move = (ev) => { const to = value(ev); keep.ranges[i] = [Math.min(from, to), Math.max(from, to)]; };
      const up = (ev) => {
        document.removeEventListener("pointermove", move); document.removeEventListener("pointerup", up);
        if (Math.abs(value(ev) - from) < 0.02) delete keep.ranges[i];
        keep.stamp += 1; redraw();
      };
      document.addEventListener("pointermove", move); document.addEventListener("pointerup", up);
      e.preventDefault();
    });
    node.append(catcher);
  });
  return figure("Parallel coordinates", `blue: complete, stronger is better · grey: pruned · drag on an axis to filter, click to clear · ${shown.length} of ${lines.length} shown`, node);
}

function curves(view, width) {
  const all = view.curves.filter((c) => c.points.length);
  if (!all.length) return null;
  const height = 190, left = 58, right = width - 64, top = 10, bottom = height - 24;
  const values = all.flatMap((c) => c.points.map((p) => p[1])), steps = all.flatMap((c) => c.points.map((p) => p[0]));
  const lo = Math.min(...values), hi = Math.max(...values), first = Math.min(...steps), end = Math.max(...steps, first + 1);
  const x = (v) => left + ((v - first) / (end - first)) * (right - left), y = (v) => top + ((hi - v) / (hi - lo || 1)) * (bottom - top);
  const node = svg(width, height, `Values on the way of ${all.length} trials`);
  grid(node, left, right, y, lo, hi);
  for (const [v, text] of ticks(first, end, 5)) node.append(s("text", { x: x(v), y: height - 6, "text-anchor": "middle", class: "qnb-tick" }, text));
  for (const c of [...all].sort((a, b) => Number(a.best) - Number(b.best) || (a.state === "pruned" ? -1 : 1))) {
    const d = c.points.map(([a, v], i) => `${i ? "L" : "M"}${x(a).toFixed(1)},${y(v).toFixed(1)}`).join("");
    const path = s("path", { d, class: "qnb-line", stroke: c.state === "pruned" ? "var(--qnb-s4)" : "var(--qnb-s1)", "stroke-width": c.best ? 2.5 : 1, opacity: c.state === "pruned" ? 0.35 : c.best ? 1 : 0.55 });
    path.append(s("title", {}, `trial ${c.trial}, ${c.state}`));
    node.append(path);
    if (c.best) { const [a, v] = c.points[c.points.length - 1]; node.append(s("text", { x: x(a) + 5, y: y(v) + 4, class: "qnb-end" }, `trial ${c.trial}`)); }
  }
  return figure("Intermediate values", `${view.metric}, by step; pruned trials grey`, node);
}

function workers(view, width) {
  if (!view.workers.length) return null;
  const row = 34, height = view.workers.length * row + 26, left = 92, right = width - 12;
  const end = Math.max(1, ...view.workers.flatMap((w) => w.spans.map((v) => v[1])));
  const x = (v) => left + (v / end) * (right - left);
  const node = svg(width, height, view.workers.map((w) => `${w.name} ${w.busy}`).join("; "));
  view.workers.forEach((w, i) => {
    node.append(s("text", { x: 0, y: i * row + 16, class: "qnb-end" }, w.name), s("text", { x: 0, y: i * row + 29, class: "qnb-tick" }, w.busy));
    for (const [from, to, trial, state] of w.spans) {
      const wide = Math.max(0.8, x(to) - x(from) - 0.6), bad = state === "failed" || state === "died";
      const rect = s("rect", { x: x(from), y: i * row + 4, width: wide, height: 26, rx: 1.5, fill: bad ? "var(--chip-fail)" : state === "complete" || state === "running" ? "var(--qnb-s1)" : "var(--qnb-s4)", opacity: trial === view.best ? 1 : 0.5 });
      rect.append(s("title", {}, `trial ${trial}, ${state}`));
      node.append(rect);
      if (wide > 18) node.append(s("text", { x: x(from) + wide / 2, y: i * row + 21, "text-anchor": "middle", class: "qnb-tick qnb-on" }, String(trial)));
    }
  });
  for (const [v] of ticks(0, end, 5)) node.append(s("text", { x: x(v), y: height - 6, "text-anchor": "middle", class: "qnb-tick" }, v < 120 ? `${+v.toFixed(1)}s` : `${+(v / 60).toFixed(1)}m`));
  return figure("Workers", "blue: complete · grey: pruned · red: failed · numbers: trials", node);
}

function onTheWay(view, width, two) {
  const both = two && view.curves.some((c) => c.points.length) && view.workers.length, each = both ? width * 0.5 - 12 : width;
  return h("div", { class: both ? "qnb-pair" : "" }, curves(view, each), workers(view, each));
}

function front(view, width) {
  const f = view.front;
  if (!f || !f.points.length) return null;
  const height = 210, left = 64, right = width - 16, top = 10, bottom = height - 38;
  const xs = f.points.map((p) => p[0]), ys = f.points.map((p) => p[1]);
  const pad = (a) => { const lo = Math.min(...a), hi = Math.max(...a), r = (hi - lo || Math.abs(hi) || 1) * 0.06; return [lo - r, hi + r]; };
  const [x0, x1] = pad(xs), [y0, y1] = pad(ys);
  const x = (v) => left + ((v - x0) / (x1 - x0)) * (right - left), y = (v) => top + ((y1 - v) / (y1 - y0)) * (bottom - top);
  const best = f.points.filter((p) => p[3]);
  const node = svg(width, height, `${best.length} trials that no other one beats in both ${f.x} and ${f.y}`);
  grid(node, left, right, y, y0, y1);
  for (const [v, text] of ticks(x0, x1, 6)) node.append(s("text", { x: x(v), y: height - 22, "text-anchor": "middle", class: "qnb-tick" }, text));
  node.append(s("text", { x: right, y: height - 6, "text-anchor": "end", class: "qnb-tick" }, f.x), s("text", { x: left, y: top + 2, class: "qnb-tick" }, f.y));
  for (const [a, b, trial, on] of f.points) {
    const dot = s("circle", { cx: x(a), cy: y(b), r: on ? 5 : 3.5, class: on ? "qnb-dot-best" : "qnb-ring" });
    dot.append(s("title", {}, `trial ${trial}`));
    node.append(dot);
  }
  return figure("Pareto front", "filled: no other trial is better in both", node);
}

function slices(view, width) {
  const box = h("div", { class: "qnb-slices" });
  const each = Math.max(220, Math.min(360, width / Math.max(1, Math.min(3, view.slices.length)) - 16));
  for (const slice of view.slices) {
    const height = 150, left = 50, right = each - 14, top = 8, bottom = height - 22;
    const done = slice.points.filter((p) => p[3] === "complete");
    if (!done.length) continue;
    const lo = Math.min(...done.map((p) => p[1])), hi = Math.max(...done.map((p) => p[1]));
    const x = (v) => left + 6 + v * (right - left - 12), y = (v) => top + ((hi - v) / (hi - lo || 1)) * (bottom - top);
    const node = svg(each, height, `${view.metric} by ${slice.name}`);
    grid(node, left, right, y, lo, hi);
    for (const [at, text] of slice.ticks) node.append(s("text", { x: x(at), y: height - 6, "text-anchor": at < 0.1 ? "start" : at > 0.9 ? "end" : "middle", class: "qnb-tick" }, text.length > 16 ? `${text.slice(0, 15)}…` : text));
    for (const [at, v, trial, state] of slice.points) {
      if (v < lo || v > hi) continue;
      const dot = s("circle", { cx: x(at), cy: y(v), r: 3.5, class: trial === view.best ? "qnb-dot-best" : state === "complete" ? "qnb-ring" : "qnb-pruned-fill" });
      dot.append(s("title", {}, `trial ${trial}`));
      node.append(dot);
    }
    box.append(h("div", {}, h("code", { text: slice.name }), node));
  }
  return box.childNodes.length ? [box] : [h("p", { class: "qnb-empty", text: "No complete trials yet." })];
}

function spark(values) {
  const node = s("svg", { width: 84, height: 18, viewBox: "0 0 84 18", "aria-hidden": "true" });
  if (values.length < 2) return node;
  const lo = Math.min(...values), hi = Math.max(...values);
  node.append(s("polyline", { class: "qnb-spark", points: values.map((v, i) => `${(2 + (i / (values.length - 1)) * 78).toFixed(1)},${(16 - ((v - lo) / (hi - lo || 1)) * 14).toFixed(1)}`).join(" ") }));
  return node;
}

const TEST = /^\s*([\w.]+)\s*(<=|>=|<|>|=|!=)\s*(\S+)\s*$/;
function passes(row, text) {
  return text.split(/\band\b|,/).every((part) => {
    const m = part.match(TEST);
    if (!m) return !part.trim();
    const own = m[1] === "value" ? row.value : m[1] === "trial" ? row.trial : row.raw[m[1]], a = Number(own), b = Number(m[3]);
    if (own === undefined || own === null) return false;
    if (m[2] === "=") return String(own) === m[3] || a === b;
    if (m[2] === "!=") return String(own) !== m[3] && a !== b;
    return { "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b }[m[2]];
  });
}

function table(view, keep, redraw, promote) {
  const sign = view.history.maximize ? -1 : 1;
  const rank = { complete: 0, running: 1, pruned: 2, failed: 3 };
  let rows = view.trials.filter((r) => (keep.state === "all" || r.state === keep.state) && passes(r, keep.filter));
  const value = { trial: (r) => r.trial, value: (r) => r.value ?? Infinity, steps: (r) => r.steps, worker: (r) => r.worker || 0 }[keep.sort];
  rows.sort((a, b) => (keep.sort === "value" ? rank[a.state] - rank[b.state] || sign * ((a.value ?? 0) - (b.value ?? 0)) : keep.down * (value(a) - value(b))));
  const matching = rows.length;
  if (!keep.all) rows = rows.slice(0, 12);
  const count = (state) => view.trials.filter((r) => r.state === state).length;
  const chips = h("span", { class: "qnb-choices", role: "group", "aria-label": "Trials by state" });
  for (const [state, text] of [["all", `All ${view.trials.length}`], ["complete", `Complete ${count("complete")}`], ["pruned", `Pruned ${count("pruned")}`], ["failed", `Failed ${count("failed")}`]]) {
    chips.append(h("button", { type: "button", "aria-pressed": String(keep.state === state), text, onclick: () => { keep.state = state; redraw(true); } }));
  }
  const head = h("tr");
  const column = (key, text, right, spare) => {
    const sorted = keep.sort === key;
    const th = h("th", { scope: "col", class: `${right ? "qnb-num" : ""}${spare ? " qnb-spare" : ""}`, "aria-sort": sorted ? "other" : null });
    if (key) th.append(h("button", { type: "button", class: sorted ? "qnb-sorted" : "", text: text + (sorted ? (key === "value" || keep.down < 0 ? " ▾" : " ▴") : ""), onclick: () => { keep.down = sorted ? -keep.down : 1; keep.sort = key; redraw(true); } }));
    else th.textContent = text;
    head.append(th);
  };
  column("trial", "Trial", true); column("", "State"); column("value", view.metric, true);
  if (view.front) column("", view.front.y, true);
  column("", "By step", false, true); column("steps", "Steps", true);
  for (const name of view.names) column("", name, true);
  column("worker", "Worker", true, true); column("", "Time", true); column("", "");
  const body = h("tbody");
  for (const row of rows) {
    const best = row.trial === view.best;
    const tr = h("tr", { class: best ? "qnb-chosen" : row.state === "complete" ? "" : "qnb-dim" });
    tr.append(h("td", { class: "qnb-num", text: String(row.trial) }), h("td", {}, chip(row.state, WORD[row.state] || row.state)));
    row.values.slice(0, view.front ? 2 : 1).forEach((v) => tr.append(h("td", { class: "qnb-num" }, best ? h("b", { text: v }) : h("span", { text: v }))));
    tr.append(h("td", { class: "qnb-spare" }, spark(row.spark)), h("td", { class: "qnb-num", text: String(row.steps || "–") }));
    for (const p of row.params) tr.append(h("td", { class: "qnb-num", title: p, text: p.length > 18 ? `${p.slice(0, 17)}…` : p }));
    tr.append(h("td", { class: "qnb-num qnb-spare", text: String(row.worker) }), h("td", { class: "qnb-num", text: row.time }));
    const act = h("td", { class: "qnb-act" });
    if (row.state === "failed") act.append(h("span", { class: "qnb-failed-why", title: row.message, text: row.message.split("\n")[0].slice(0, 60) }));
    else if (row.state === "complete") act.append(h("button", { type: "button", class: best ? "qnb-filled" : "qnb-plain", "aria-label": `Promote trial ${row.trial} to a cell`, onclick: () => promote(row.trial) }, "Promote", h("span", { class: "qnb-spare", text: " to cell" })));
    tr.append(act);
    body.append(tr);
  }
  const more = matching > 12 ? h("button", { type: "button", class: "qnb-plain", text: keep.all ? "Show 12" : `Show all ${matching}`, onclick: () => { keep.all = !keep.all; redraw(true); } }) : null;
  return [h("div", { class: "qnb-row qnb-table-head" }, h("b", { text: "Trials" }), h("span", { class: "qnb-muted", text: `${rows.length} of ${view.trials.length}` }), h("span", { class: "qnb-grow" }), chips, more),
    h("div", { class: "qnb-scroll" }, h("table", { class: "qnb-trials" }, h("thead", {}, head), body))];
}

const TABS = [["overview", "Overview"], ["trials", "Trials"], ["slices", "Slices"], ["log", "Log"], ["config", "Config"]];
let count = 0;

function render({ model, el }) {
  const root = h("article", { class: "qnb-panel qnb-study" });
  const status = h("div", { class: "qnb-sr", role: "status", "aria-live": "polite" });
  const head = h("header", { class: "qnb-head" }), goal = h("div", { class: "qnb-row qnb-soft qnb-goal" }), red = h("div"), note = h("div");
  const prefix = `qnb-study-${(count += 1)}`, list = h("div", { class: "qnb-tabs", role: "tablist", "aria-label": "Parts of the study" });
  const panels = {}, buttons = {}, keep = { ranges: {}, stamp: 0, state: "all", filter: "", sort: "value", down: 1, all: false };
  let chosen = "overview";
  for (const [key, title] of TABS) {
    panels[key] = h("div", { role: "tabpanel", id: `${prefix}-${key}`, "aria-labelledby": `${prefix}-tab-${key}` });
    buttons[key] = h("button", { type: "button", role: "tab", class: "qnb-tab", id: `${prefix}-tab-${key}`, "aria-controls": `${prefix}-${key}`, text: title, onclick: () => { chosen = key; draw(true); } });
    list.append(buttons[key]);
  }
  list.addEventListener("keydown", (e) => {
    const at = TABS.findIndex(([key]) => buttons[key] === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[e.key];
    if (at < 0 || to === undefined) return;
    e.preventDefault();
    chosen = TABS[(to + TABS.length) % TABS.length][0];
    draw(true); buttons[chosen].focus();
  });
  const filter = h("input", { type: "search", class: "qnb-filter", placeholder: "Filter, e.g. num_leaves > 64", "aria-label": "Filter trials", oninput: (e) => { keep.filter = e.target.value; draw(true); } });
  const cell = h("div"), overview = h("div"), tableBox = h("section"), trialsBox = h("section");
  panels.overview.append(overview, tableBox);
  panels.trials.append(h("div", { class: "qnb-row qnb-soft" }, filter), trialsBox);
  root.append(status, head, red, note, list, goal, cell, ...Object.values(panels));
  el.append(root);
  const stamps = {};
  const part = (name, stamp, node, make, force) => { if (force || stamps[name] !== stamp) { stamps[name] = stamp; node.replaceChildren(...[make()].flat().filter(Boolean)); } };
  const send = (kind, more = {}) => model.send({ kind, ...more });
  const promote = (trial) => send("promote", { trial });
  let said = "";

  function draw(force) {
    const view = model.get("view");
    if (!view?.status) return;
    root.setAttribute("aria-label", `Study ${view.name}`);
    part("head", JSON.stringify([view.status, view.elapsed, view.left, view.done_text]), head, () => header(view, send), false);
    part("red", view.red, red, () => (view.red ? h("div", { class: "qnb-red", role: "alert", text: view.red }) : null), false);
    part("note", `${view.status}${view.message}`, note, () => (view.message && view.status !== "running" ? h("div", { class: `qnb-note qnb-${view.status === "failed" ? "failed" : "stopped"}`, text: view.message }) : view.status === "interrupted" ? h("div", { class: "qnb-note qnb-stopped", text: "The process that managed this study is gone. Resume goes on with it; no trial is lost." }) : null), false);
    part("goal", view.goal + view.searched, goal, () => [h("span", { text: view.goal }), h("span", { class: "qnb-grow" }), h("span", { class: "qnb-muted", text: view.searched })], false);
    for (const [key] of TABS) {
      panels[key].hidden = key !== chosen;
      buttons[key].setAttribute("aria-selected", String(key === chosen));
      buttons[key].tabIndex = key === chosen ? 0 : -1;
    }
    buttons.trials.textContent = `Trials ${view.trials.length || ""}`.trim();
    const wide = root.clientWidth || 860, full = wide - 32, two = wide > 720;
    root.classList.toggle("qnb-narrow", wide < 960);
    root.classList.toggle("qnb-middle", wide < 960 && wide >= 560);
    const stamp = JSON.stringify([view.trials, view.workers.length, view.verdict, view.importances, view.kpis, wide, keep.stamp, keep.state, keep.filter, keep.sort, keep.down, keep.all]);
    if (chosen === "overview") {
      part("overview", stamp, overview, () => [kpis(view), verdict(view),
        h("div", { class: two ? "qnb-pair" : "" }, history(view, two ? full * 0.6 : full), importance(view)),
        parallel(view, full, keep, () => draw(true)),
        onTheWay(view, full, two), front(view, full)], force);
      part("table", stamp, tableBox, () => table(view, keep, (f) => draw(f), promote), force);
    } else if (chosen === "trials") part("trials", stamp, trialsBox, () => table(view, keep, (f) => draw(f), promote), force);
    else if (chosen === "slices") part("slices", stamp, panels.slices, () => slices(view, full), force);
    else if (chosen === "log") part("log", JSON.stringify(view.log), panels.log, () => log(view), force);
    else part("config", model.get("config"), panels.config, () => h("pre", { class: "qnb-config", text: model.get("config") }), force);
    const now = `${view.name}: ${view.status_text}`;
    if (now !== said) { said = now; status.textContent = now; }
  }
  function drawCell() {
    const { trial, text } = model.get("promoted") || {};
    if (text === undefined) return;
    if (trial < 0) { cell.replaceChildren(h("div", { class: "qnb-note qnb-failed", text })); return; }
    const copy = h("button", { type: "button", class: "qnb-filled", text: "Copy", onclick: async () => {
      const done = await copyText(text);
      copy.textContent = done ? "Copied" : "Selected: copy it";
      if (!done) { pre.focus(); getSelection().selectAllChildren(pre); }
    } });
    const pre = h("pre", { class: "qnb-config qnb-cell", tabindex: 0, text });
    cell.replaceChildren(h("div", { class: "qnb-row qnb-soft" }, h("b", { text: `Trial ${trial} as a cell` }), h("span", { class: "qnb-muted", text: "paste it into a new cell" }), h("span", { class: "qnb-grow" }), copy,
      h("button", { type: "button", class: "qnb-plain", text: "Close", onclick: () => cell.replaceChildren() })), pre);
  }
  model.on("change:view", () => draw(false));
  model.on("change:promoted", drawCell);
  root.addEventListener("keydown", (e) => e.stopPropagation());
  draw(true);
  let width = root.clientWidth;
  const observer = new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; draw(true); } });
  observer.observe(root);
  const hide = h("style", { text: `.${model.get("static_class")} { display: none; }` });
  document.head.append(hide);
  return () => { observer.disconnect(); hide.remove(); };
}

function header(view, send) {
  const time = h("span", { class: "qnb-time" }, view.elapsed ? h("b", { text: view.elapsed }) : null);
  time.append(` · ${view.done_text}`);
  if (view.left) time.append(` · about ${view.left} left`);
  const id = h("code", { class: "qnb-id", text: `${view.experiment} / ${view.study_id.slice(-6)}`, title: view.study_id });
  const acts = [];
  const button = (kind, text, cls) => acts.push(h("button", { type: "button", class: cls, text, "aria-label": `${text} study ${view.name}`, onclick: (e) => { e.target.disabled = true; send(kind); } }));
  if (view.status === "running" || view.status === "waiting") { button("pause", "Pause", "qnb-plain"); button("stop", "Stop", "qnb-stop"); }
  if (view.status === "paused") { button("resume", "Resume", "qnb-plain"); button("stop", "Stop", "qnb-stop"); }
  if (["stopped", "interrupted", "failed"].includes(view.status)) button("resume", "Resume", "qnb-plain");
  return [h("strong", { class: "qnb-name", text: view.name }), chip(view.status, view.status_text), time, id, ...acts];
}

function log(view) {
  const body = h("div", { class: "qnb-log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log" });
  for (const line of view.log) body.append(h("div", { class: `qnb-log-${line.level}` }, h("span", { class: "qnb-muted", text: line.time }), h("span", { text: line.text })));
  return view.log.length ? body : h("p", { class: "qnb-empty", text: "Nothing to report. Each trial has its own log in the study's directory." });
}

export default { render };
