// Decoded planes to RGB, as a video player converts them.

// How Y, U and V become RGB: scales, the offset of luma, and what U and V add to each colour.
function colourMatrix(set) {
  const [kr, kb] = set.matrix === "bt709" ? [0.2126, 0.0722] : [0.299, 0.114];
  const full = set.full_range, scale = full ? 1 : 255 / 224, kg = 1 - kr - kb;
  return {
    lumaScale: full ? 1 : 255 / 219, lumaOffset: full ? 0 : 16,
    rv: 2 * (1 - kr) * scale, bu: 2 * (1 - kb) * scale,
    gu: (-2 * kb * (1 - kb) / kg) * scale, gv: (-2 * kr * (1 - kr) / kg) * scale,
  };
}

// A function (base, x, y) -> chroma sample; 4:2:0 is interpolated between four samples, which are
// sited between luma rows and columns.
function chromaSampler(from, row, width, height, dense) {
  if (dense) return (base, x, y) => from[4 * (base + y * row + x)];
  const [cw, ch] = [(width + 1) >> 1, (height + 1) >> 1];
  return (base, x, y) => {
    const fx = Math.max(0, (x - 0.5) / 2), fy = Math.max(0, (y - 0.5) / 2);
    const x0 = Math.min(cw - 1, fx | 0), y0 = Math.min(ch - 1, fy | 0);
    const x1 = Math.min(cw - 1, x0 + 1), y1 = Math.min(ch - 1, y0 + 1), a = fx - x0, b = fy - y0;
    const at = (cx, cy) => from[4 * (base + cy * row + cx)];
    return (1 - b) * ((1 - a) * at(x0, y0) + a * at(x1, y0)) + b * ((1 - a) * at(x0, y1) + a * at(x1, y1));
  };
}

// Y, U and V packed into one gray image, as ImageData, to RGB (see viewer.py for their places).
function planesToRgb(packed, width, height, set) {
  const from = packed.data, row = packed.width, dense = set.chroma === "444";
  const u0 = height * row, v0 = dense ? 2 * height * row : height * row + ((width + 1) >> 1);
  const { lumaScale, lumaOffset, rv, bu, gu, gv } = colourMatrix(set);
  const sample = chromaSampler(from, row, width, height, dense);
  const out = new ImageData(width, height), to = out.data;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const luma = (from[4 * (y * row + x)] - lumaOffset) * lumaScale;
      const u = sample(u0, x, y) - 128, v = sample(v0, x, y) - 128, i = 4 * (y * width + x);
      to[i] = luma + rv * v;
      to[i + 1] = luma + gu * u + gv * v;
      to[i + 2] = luma + bu * u;
      to[i + 3] = 255;
    }
  }
  return out;
}
