// A line chart in SVG: axes, lines with markers, values under the pointer or the arrow keys.
const MARKS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  (r) => `M0,${-1.25 * r}L${1.2 * r},${r}H${-1.2 * r}Z`,
  (r) => `M0,${-1.35 * r}L${1.35 * r},0L0,${1.35 * r}L${-1.35 * r},0Z`,
  (r) => `M0,${1.25 * r}L${1.2 * r},${-r}H${-1.2 * r}Z`,
];
const mark = (codec, r) => MARKS[data.codecs.indexOf(codec) % MARKS.length](r);

function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + 1e-9 * step; i += 1) found.push(i * step);
  return found;
}

function logTicks(low, high, wanted) {
  const collect = (steps) => {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e += 1) {
      for (const step of steps) {
        const value = step * Math.pow(10, e);
        if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    }
    return found;
  };
  const sets = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]].map(collect);
  return sets.reverse().find((set) => set.length <= wanted) || sets[3];
}

function tickText(value) {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (value >= 1e3) return `${+(value / 1e3).toPrecision(3)}k`;
  return `${+value.toPrecision(4)}`;
}

function axis(values, log, from, to) {
  let low = Math.min(...values), high = Math.max(...values);
  if (log) {
    const margin = Math.pow(high / low, 0.04) || 1.1;
    low /= margin; high *= margin;
    if (low === high) { low /= 2; high *= 2; }
  } else {
    const margin = (high - low) * 0.05 || 1;
    low -= margin; high += margin;
  }
  const f = log ? Math.log : (x) => x;
  const place = (x) => from + ((f(x) - f(low)) / (f(high) - f(low))) * (to - from);
  return { low, high, log, place };
}

// spec: series [{codec, points [{x, y, ...}]}], xLog, yLog, xTitle, yTitle, height,
//       marks (draw markers), column (the pointer picks an x, not a point), tip(pick) -> nodes,
//       click(pick)
function chart(box, spec) {
  const observer = box._observer || (box._observer = new ResizeObserver(() => {
    if (box._spec && Math.abs(box.clientWidth - box._width) > 1) draw(box);
  }));
  box._spec = spec;
  observer.observe(box);
  draw(box);
}

function draw(box) {
  const spec = box._spec;
  const width = (box._width = Math.max(260, box.clientWidth));
  const height = spec.height || Math.round(Math.min(440, Math.max(260, width * 0.5)));
  const pad = { left: 52, right: 16, top: 26, bottom: 40 };
  const all = spec.series.flatMap((series) => series.points);
  box.replaceChildren();
  if (!all.length) {
    box.append(el("p", { class: "quiet", style: "padding: 12px 16px" }, spec.empty || "Nothing to draw."));
    return;
  }
  const x = axis(all.map((p) => p.x), spec.xLog, pad.left, width - pad.right);
  const y = axis(all.map((p) => p.y), spec.yLog, height - pad.bottom, pad.top);
  const root = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "img", "aria-label": `${spec.yTitle} over ${spec.xTitle}`,
  });
  drawAxes(root, spec, x, y, width, height, pad);
  const over = svg("g", {});
  for (const series of spec.series) root.append(drawSeries(series, x, y, spec.marks));
  root.append(over);
  const tip = el("div", { class: "tip", role: "status", hidden: "" });
  box.append(root, tip);
  follow(box, root, over, tip, spec, { x, y, width, height, pad });
}

function drawAxes(root, spec, x, y, width, height, pad) {
  const across = Math.max(3, Math.floor((width - pad.left) / 75));
  const xs = spec.xLog ? logTicks(x.low, x.high, across) : ticks(x.low, x.high, across);
  for (const value of xs) {
    const at = x.place(value);
    root.append(svg("line", { class: "grid", x1: at, x2: at, y1: pad.top, y2: height - pad.bottom }));
    root.append(svg("text", { x: at, y: height - pad.bottom + 17, "text-anchor": "middle" }, tickText(value)));
  }
  const up = Math.max(3, Math.floor((height - pad.top) / 48));
  const ys = spec.yLog ? logTicks(y.low, y.high, up) : ticks(y.low, y.high, up);
  for (const value of ys) {
    const at = y.place(value);
    root.append(svg("line", { class: "grid", x1: pad.left, x2: width - pad.right, y1: at, y2: at }));
    root.append(svg("text", { x: pad.left - 7, y: at + 4, "text-anchor": "end" }, tickText(value)));
  }
  root.append(svg("text", { x: 12, y: 16 }, spec.yTitle));
  root.append(svg("text", { x: width - pad.right, y: height - 6, "text-anchor": "end" }, spec.xTitle));
}

function drawSeries(series, x, y, marks) {
  const stroke = color(series.codec);
  const first = series.codec === data.codecs[0];
  const path = series.points.map((p, i) => `${i ? "L" : "M"}${x.place(p.x).toFixed(1)},${y.place(p.y).toFixed(1)}`);
  const group = svg("g", { style: `color: ${stroke}` });
  group.append(svg("path", {
    d: path.join(""), fill: "none", stroke: "currentColor", "stroke-width": first ? 2.6 : 1.6, "stroke-linejoin": "round",
  }));
  if (marks) {
    for (const p of series.points) {
      group.append(svg("path", {
        class: "dot", d: mark(series.codec, first ? 4.6 : 3.8), fill: "currentColor",
        transform: `translate(${x.place(p.x)},${y.place(p.y)})`,
      }));
    }
  }
  return group;
}

// Values by pointer and by arrow keys.
function follow(box, root, over, tip, spec, geometry) {
  const { x, y, width, height, pad } = geometry;
  let at = null;
  function show(pick) {
    at = pick;
    over.replaceChildren();
    tip.hidden = pick === null;
    if (pick === null) return;
    const p = spec.series[pick.s].points[pick.i];
    const [px, py] = [x.place(p.x), y.place(p.y)];
    over.append(svg("line", { class: "cross", x1: px, x2: px, y1: pad.top, y2: height - pad.bottom }));
    const around = spec.column ? spec.series.map((s) => [s, s.points[pick.i]]) : [[spec.series[pick.s], p]];
    for (const [series, point] of around) {
      if (point) {
        over.append(svg("circle", { class: "hit", cx: x.place(point.x), cy: y.place(point.y), r: 6, style: `fill: ${color(series.codec)}` }));
      }
    }
    tip.replaceChildren(...spec.tip(pick));
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = `${px + 14 + w < width ? px + 14 : Math.max(4, px - 14 - w)}px`;
    tip.style.top = `${Math.min(Math.max(4, py - h - 10), Math.max(4, height - h - 4))}px`;
  }
  function nearest(event) {
    const frame = root.getBoundingClientRect();
    const [mx, my] = [event.clientX - frame.left, event.clientY - frame.top];
    let best = null, least = Infinity;
    spec.series.forEach((series, s) => series.points.forEach((p, i) => {
      const dx = x.place(p.x) - mx, dy = spec.column ? 0 : y.place(p.y) - my;
      const far = dx * dx + dy * dy;
      if (far < least) { least = far; best = { s, i }; }
    }));
    return spec.column || least < 60 * 60 ? best : null;
  }
  root.addEventListener("pointermove", (event) => show(nearest(event)));
  root.addEventListener("pointerdown", (event) => show(nearest(event)));
  root.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(null); });
  root.addEventListener("blur", () => show(null));
  root.addEventListener("click", (event) => { const pick = nearest(event); if (pick && spec.click) spec.click(pick); });
  root.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };
    if (event.key === "Enter" && at && spec.click) { spec.click(at); return; }
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    if (at === null) { show({ s: 0, i: 0 }); return; }
    const s = (at.s + move[0] + spec.series.length) % spec.series.length;
    const i = Math.min(Math.max(0, at.i + move[1]), spec.series[s].points.length - 1);
    show({ s, i });
  });
}

function legend(box, codecs, redraw) {
  box.replaceChildren(...codecs.map((codec) => {
    const key = svg("svg", { viewBox: "0 0 22 14", style: `color: ${color(codec)}`, "aria-hidden": "true" },
      svg("path", { d: "M0,7H22", stroke: "currentColor", "stroke-width": 2 }),
      svg("path", { d: mark(codec, 4.2), fill: "currentColor", transform: "translate(11,7)" }));
    const button = el("button", { type: "button", "aria-pressed": !state.hidden.has(codec), title: "Show or hide" }, key, title(codec));
    button.addEventListener("click", () => {
      if (!state.hidden.delete(codec)) state.hidden.add(codec);
      redraw();
    });
    return button;
  }));
}
