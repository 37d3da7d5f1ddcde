// The frames that the viewer shows: embedded in the page, or files in the folder of all frames.

class FrameStore {
  constructor(clipIndex) {
    this.clipIndex = clipIndex;
    this.clip = data.clips[clipIndex];
    this.set = data.frames[clipIndex];
    this.made = new Map();  // images that have been made, the newest last
  }

  get empty() { return !(this.set && this.set.frames.length); }

  get versions() { return ["original", ...data.codecs.filter((codec) => this.clip.matched[codec])]; }

  // The numbers of the embedded frames, in order of time.
  get order() { return this.set.frames.map((f) => f.index).sort((a, b) => a - b); }

  embedded(index) { return this.set.frames.find((frame) => frame.index === index); }

  // The frame that can be shown whose number is nearest.
  nearest(index) {
    if (this.set.sidecar) return index;
    const nearer = (best, f) => (Math.abs(f.index - index) < Math.abs(best - index) ? f.index : best);
    return this.set.frames.reduce(nearer, this.set.frames[0].index);
  }

  // The frame that is `by` places after another.
  after(index, by) {
    if (this.set.sidecar) return Math.min(Math.max(0, index + by), this.clip.frames - 1);
    const order = this.order;
    return order[Math.min(Math.max(0, order.indexOf(index) + by), order.length - 1)];
  }

  // Something that a canvas can draw.
  async image(version, index) {
    const key = `${this.clipIndex}-${index}-${version}`;
    if (!this.made.has(key)) {
      const made = this.embedded(index) ? await this.lossless(key) : await this.fromFile(version, index);
      this.made.set(key, made);
      if (this.made.size > 40) this.made.delete(this.made.keys().next().value);
    }
    return this.made.get(key);
  }

  async lossless(key) {
    const text = $(`p-${key}`).textContent;
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const raw = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
    raw.drawImage(bitmap, 0, 0);
    const { width, height } = this.clip;
    const made = new OffscreenCanvas(width, height);
    const packed = raw.getImageData(0, 0, bitmap.width, bitmap.height);
    made.getContext("2d").putImageData(planesToRgb(packed, width, height, this.set), 0, 0);
    return made;
  }

  async fromFile(version, index) {
    const image = new Image();
    image.src = `${this.set.sidecar}/${version}/${String(index).padStart(5, "0")}.webp`;
    await image.decode();
    return image;
  }
}
