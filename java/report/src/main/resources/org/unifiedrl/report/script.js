"use strict";
// Values at the pointer, and groups shown or hidden by their keys. The page says the same without it.
document.body.classList.add("scripted");
const tip = document.getElementById("tip");

for (const key of document.querySelectorAll(".key")) {
  key.addEventListener("click", () => {
    const hidden = document.body.classList.toggle("hide" + key.dataset.group);
    key.setAttribute("aria-pressed", String(!hidden));
  });
}

function nearest(places, x) {
  let best = 0;
  places.forEach((place, i) => { if (Math.abs(place - x) < Math.abs(places[best] - x)) best = i; });
  return best;
}

for (const chart of document.querySelectorAll("svg[data-chart]")) {
  const series = JSON.parse(chart.dataset.chart).s;
  const rule = chart.querySelector(".rule");
  let at = null; // in the drawing's units

  const hide = () => { tip.hidden = true; rule.style.visibility = "hidden"; at = null; };

  const show = (x) => {
    const shown = series.filter((one) => !document.body.classList.contains("hide" + one.n));
    if (shown.length === 0) { hide(); return; }
    const frame = chart.getBoundingClientRect();
    const scale = frame.width / chart.viewBox.baseVal.width;
    const first = nearest(shown[0].x, x);
    at = shown[0].x[first];
    rule.setAttribute("x1", at);
    rule.setAttribute("x2", at);
    rule.style.visibility = "visible";
    tip.replaceChildren();
    const head = document.createElement("div");
    head.textContent = "step " + shown[0].t[first].toLocaleString("en");
    tip.append(head);
    for (const one of shown) {
      const row = document.createElement("div");
      row.className = "s" + one.n;
      row.append(document.createElement("i"), (series.length > 1 ? one.l + ": " : "") + one.v[nearest(one.x, at)]);
      tip.append(row);
    }
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight, left = frame.left + at * scale;
    tip.style.left = Math.max(4, Math.min(innerWidth - width - 4, left + (left > innerWidth / 2 ? -width - 10 : 10))) + "px";
    tip.style.top = Math.max(4, Math.min(innerHeight - height - 4, frame.top + 8)) + "px";
  };

  chart.addEventListener("pointermove", (event) => {
    const frame = chart.getBoundingClientRect();
    show((event.clientX - frame.left) * chart.viewBox.baseVal.width / frame.width);
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const places = series[0].x;
    const now = at === null ? 0 : nearest(places, at) + (event.key === "ArrowRight" ? 1 : -1);
    show(places[Math.max(0, Math.min(places.length - 1, now))]);
  });
}
