// What panels draw runs with: line charts, sparklines; comes after dom.js.
const MARKS = { waiting: "○", running: "◔", finished: "✓", failed: "✕", stopped: "■", interrupted: "■", unknown: "○" };

function ticks(lo, hi, n) {
  const span = hi - lo || Math.abs(hi) || 1;
  const raw = span / n;
  const mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * mag).find((k) => k >= raw);
  const out = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi + step * 1e-9; v += step) out.push(v);
  const digits = Math.max(0, Math.min(8, -Math.floor(Math.log10(step)) + (step / mag === 2.5 ? 1 : 0)));
  const exponent = (v) => v.toExponential(Math.max(0, Math.floor(Math.log10(Math.abs(v))) + digits));
  return out.map((v) => [v, digits > 5 && Math.abs(v) > step / 2 ? exponent(v) : v.toFixed(digits > 5 ? 0 : digits)]);
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
    const colour = line.colour || COLOURS[line.name] || "var(--qnb-s1)";
    let path = "", pen = "M";
    line.values.forEach((v, i) => { if (v === null) pen = "M"; else { path += `${pen}${x(line.steps[i]).toFixed(1)},${y(v).toFixed(1)}`; pen = "L"; } });
    svg.append(s("path", { d: path, class: "qnb-line", stroke: colour, "stroke-dasharray": line.dash || "none" }));
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

function spark(values, limit = 1) {
  const svg = s("svg", { width: 110, height: 20, viewBox: "0 0 110 20", preserveAspectRatio: "none", "aria-hidden": "true" });
  const top = Math.max(...values, limit);
  const points = values.map((v, i) => `${((i / Math.max(1, values.length - 1)) * 108 + 1).toFixed(1)},${(19 - (v / top) * 17).toFixed(1)}`);
  svg.append(s("polygon", { points: `1,20 ${points.join(" ")} 109,20`, class: "qnb-spark-area" }), s("polyline", { points: points.join(" "), class: "qnb-spark" }));
  return svg;
}

