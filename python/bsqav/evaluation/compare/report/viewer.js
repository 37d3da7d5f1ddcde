// The viewer: two versions of a frame by wipe, flicker or difference.
const MODES = [["wipe", "Wipe"], ["flicker", "Flicker"], ["difference", "Difference"]];
const ZOOMS = [["fit", "fit"], ["1", "1×"], ["2", "2×"], ["4", "4×"]];
const GAINS = [1, 2, 4, 8, 16, 32];
const versionName = (version) => (version === "original" ? "Original" : title(version));

// Draws versions A and B of a frame into a canvas of their size.
function drawPair(context, a, b, view) {
  const { width, height } = context.canvas;
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
    for (let gain = view.gain; gain > 1; gain /= 2) context.drawImage(context.canvas, 0, 0);
  }
}

class Viewer {
  constructor() {
    this.stage = $("stage");
    this.canvas = $("canvas");
    this.handle = $("handle");
    this.store = null;  // the frames of the clip that is open
    this.index = 0;
    this.mode = "wipe";
    this.left = "original";
    this.right = "";
    this.wipe = 0.5;
    this.flipped = false;
    this.zoom = "fit";
    this.gain = 8;
    this.timer = null;
    this.serial = 0;  // of calls of render: a late image of an earlier one is not painted
    this.markMode = chips($("mode"), MODES, this.mode, (mode) => this.setMode(mode));
    this.connectControls();
    this.connectPointer($("picture"));
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
  }

  // ---- painting ----

  async render() {
    const mine = (this.serial += 1), store = this.store;
    let pair;
    try {
      pair = await Promise.all([store.image(this.left, this.index), store.image(this.right, this.index)]);
    } catch (error) {
      $("frame-note").textContent = "This picture cannot be shown: is the folder of frames next to the page?";
      return;
    }
    if (mine !== this.serial) return;
    this.paint(...pair);
    this.stage.dataset.ready = `${store.clipIndex}-${this.index}-${this.left}-${this.right}-${this.mode}`;
  }

  paint(a, b) {
    const { width, height } = this.store.clip, canvas = this.canvas;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    this.resize();
    drawPair(canvas.getContext("2d"), a, b, this);
    this.handle.hidden = this.mode !== "wipe";
    this.handle.style.left = `${100 * this.wipe}%`;
    this.label();
  }

  resize() {
    const { width, height } = this.store.clip;
    const fit = Math.min(this.stage.clientWidth / width, (0.78 * window.innerHeight) / height);
    const factor = this.zoom === "fit" ? Math.min(fit, 3) : Number(this.zoom) / window.devicePixelRatio;
    this.canvas.style.width = `${Math.round(width * factor)}px`;
    this.canvas.style.height = `${Math.round(height * factor)}px`;
    this.canvas.style.imageRendering = factor * window.devicePixelRatio >= 2 ? "pixelated" : "auto";
  }

  // Setting, rate and quality of a version of the frame.
  description(version) {
    if (version === "original") return versionName(version);
    const point = this.store.clip.matched[version];
    const bytes = (point.frame_bytes.length ? point.frame_bytes : point.packet_bytes)[this.index];
    const measured = data.metrics.filter((m) => point.per_frame[m]);
    const values = measured.map((m) => `${metricTitle(m)} ${shown(m, point.per_frame[m][this.index])}`);
    const head = `${versionName(version)}, ${point.setting}, ${figure(point.bpp)} bpp`;
    if (this.store.clip.kind === "picture") return `${head}, ${bytes} bytes, ${values.join(", ")}`;
    return `${head}; this frame ${8 * bytes} bits, ${values.join(", ")}`;
  }

  label() {
    $("tag-left").textContent = `A: ${this.description(this.left)}`;
    $("tag-right").textContent = `B: ${this.description(this.right)}`;
    $("tag-left").className = this.mode === "flicker" && !this.flipped ? "on" : "";
    $("tag-right").className = this.mode === "flicker" && this.flipped ? "on" : "";
    const frame = this.store.embedded(this.index);
    const many = this.store.clip.frames > 1;
    $("frame-note").textContent = frame ? "lossless" : "WebP of quality 90, not lossless";
    $("gain-label").hidden = this.mode !== "difference";
    $("previous").hidden = $("next").hidden = $("frame").hidden = !many;
    if (frame) $("frame").value = frame.index;
    else $("frame").selectedIndex = -1;
    $("seek").value = this.index;
  }

  // ---- actions ----

  // Shows a clip, from its first frame.
  open(clipIndex) {
    const store = (this.store = new FrameStore(clipIndex));
    $("viewer-section").hidden = store.empty;
    clearInterval(this.timer);
    if (store.empty) return;
    const versions = store.versions;
    if (!versions.includes(this.left)) this.left = "original";
    if (!versions.includes(this.right) || this.right === "original") this.right = versions[1];
    const choices = versions.map((version) => [version, versionName(version)]);
    options($("left"), choices, this.left);
    options($("right"), choices, this.right);
    const frames = store.order.map((index) => [index, `frame ${index} (${store.embedded(index).why})`]);
    this.index = store.set.frames[0].index;
    options($("frame"), frames, this.index);
    $("seek").hidden = !store.set.sidecar;
    $("seek").max = store.clip.frames - 1;
    this.setMode(this.mode);
  }

  // Shows a frame, or the nearest to it.
  go(index) {
    if (this.store.empty) return;
    this.index = this.store.nearest(index);
    this.render();
  }

  step(by) { this.go(this.store.after(this.index, by)); }

  setMode(mode) {
    this.mode = mode;
    this.markMode(mode);
    clearInterval(this.timer);
    const turn = () => { this.flipped = !this.flipped; this.render(); };
    this.timer = mode === "flicker" ? setInterval(turn, 700) : null;
    this.render();
  }

  flip() {
    if (this.mode === "flicker") {
      // by hand from now on
      clearInterval(this.timer);
      this.flipped = !this.flipped;
    } else {
      [this.left, this.right] = [this.right, this.left];
      $("left").value = this.left;
      $("right").value = this.right;
    }
    this.render();
  }

  moveWipe(to) {
    this.wipe = Math.min(1, Math.max(0, to));
    this.render();
  }

  zoomBy(steps) {
    const zooms = ZOOMS.map(([zoom]) => zoom);
    this.zoom = zooms[Math.min(Math.max(0, zooms.indexOf(this.zoom) + steps), zooms.length - 1)];
    $("zoom").value = this.zoom;
    this.render();
  }

  // ---- input ----

  connectControls() {
    options($("zoom"), ZOOMS, this.zoom);
    options($("gain"), GAINS.map((gain) => [gain, `${gain}×`]), this.gain);
    const onChange = (id, act) => $(id).addEventListener("change", () => act($(id).value));
    for (const side of ["left", "right"]) onChange(side, (version) => { this[side] = version; this.render(); });
    onChange("zoom", (zoom) => { this.zoom = zoom; this.render(); });
    onChange("gain", (gain) => { this.gain = Number(gain); this.render(); });
    onChange("frame", (index) => this.go(Number(index)));
    $("seek").addEventListener("input", () => this.go(Number($("seek").value)));
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    window.addEventListener("resize", () => { if (this.store && !this.store.empty) this.render(); });
  }

  connectPointer(element) {
    const drag = (event) => {
      const frame = this.canvas.getBoundingClientRect();
      this.moveWipe((event.clientX - frame.left) / frame.width);
    };
    let dragging = false;
    element.addEventListener("pointerdown", (event) => {
      if (this.mode === "flicker") { this.flip(); return; }
      const elsewhere = event.pointerType === "touch" && !this.handle.contains(event.target);
      if (this.mode !== "wipe" || elsewhere) return;
      dragging = true;
      element.setPointerCapture(event.pointerId);
      drag(event);
    });
    element.addEventListener("pointermove", (event) => { if (dragging) drag(event); });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { dragging = false; });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = event.shiftKey ? 0.1 : 0.02;
    const acts = {
      ArrowLeft: () => this.moveWipe(this.wipe - by), ArrowRight: () => this.moveWipe(this.wipe + by),
      ArrowUp: () => this.step(-1), ArrowDown: () => this.step(1),
      1: () => this.setMode("wipe"), 2: () => this.setMode("flicker"), 3: () => this.setMode("difference"),
      " ": () => this.flip(), "+": () => this.zoomBy(1), "=": () => this.zoomBy(1), "-": () => this.zoomBy(-1),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}

const viewer = new Viewer();
start();
