// Shared by panels that draw lines by day; comes after dom.js.
const DASHES = ["", "", "", "", "5 3", "2 2", "8 3 2 3", "1 3"];
const colour = (n) => `var(--qnb-c${(n % 8) + 1})`;
const MINUS = "\u2212";

function said(value, unit, digits) {
  if (value === null || value === undefined) return "–";
  const n = unit === "percent" ? value * 100 : value;
  const d = digits ?? (unit === "percent" ? 1 : 4);
  const text = Math.abs(n).toFixed(d);
  const zero = !/[1-9]/.test(text);
  const sign = zero ? "" : n < 0 ? MINUS : unit === "percent" ? "+" : "";
  return `${sign}${text}${unit === "percent" ? "\u00a0%" : ""}`;
}

function steps(lo, hi, count) {
  const raw = (hi - lo || Math.abs(hi) || 1) / count;
  const mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * mag).find((k) => k >= raw * 0.999);
  const out = [];
  for (let v = Math.ceil(lo / step - 1e-9) * step; v <= hi + step * 1e-9; v += step) out.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return { out, step };
}

function dayTicks(first, last, width) {
  const a = new Date(first), b = new Date(last);
  const years = b.getUTCFullYear() - a.getUTCFullYear();
  const out = [];
  if (years >= 2) {
    const every = Math.max(1, Math.ceil((years + 1) / (width / 70)));
    for (let y = a.getUTCFullYear() + 1; y <= b.getUTCFullYear(); y += every) out.push([Date.UTC(y, 0, 1), String(y)]);
    return out;
  }
  const months = years * 12 + b.getUTCMonth() - a.getUTCMonth();
  const every = Math.max(1, Math.ceil(months / (width / 80)));
  for (let m = 1; m <= months; m += every) {
    const at = new Date(Date.UTC(a.getUTCFullYear(), a.getUTCMonth() + m, 1));
    out.push([at.getTime(), at.toISOString().slice(0, 7)]);
  }
  return out;
}

// A figure: caption, lines with their last values at the end, a rule under the pointer, and its numbers as a table.
function dayFigure(figure, width, room = labelRoom([figure], width)) {
  const box = h("figure", { class: "qnb-figure" });
  const button = h("button", { type: "button", class: "qnb-quiet", "aria-expanded": "false", text: "Show as table" });
  const caption = h("figcaption", {}, h("b", { text: figure.title }), h("span", { class: "qnb-muted", text: figure.note }), h("span", { class: "qnb-grow" }), button);
  const tip = h("div", { class: "qnb-tip", hidden: true, "aria-hidden": "true" });
  const chart = h("div", { class: "qnb-chart", role: "img", "aria-label": figure.aria }, dayLines(figure, width, tip, room), tip);
  const table = h("div", { class: "qnb-numbers", hidden: true });
  button.addEventListener("click", () => {
    const open = table.hidden;
    if (open && !table.childNodes.length) table.append(numberTable(figure));
    table.hidden = !open;
    chart.hidden = open;
    button.textContent = open ? "Show as figure" : "Show as table";
    button.setAttribute("aria-expanded", String(open));
  });
  box.append(caption, chart, table);
  return box;
}

function numberTable(figure) {
  const every = Math.max(1, Math.ceil(figure.days.length / 60));
  const at = figure.days.map((_, i) => i).filter((i) => i % every === 0 || i === figure.days.length - 1);
  const head = h("tr", {}, h("th", { scope: "col", text: "Day" }), figure.lines.map((l) => h("th", { scope: "col", class: "qnb-num", text: l.name })));
  const body = at.map((i) => h("tr", {}, h("th", { scope: "row", text: figure.days[i] }), figure.lines.map((l) => h("td", { class: "qnb-num", text: said(l.values[i], figure.unit) }))));
  return h("table", {}, h("thead", {}, head), h("tbody", {}, body));
}

// Room right of the lines for their labels; the same for figures that stand under each other, so that their days do too.
function labelRoom(figures, width) {
  const longest = Math.max(0, ...figures.flatMap((f) => f.lines.map((l) => Math.min(l.name.length, 16) + l.last.length + 1)));
  return Math.min(Math.max(64, 7.4 * longest + 18), width * 0.36);
}

function dayLines(figure, width, tip, right) {
  const height = figure.height, left = 54, top = 8, bottom = 22;
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const times = figure.days.map((d) => Date.parse(d));
  const all = figure.lines.flatMap((l) => l.values.filter((v) => v !== null));
  if (!all.length) return svg;
  let lo = Math.min(0, ...all), hi = Math.max(0, ...all);
  if (lo === hi) hi = lo + 0.01;
  const room = (hi - lo) * 0.04;
  if (lo < 0) lo -= room;
  if (hi > 0) hi += room;
  const span = Math.max(1, times[times.length - 1] - times[0]);
  const x = (t) => left + ((t - times[0]) / span) * (width - left - right);
  const y = (v) => top + ((hi - v) / (hi - lo)) * (height - top - bottom);
  const { out, step } = steps(lo, hi, height > 160 ? 5 : 3);
  const shown = figure.unit === "percent" ? step * 100 : step;
  const digits = Math.max(0, Math.min(4, Math.ceil(-Math.log10(shown) - 1e-9)));
  for (const v of out) {
    svg.append(s("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: v === 0 ? "qnb-zero" : "qnb-grid" }));
    svg.append(s("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end", class: "qnb-tick" }, said(v, figure.unit, digits)));
  }
  for (const [t, text] of dayTicks(times[0], times[times.length - 1], width - left - right)) {
    svg.append(s("line", { x1: x(t), x2: x(t), y1: top, y2: height - bottom, class: "qnb-grid" }));
    svg.append(s("text", { x: x(t), y: height - 6, "text-anchor": "middle", class: "qnb-tick" }, text));
  }
  const ends = [];
  for (const line of figure.lines) {
    let path = "", pen = "M";
    line.values.forEach((v, i) => { if (v === null) pen = "M"; else { path += `${pen}${x(times[i]).toFixed(1)},${y(v).toFixed(1)}`; pen = "L"; } });
    const at = { d: path, class: `qnb-day-line${line.muted ? " qnb-base" : ""}`, stroke: colour(line.series) };
    if (DASHES[line.series % 8]) at["stroke-dasharray"] = DASHES[line.series % 8];
    svg.append(s("path", at));
    const last = line.values.findLastIndex((v) => v !== null);
    ends.push({ line, at: y(line.values[last]), from: y(line.values[last]), px: x(times[last]) });
  }
  endLabels(svg, ends, width - right, top, height - bottom, right);
  const rule = s("line", { y1: top, y2: height - bottom, class: "qnb-rule", visibility: "hidden" });
  svg.append(rule);
  const leave = () => { rule.setAttribute("visibility", "hidden"); tip.hidden = true; };
  svg.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect();
    const px = ((e.clientX - box.left) / box.width) * width;
    if (px < left - 4 || px > width - right + 4) return leave();
    const t = times[0] + ((px - left) / (width - left - right)) * span;
    let i = times.findIndex((v) => v >= t);
    if (i < 0) i = times.length - 1;
    if (i > 0 && t - times[i - 1] < times[i] - t) i -= 1;
    rule.setAttribute("x1", x(times[i]));
    rule.setAttribute("x2", x(times[i]));
    rule.setAttribute("visibility", "visible");
    tip.replaceChildren(h("b", { text: figure.days[i] }), ...figure.lines.map((l) => h("div", {}, swatch(l.series), h("span", { text: l.name }), h("b", { class: "qnb-num", text: said(l.values[i], figure.unit) }))));
    tip.hidden = false;
    const spot = x(times[i]) * (box.width / width);
    tip.style.left = `${spot > box.width / 2 ? Math.max(0, spot - tip.offsetWidth - 12) : spot + 12}px`;
    return undefined;
  });
  svg.addEventListener("pointerleave", leave);
  return svg;
}

function endLabels(svg, ends, from, top, bottom, room) {
  ends.sort((a, b) => a.at - b.at);
  const gap = 14;
  if (ends.length) ends[0].at = Math.max(ends[0].at, top + 2);
  for (let i = 1; i < ends.length; i += 1) ends[i].at = Math.max(ends[i].at, ends[i - 1].at + gap);
  let floor = bottom;
  for (let i = ends.length - 1; i >= 0; i -= 1) { ends[i].at = Math.min(ends[i].at, floor); floor = ends[i].at - gap; }
  const letters = Math.floor((room - 16) / 7.4);
  for (const { line, at, from: y0, px } of ends) {
    svg.append(s("circle", { cx: px, cy: y0, r: 2.5, fill: colour(line.series) }));
    const keep = Math.max(3, letters - line.last.length - 1);
    const name = line.name.length > keep ? `${line.name.slice(0, keep - 1)}…` : line.name;
    const words = s("text", { x: from + 8, y: at + 4, class: "qnb-end" });
    words.append(s("tspan", { fill: colour(line.series), "font-weight": 600 }, name), s("tspan", { dx: 4 }, line.last));
    svg.append(words);
  }
}

function swatch(n) {
  const mark = h("span", { class: "qnb-swatch", "aria-hidden": "true" });
  mark.style.background = colour(n);
  return mark;
}
