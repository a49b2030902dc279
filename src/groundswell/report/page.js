"use strict";
// Charts are drawn when they come into view, and the rest while nothing else is to do. Their colours are CSS variables,
// so a change of theme, or printing, draws nothing anew.
const page = document.documentElement;
const config = JSON.parse(document.getElementById("chart-config").textContent);
const charts = [...document.querySelectorAll(".chart")];
const waiting = new Set(charts);
const views = new Map();

async function draw(chart) {
  if (!waiting.delete(chart)) return;
  const spec = JSON.parse(chart.querySelector("script").textContent);
  const options = { mode: "vega-lite", renderer: "svg", actions: false, config, tooltip: { theme: "custom" } };
  views.get(chart)?.finalize();
  views.set(chart, await vegaEmbed(chart.querySelector(".plot"), spec, options));
  chart.dataset.drawn = "yes";
}

const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    near.unobserve(entry.target);
    draw(entry.target);
  }),
  { rootMargin: "300px" },
);
waiting.forEach((chart) => near.observe(chart));

const idle = window.requestIdleCallback || ((call) => setTimeout(call, 30));
const drawRest = () => {
  const [next] = waiting;
  if (next) draw(next).then(() => idle(drawRest));
};
idle(drawRest);

// Vega keeps a chart as wide as its place; how many columns a legend has is settled when it is drawn.
let drawnAt = page.clientWidth;
let settling = 0;
window.addEventListener("resize", () => {
  clearTimeout(settling);
  settling = setTimeout(() => {
    if (Math.abs(page.clientWidth - drawnAt) < 60) return;
    drawnAt = page.clientWidth;
    for (const chart of charts) {
      delete chart.dataset.drawn;
      waiting.add(chart);
      near.unobserve(chart);
      near.observe(chart);
    }
    idle(drawRest);
  }, 250);
});
window.addEventListener("beforeprint", () => waiting.forEach(draw));

const themeButton = document.getElementById("theme");
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const theme = () => page.dataset.theme || (prefersDark.matches ? "dark" : "light");
const nameOther = () => { themeButton.textContent = theme() === "dark" ? "Light" : "Dark"; };
themeButton.addEventListener("click", () => {
  page.dataset.theme = theme() === "dark" ? "light" : "dark";
  nameOther();
});
prefersDark.addEventListener("change", nameOther);
nameOther();

function picture(figure) {
  // The drawn chart as a file of its own: colours as values, and the page's paper behind.
  const drawn = figure.querySelector(".plot svg");
  const svg = drawn.cloneNode(true);
  const style = getComputedStyle(page);
  for (const element of svg.querySelectorAll("*")) {
    for (const name of ["fill", "stroke"]) {
      const variable = /^var\((--\w+)\)$/.exec(element.getAttribute(name) || "");
      if (variable) element.setAttribute(name, style.getPropertyValue(variable[1]).trim());
    }
  }
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.style.background = style.getPropertyValue("--paper").trim();
  return { svg: new XMLSerializer().serializeToString(svg), width: drawn.clientWidth, height: drawn.clientHeight };
}

function offer(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

function save(figure, format) {
  const { svg, width, height } = picture(figure);
  const url = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg);
  if (format === "svg") return offer(url, figure.id + ".svg");
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2 * width;
    canvas.height = 2 * height;
    const pen = canvas.getContext("2d");
    pen.scale(2, 2);
    pen.fillStyle = getComputedStyle(page).getPropertyValue("--paper");
    pen.fillRect(0, 0, width, height);
    pen.drawImage(image, 0, 0, width, height);
    offer(canvas.toDataURL("image/png"), figure.id + ".png");
  };
  image.src = url;
}
document.addEventListener("click", (event) => {
  const format = event.target.dataset && event.target.dataset.save;
  if (format) save(event.target.closest("figure"), format);
});
