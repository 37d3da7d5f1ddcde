// What every part of the page uses: elements, figures as text, choices, the state.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const state = {
  clip: 0, metric: data.metrics[0], axis: "bpp", frameMetric: data.metrics.find((m) => m !== "st_lpips"), hidden: new Set(),
};
const clip = () => data.clips[state.clip];
const title = (codec) => data.titles[codec] || codec;
const color = (codec) => `var(--c${data.codecs.indexOf(codec) % 10})`;
const codecsOf = (which) => data.codecs.filter((codec) => which.points.some((p) => p.codec === codec));

// metric -> title, digits, and the scale of its curves
const METRICS = {
  psnr_y: ["PSNR-Y", 2, "dB"], psnr_yuv: ["PSNR-YUV", 2, "dB"], ssim: ["SSIM", 4, "as dB"],
  ms_ssim: ["MS-SSIM", 4, "as dB"], vmaf: ["VMAF", 1, ""], xpsnr: ["XPSNR-Y", 2, "dB"],
  st_lpips: ["ST-LPIPS", 4, "as dB"],
};
const inDb = (metric) => METRICS[metric][2] === "as dB";
const metricTitle = (metric) => METRICS[metric][0];
const metricAxis = (metric) => METRICS[metric][0] + (METRICS[metric][2] ? ` (${METRICS[metric][2]})` : "");

function scaled(metric, value) {
  if (value === null || value === undefined) return null;
  const distance = metric === "st_lpips" ? value : 1 - value;
  return inDb(metric) ? -10 * Math.log10(Math.max(distance, 1e-6)) : value;
}

function shown(metric, value) {
  return value === null || value === undefined ? "–" : value.toFixed(METRICS[metric][1]);
}

// A figure in about three digits.
function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return Math.round(value).toString();
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4);
}

const fileName = (path) => path.split("/").pop();
const signed = (value, digits) => (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(digits);

// A row of buttons of which one is chosen; arrow keys move the choice.
function chips(box, choices, chosen, pick) {
  const buttons = choices.map(([value, text]) => {
    const button = el("button", { type: "button", role: "radio", "data-value": value }, text);
    button.addEventListener("click", () => choose(value));
    return button;
  });
  function mark(value) {
    buttons.forEach((button) => {
      const on = button.dataset.value === value;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    });
  }
  function choose(value) {
    mark(value);
    pick(value);
  }
  box.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    event.preventDefault();
    buttons[next].focus();
    choose(buttons[next].dataset.value);
  };
  box.replaceChildren(...buttons);
  box.hidden = choices.length < 2;
  mark(chosen);
  return mark;
}

function options(select, choices, chosen) {
  select.replaceChildren(...choices.map(([value, text]) => el("option", { value }, text)));
  select.value = chosen;
}

function table(head, rows) {
  const line = (cells, tag) => el("tr", {}, ...cells.map((cell) => {
    const made = cell instanceof Node ? cell : el(tag, {}, String(cell));
    return made;
  }));
  return el("table", {}, el("thead", {}, line(head, "th")), el("tbody", {}, ...rows.map((row) => line(row, "td"))));
}

// Light or dark: the system's wish, until somebody chooses.
(function theme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const set = (on) => document.documentElement.setAttribute("data-theme", on ? "dark" : "light");
  let chosen = false;
  set(dark.matches);
  dark.addEventListener("change", () => { if (!chosen) set(dark.matches); });
  $("theme").addEventListener("click", () => {
    chosen = true;
    set(document.documentElement.getAttribute("data-theme") !== "dark");
  });
})();
