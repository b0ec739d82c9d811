
"use strict";
const main = document.querySelector("main");
const order = document.querySelector("#order");
const opacity = document.querySelector("#opacity");

const sort = () => {
  const value = (article) => Number(article.dataset[order.value]);
  main.append(...[...main.children].sort((a, b) => value(a) - value(b)));
};

const fade = () => document.documentElement.style.setProperty("--opacity", opacity.value / 100);

// A picture that is decoded, so that a frame and what lies over it change at once.
const load = async (source) => {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
};

const follow = (article, slider) => {
  const { pictures, number, offsets, labelled } = article.dataset;
  const frames = offsets.split(" ");
  const known = new Set(labelled.split(" "));
  const path = (n, map) => `${pictures}/${n}_${map ? `${map}.png` : "image.jpg"}`;
  const figures = [...article.querySelectorAll("figure")];
  const signed = (n) => n.replace("-", "−").replace(/^(?=[1-9])/, "+");

  const show = async () => {
    const n = frames[slider.value];
    const text = `frame ${Number(number) + Number(n)}, n = ${signed(n)}`;
    article.querySelector("output").value = text;
    slider.setAttribute("aria-valuetext", text);
    const has = (map) => known.has(n) || map === "prediction";
    const maps = figures.map((figure) => figure.dataset.map).filter((map) => map && has(map));
    await Promise.allSettled(["", ...maps].map((map) => load(path(n, map))));
    if (n !== frames[slider.value]) return; // the slider has moved on
    for (const figure of figures) {
      const { map } = figure.dataset;
      figure.querySelector(".image").src = path(n, "");
      if (!map) continue;
      figure.querySelector(".map").hidden = figure.querySelector(".none").hidden = true;
      figure.querySelector(has(map) ? ".map" : ".none").hidden = false;
      if (has(map)) figure.querySelector(".map").src = path(n, map);
    }
  };

  slider.addEventListener("input", show);
  slider.parentElement.hidden = false;
};

for (const article of main.children) {
  const slider = article.querySelector(".slider input");
  if (slider) follow(article, slider);
}
order.addEventListener("change", sort);
opacity.addEventListener("input", fade);
document.querySelector(".controls").hidden = false;
