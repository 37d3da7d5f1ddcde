// Curves, tables, and the text around them.
const visible = (codecs) => codecs.filter((codec) => !state.hidden.has(codec));

function tipTable(head, rows) {
  return [el("b", {}, head), el("table", {}, ...rows.map(([name, value]) =>
    el("tr", {}, el("td", {}, name), el("td", {}, value))))];
}

function drawCurves() {
  const now = clip(), metric = state.metric, rate = state.axis;
  const series = visible(codecsOf(now)).map((codec) => ({
    codec,
    points: now.points.filter((p) => p.codec === codec && p[metric] !== null)
      .sort((a, b) => a.bits - b.bits)
      .map((p) => ({ x: p[rate], y: scaled(metric, p[metric]), point: p })),
  })).filter((s) => s.points.length).reverse();
  chart($("curves"), {
    series, marks: true, xLog: true, xTitle: rate === "bpp" ? "bits per pixel, log" : "kbit/s, log", yTitle: metricAxis(metric),
    empty: `${metricTitle(metric)} is not defined for this input.`,
    tip: ({ s, i }) => {
      const p = series[s].points[i].point;
      const speed = [["encode", `${figure(p.encode_fps)} frames/s`], ["decode", `${figure(p.decode_fps)} frames/s`]];
      return tipTable(`${title(p.codec)}, ${p.setting}`, [
        ["rate", `${figure(p.bpp)} bpp`], ...(now.kind === "video" ? [["", `${figure(p.kbps)} kbit/s`]] : [["size", `${p.stream_bytes} bytes`]]),
        ...data.metrics.filter((m) => p[m] !== null).map((m) => [metricTitle(m), shown(m, p[m])]),
        ...(now.kind === "video" ? speed : []),
      ]);
    },
  });
  legend($("legend"), codecsOf(now), redraw);
}

function deltaCell(delta) {
  if (!delta) return el("td", {}, "–");
  const { rate, quality, metric } = delta;
  if (rate.value === null) return el("td", { class: "reason" }, rate.reason || "–");
  const unit = inDb(metric) || metric !== "vmaf" ? " dB" : "";
  const cell = el("td", {}, el("span", { class: rate.value <= 0 ? "good" : "worse" }, `${signed(rate.value, 1)} %`));
  const gain = quality.value === null ? null : el("span", {}, `${signed(quality.value, 2)}${unit}, `);
  cell.append(el("small", { title: `from ${figure(rate.low)} to ${figure(rate.high)}` }, gain, el("span", {}, `${Math.round(100 * rate.overlap)} % shared`)));
  return cell;
}

function drawDeltas() {
  const now = clip();
  const anchors = data.codecs.filter((codec) => now.deltas.some((d) => d.anchor === codec));
  const rows = anchors.map((anchor) => [title(anchor), ...data.metrics.map((metric) =>
    deltaCell(now.deltas.find((d) => d.anchor === anchor && d.metric === metric)))]);
  $("deltas").replaceChildren(rows.length
    ? table(["BD-rate against", ...data.metrics.map(metricTitle)], rows)
    : el("p", { class: "quiet" }, "No Bjontegaard delta could be computed."));
  const megabytes = (bytes) => (bytes === null ? "–" : Math.round(bytes / 1e6));
  const points = codecsOf(now).flatMap((codec) => now.points.filter((p) => p.codec === codec).sort((a, b) => a.bits - b.bits));
  $("points").replaceChildren(table(
    ["codec", "setting", "bpp", "kbit/s", ...data.metrics.map(metricTitle), "enc fps", "dec fps", "enc MB", "dec MB"],
    points.map((p) => [title(p.codec), p.setting, p.bpp.toFixed(4), figure(p.kbps), ...data.metrics.map((m) => shown(m, p[m])),
      figure(p.encode_fps), figure(p.decode_fps), megabytes(p.encode_memory), megabytes(p.decode_memory)])));
}

function drawOverall() {
  if (data.clips.length < 2) return;
  const rows = data.codecs.slice(1).map((anchor) => [title(anchor), ...data.metrics.map((metric) => {
    const found = data.clips.flatMap((c) => c.deltas.filter((d) => d.anchor === anchor && d.metric === metric && d.rate.value !== null));
    if (!found.length) return el("td", {}, "–");
    const mean = found.reduce((sum, d) => sum + d.rate.value, 0) / found.length;
    return el("td", {}, el("span", { class: mean <= 0 ? "good" : "worse" }, `${signed(mean, 1)} %`),
      el("small", {}, `${found.length} of ${data.clips.length} inputs`));
  })]);
  $("overall").hidden = false;
  $("overall-table").replaceChildren(table(["mean BD-rate of BSQ against", ...data.metrics.map(metricTitle)], rows));
}

// The mean of the `span` values around each, fewer at the ends.
function runningMean(values, span) {
  const sums = [0];
  for (const value of values) sums.push(sums[sums.length - 1] + value);
  return values.map((_, i) => {
    const from = Math.max(0, i - (span >> 1)), to = Math.min(values.length, i + (span >> 1) + 1);
    return (sums[to] - sums[from]) / (to - from);
  });
}

function drawFrames() {
  const now = clip();
  const codecs = data.codecs.filter((codec) => now.matched[codec]);
  $("frames-section").hidden = !codecs.length || now.frames < 2;
  if ($("frames-section").hidden) return;
  $("matched").textContent = "All codecs at about one rate: " +
    codecs.map((codec) => `${title(codec)} ${figure(now.matched[codec].bpp)} bpp (${now.matched[codec].setting})`).join(", ") + ".";
  const metric = state.frameMetric;
  // single frames of long clips would be a solid band
  const span = now.frames > 100 ? 2 * Math.floor(now.frames / 60) + 1 : 1;
  const lines = (values) => visible(codecs).map((codec) => {
    const own = values(now.matched[codec]) || [], smooth = runningMean(own, span);
    return { codec, points: own.map((value, x) => ({ x, y: smooth[x], value })) };
  }).filter((s) => s.points.length).reverse();
  const draw = (box, series, yTitle, yLog, text) => chart(box, {
    series, column: true, xTitle: "frame", yTitle: yTitle + (span > 1 ? `, mean of ${span} frames` : ""), yLog, height: 220,
    tip: ({ i }) => tipTable(`frame ${i}`, series.slice().reverse().map((s) => [title(s.codec), s.points[i] ? text(s.points[i].value) : "–"])),
    click: ({ i }) => viewer.go(i),
  });
  draw($("frame-quality"), lines((p) => p.per_frame[metric]), metricTitle(metric), false, (v) => shown(metric, v));
  const bits = (p) => (p.frame_bytes.length ? p.frame_bytes : p.packet_bytes).map((bytes) => Math.max(1, 8 * bytes));
  draw($("frame-bits"), lines(bits), "bits, log", true, (v) => `${v} bits`);
  legend($("frame-legend"), codecs, redraw);
}

let markAxis = () => {};

function drawFacts() {
  const now = clip();
  const parts = [`${now.width}×${now.height}`];
  if (now.kind === "video") parts.push(`${now.frames} frames`, `${figure(now.fps)} frames/s`, `keyframe interval ${data.gop}`);
  if (now.sha256) parts.push(`SHA-256 ${now.sha256.slice(0, 12)}…`);
  $("clip-facts").textContent = parts.concat(now.notes).join(", ");
  const failed = data.clips.flatMap((c) => c.failures.map((text) => `${c.path}: ${text}`));
  $("failures").hidden = !failed.length;
  $("failures").replaceChildren(el("b", {}, "Not everything could be measured"), el("ul", {}, ...failed.map((text) => el("li", {}, text))));
  const commands = codecsOf(now).map((codec) => now.points.filter((p) => p.codec === codec).sort((a, b) => a.bits - b.bits)[0].command);
  $("commands").replaceChildren(el("p", { class: "quiet" }, "The commands, each at its lowest rate; the quality varies from point to point:"),
    el("pre", {}, commands.join("\n")));
}

function redraw() {
  drawCurves();
  drawFrames();
}

function drawClip() {
  // a picture has no time, and so no bits in a second
  $("axis").hidden = clip().kind === "picture";
  if ($("axis").hidden) {
    state.axis = "bpp";
    markAxis("bpp");
  }
  drawFacts();
  redraw();
  drawDeltas();
  viewer.open(state.clip);
}

// An input's name, with folders where another input has the same.
function shortest(index) {
  const parts = data.clips[index].path.split("/");
  for (let n = 1; n < parts.length; n += 1) {
    const end = parts.slice(-n).join("/");
    if (data.clips.every((c, i) => i === index || !("/" + c.path).endsWith("/" + end))) return end;
  }
  return data.clips[index].path;
}

function start() {
  const inputs = data.clips.length === 1 ? fileName(data.clips[0].path) : `${data.clips.length} inputs`;
  $("summary").textContent = `${inputs}; ${data.codecs.map(title).join(", ")}`;
  $("clip-bar").hidden = data.clips.length < 2;
  options($("clip"), data.clips.map((c, i) => [i, shortest(i)]), 0);
  $("clip").addEventListener("change", () => { state.clip = Number($("clip").value); drawClip(); });
  const metrics = data.metrics.map((m) => [m, metricTitle(m)]);
  chips($("metric"), metrics, state.metric, (value) => { state.metric = value; drawCurves(); });
  markAxis = chips($("axis"), [["bpp", "bits per pixel"], ["kbps", "kbit/s"]], state.axis, (value) => { state.axis = value; drawCurves(); });
  // a metric of sampled frames has no line
  const byFrame = metrics.filter(([m]) => m !== "st_lpips");
  chips($("frame-metric"), byFrame, state.frameMetric, (value) => { state.frameMetric = value; drawFrames(); });
  $("notes").replaceChildren(...data.notes.map((note) => el("li", {}, note)));
  $("tools").replaceChildren(table(["tool", "version"], Object.entries(data.tools)));
  drawOverall();
  const first = data.clips.findIndex((c) => c.points.length);
  state.clip = Math.max(0, first);
  $("clip").value = state.clip;
  drawClip();
}
