// The viewer: two versions of a frame by wipe, flicker or difference.
const viewer = (function () {
  const stage = $("stage"), sheet = $("sheet"), canvas = $("canvas"), handle = $("handle");
  const view = { clip: -1, at: 0, index: 0, mode: "wipe", left: "original", right: "", wipe: 0.5, flipped: false, zoom: "fit", gain: 8, timer: null };
  const kept = new Map();  // pictures that have been made, the newest last
  let serial = 0;
  let markMode = () => {};

  const frames = () => data.frames[view.clip];
  const versions = () => ["original", ...data.codecs.filter((codec) => data.clips[view.clip].matched[codec])];
  const name = (version) => (version === "original" ? "Original" : title(version));

  // Y, U and V of one gray picture as RGB (see viewer.py for their places).
  function toColour(sheetData, width, height, set) {
    const from = sheetData.data, row = sheetData.width, dense = set.chroma === "444";
    const [cw, ch] = dense ? [width, height] : [(width + 1) >> 1, (height + 1) >> 1];
    const u0 = height * row, v0 = dense ? 2 * height * row : height * row + cw;
    const full = set.full_range, [kr, kb] = set.matrix === "bt709" ? [0.2126, 0.0722] : [0.299, 0.114];
    const ys = full ? 1 : 255 / 219, cs = full ? 1 : 255 / 224, off = full ? 0 : 16;
    const rv = 2 * (1 - kr) * cs, bu = 2 * (1 - kb) * cs, kg = 1 - kr - kb;
    const gu = (-2 * kb * (1 - kb) / kg) * cs, gv = (-2 * kr * (1 - kr) / kg) * cs;
    const out = new ImageData(width, height), to = out.data;
    const sample = (base, x, y) => {
      if (dense) return from[4 * (base + y * row + x)];
      // between four samples, sited between luma rows and columns
      const fx = Math.max(0, (x - 0.5) / 2), fy = Math.max(0, (y - 0.5) / 2);
      const x0 = Math.min(cw - 1, fx | 0), y0 = Math.min(ch - 1, fy | 0);
      const x1 = Math.min(cw - 1, x0 + 1), y1 = Math.min(ch - 1, y0 + 1), a = fx - x0, b = fy - y0;
      const at = (cx, cy) => from[4 * (base + cy * row + cx)];
      return (1 - b) * ((1 - a) * at(x0, y0) + a * at(x1, y0)) + b * ((1 - a) * at(x0, y1) + a * at(x1, y1));
    };
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const luma = (from[4 * (y * row + x)] - off) * ys;
        const u = sample(u0, x, y) - 128, v = sample(v0, x, y) - 128, i = 4 * (y * width + x);
        to[i] = luma + rv * v;
        to[i + 1] = luma + gu * u + gv * v;
        to[i + 2] = luma + bu * u;
        to[i + 3] = 255;
      }
    }
    return out;
  }

  const embedded = (index) => frames().frames.find((frame) => frame.index === index);

  async function lossless(key) {
    const text = $(`p-${key}`).textContent;
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const raw = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
    raw.drawImage(bitmap, 0, 0);
    const { width, height } = data.clips[view.clip];
    const made = new OffscreenCanvas(width, height);
    made.getContext("2d").putImageData(toColour(raw.getImageData(0, 0, bitmap.width, bitmap.height), width, height, frames()), 0, 0);
    return made;
  }

  async function sidecar(version, index) {
    const image = new Image();
    image.src = `${frames().sidecar}/${version}/${String(index).padStart(5, "0")}.webp`;
    await image.decode();
    return image;
  }

  async function picture(version, index) {
    const key = `${view.clip}-${index}-${version}`;
    if (!kept.has(key)) {
      const made = embedded(index) ? await lossless(key) : await sidecar(version, index);
      kept.set(key, made);
      if (kept.size > 40) kept.delete(kept.keys().next().value);
    }
    return kept.get(key);
  }

  async function render() {
    const mine = (serial += 1);
    let pair;
    try {
      pair = await Promise.all([picture(view.left, view.index), picture(view.right, view.index)]);
    } catch (error) {
      $("frame-note").textContent = "This picture cannot be shown: is the folder of frames beside the page?";
      return;
    }
    if (mine !== serial) return;
    paint(...pair);
    stage.dataset.ready = `${view.clip}-${view.index}-${view.left}-${view.right}-${view.mode}`;
  }

  function paint(a, b) {
    const { width, height } = data.clips[view.clip];
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    resize();
    const context = canvas.getContext("2d");
    context.globalCompositeOperation = "source-over";
    if (view.mode === "wipe") {
      const x = Math.round(view.wipe * width);
      context.drawImage(b, 0, 0);
      if (x > 0) context.drawImage(a, 0, 0, x, height, 0, 0, x, height);
    } else if (view.mode === "flicker") {
      context.drawImage(view.flipped ? b : a, 0, 0);
    } else {
      context.drawImage(a, 0, 0);
      context.globalCompositeOperation = "difference";
      context.drawImage(b, 0, 0);
      // each time the canvas is added to itself its values double
      context.globalCompositeOperation = "lighter";
      for (let gain = view.gain; gain > 1; gain /= 2) context.drawImage(canvas, 0, 0);
    }
    handle.hidden = view.mode !== "wipe";
    handle.style.left = `${100 * view.wipe}%`;
    tags();
  }

  function resize() {
    const { width, height } = data.clips[view.clip];
    const room = stage.clientWidth;
    const fit = Math.min(room / width, (0.78 * window.innerHeight) / height);
    const factor = view.zoom === "fit" ? Math.min(fit, 3) : Number(view.zoom) / window.devicePixelRatio;
    canvas.style.width = `${Math.round(width * factor)}px`;
    canvas.style.height = `${Math.round(height * factor)}px`;
    canvas.style.imageRendering = factor * window.devicePixelRatio >= 2 ? "pixelated" : "auto";
  }

  function facts(version) {
    if (version === "original") return name(version);
    const point = data.clips[view.clip].matched[version];
    const bytes = (point.frame_bytes.length ? point.frame_bytes : point.packet_bytes)[view.index];
    const values = data.metrics.filter((m) => point.per_frame[m]).map((m) => `${metricTitle(m)} ${shown(m, point.per_frame[m][view.index])}`);
    const head = `${name(version)}, ${point.setting}, ${figure(point.bpp)} bpp`;
    if (data.clips[view.clip].kind === "picture") return `${head}, ${bytes} bytes, ${values.join(", ")}`;
    return `${head}; this frame ${8 * bytes} bits, ${values.join(", ")}`;
  }

  function tags() {
    $("tag-left").textContent = `A: ${facts(view.left)}`;
    $("tag-right").textContent = `B: ${facts(view.right)}`;
    $("tag-left").className = view.mode === "flicker" && !view.flipped ? "on" : "";
    $("tag-right").className = view.mode === "flicker" && view.flipped ? "on" : "";
    const frame = embedded(view.index);
    const many = data.clips[view.clip].frames > 1;
    $("frame-note").textContent = frame ? "lossless" : "WebP of quality 90, not lossless";
    $("gain-label").hidden = view.mode !== "difference";
    $("previous").hidden = $("next").hidden = $("frame").hidden = !many;
    if (frame) $("frame").value = frame.index;
    else $("frame").selectedIndex = -1;
    $("seek").value = view.index;
  }

  function setMode(mode) {
    view.mode = mode;
    markMode(mode);
    clearInterval(view.timer);
    view.timer = mode === "flicker" ? setInterval(() => { view.flipped = !view.flipped; render(); }, 700) : null;
    render();
  }

  function flip() {
    if (view.mode === "flicker") {
      // by hand from now on
      clearInterval(view.timer);
      view.flipped = !view.flipped;
    } else {
      [view.left, view.right] = [view.right, view.left];
      $("left").value = view.left;
      $("right").value = view.right;
    }
    render();
  }

  function go(index) {
    const set = frames();
    if (!set || !set.frames.length) return;
    const near = set.sidecar ? index : set.frames.reduce((best, f) => (Math.abs(f.index - index) < Math.abs(best - index) ? f.index : best), set.frames[0].index);
    view.index = near;
    render();
  }

  function step(by) {
    const set = frames();
    if (set.sidecar) { go(Math.min(Math.max(0, view.index + by), data.clips[view.clip].frames - 1)); return; }
    const order = set.frames.map((f) => f.index).sort((a, b) => a - b);
    view.index = order[Math.min(Math.max(0, order.indexOf(view.index) + by), order.length - 1)];
    render();
  }

  function moveWipe(to) {
    view.wipe = Math.min(1, Math.max(0, to));
    render();
  }

  function open(index) {
    view.clip = index;
    kept.clear();
    const set = frames();
    const there = Boolean(set && set.frames.length);
    $("viewer-section").hidden = !there;
    clearInterval(view.timer);
    if (!there) return;
    const choices = versions().map((version) => [version, name(version)]);
    if (!versions().includes(view.left)) view.left = "original";
    if (!versions().includes(view.right) || view.right === "original") view.right = versions()[1];
    options($("left"), choices, view.left);
    options($("right"), choices, view.right);
    options($("frame"), set.frames.slice().sort((a, b) => a.index - b.index).map((f) => [f.index, `frame ${f.index} (${f.why})`]), set.frames[0].index);
    $("seek").hidden = !set.sidecar;
    $("seek").max = data.clips[index].frames - 1;
    view.index = set.frames[0].index;
    setMode(view.mode);
  }

  function wire() {
    markMode = chips($("mode"), [["wipe", "Wipe"], ["flicker", "Flicker"], ["difference", "Difference"]], view.mode, setMode);
    options($("zoom"), [["fit", "fit"], ["1", "1×"], ["2", "2×"], ["4", "4×"]], view.zoom);
    options($("gain"), [1, 2, 4, 8, 16, 32].map((g) => [g, `${g}×`]), view.gain);
    for (const side of ["left", "right"]) $(side).addEventListener("change", () => { view[side] = $(side).value; render(); });
    $("zoom").addEventListener("change", () => { view.zoom = $("zoom").value; render(); });
    $("gain").addEventListener("change", () => { view.gain = Number($("gain").value); render(); });
    $("frame").addEventListener("change", () => go(Number($("frame").value)));
    $("seek").addEventListener("input", () => go(Number($("seek").value)));
    $("previous").addEventListener("click", () => step(-1));
    $("next").addEventListener("click", () => step(1));
    window.addEventListener("resize", () => { if (view.clip >= 0 && !$("viewer-section").hidden) render(); });
    const drag = (event) => {
      const frame = canvas.getBoundingClientRect();
      moveWipe((event.clientX - frame.left) / frame.width);
    };
    let dragging = false;
    sheet.addEventListener("pointerdown", (event) => {
      if (view.mode === "flicker") { flip(); return; }
      if (view.mode !== "wipe" || (event.pointerType === "touch" && !handle.contains(event.target))) return;
      dragging = true;
      sheet.setPointerCapture(event.pointerId);
      drag(event);
    });
    sheet.addEventListener("pointermove", (event) => { if (dragging) drag(event); });
    for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => { dragging = false; });
    stage.addEventListener("keydown", keys);
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = event.shiftKey ? 0.1 : 0.02;
    const zooms = ["fit", "1", "2", "4"];
    const zoom = (way) => {
      view.zoom = zooms[Math.min(Math.max(0, zooms.indexOf(view.zoom) + way), zooms.length - 1)];
      $("zoom").value = view.zoom;
      render();
    };
    const acts = {
      ArrowLeft: () => moveWipe(view.wipe - by), ArrowRight: () => moveWipe(view.wipe + by),
      ArrowUp: () => step(-1), ArrowDown: () => step(1),
      1: () => setMode("wipe"), 2: () => setMode("flicker"), 3: () => setMode("difference"),
      " ": flip, "+": () => zoom(1), "=": () => zoom(1), "-": () => zoom(-1),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  wire();
  return { open, go };
})();
start();
