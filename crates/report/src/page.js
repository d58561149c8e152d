"use strict";
for (const compare of document.querySelectorAll(".compare")) {
  const section = compare.closest("section");
  const over = compare.querySelector(".over");
  const cut = section.querySelector(".cut");
  const show = (percent) => {
    const value = Math.min(100, Math.max(0, percent));
    compare.style.setProperty("--cut", value + "%");
    cut.value = value;
  };
  const drag = (event) => {
    const box = compare.getBoundingClientRect();
    show((100 * (event.clientX - box.left)) / box.width);
  };
  compare.addEventListener("pointerdown", (event) => {
    compare.setPointerCapture(event.pointerId);
    drag(event);
  });
  compare.addEventListener("pointermove", (event) => {
    if (compare.hasPointerCapture(event.pointerId)) drag(event);
  });
  cut.addEventListener("input", () => show(Number(cut.value)));
  section.querySelector(".opacity").addEventListener("input", (event) => {
    over.style.opacity = event.target.value / 100;
  });
  for (const choice of section.querySelectorAll(".below")) {
    choice.addEventListener("change", () => {
      compare.querySelector(".under").src = choice.value;
    });
  }
}
document.documentElement.dataset.ready = "true";
