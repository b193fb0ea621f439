/* Two pictures on top of each other and a divider between them, for mouse, touch and keyboard. */

import { h } from "./dom.js";
import { say } from "./words.js";

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
const ENDS = { Home: 0, End: 100 };

export const SLIDER_STYLE = `
  .slider { position: relative; background: #000; aspect-ratio: 16 / 9; touch-action: pan-y; user-select: none; cursor: ew-resize; overflow: hidden; }
  .slider img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; pointer-events: none; }
  .slider .over { clip-path: inset(0 calc(100% - var(--at)) 0 0); }
  .slider .divider { position: absolute; inset-block: 0; left: var(--at); width: 44px; margin-left: -22px; display: grid; place-items: center; }
  .slider .divider::before { content: ""; position: absolute; inset-block: 0; left: 20.5px; width: 3px; background: #fff; box-shadow: 0 0 0 1px #000; }
  .slider .grip { position: relative; width: 36px; height: 36px; border-radius: 50%; background: #fff; color: #111; display: grid; place-items: center; box-shadow: 0 0 0 1px #000; font: 600 16px/1 sans-serif; }
  .slider .divider:focus-visible { outline: none; }
  .slider .divider:focus-visible .grip { outline: 3px solid var(--primary-color, #0288d1); outline-offset: 2px; }
  .slider .arm { position: absolute; top: 8px; padding: 2px 8px; border-radius: 4px; background: rgba(0, 0, 0, 0.75); color: #fff; font-size: 12px; line-height: 1.3; box-sizing: border-box; max-width: calc(50% - 30px); max-height: calc(100% - 16px); overflow: hidden; overflow-wrap: anywhere; }
  .slider .arm.left { left: 8px; }
  .slider .arm.right { right: 8px; }
`;

/* Make the slider; `show(left, right, t)` puts pictures into it, each {src, name, alt}. */
export function makeSlider() {
  const under = h("img", { alt: "" });
  const over = h("img", { alt: "", class: "over" });
  const divider = h(
    "div",
    { class: "divider", role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal" },
    h("span", { class: "grip", "aria-hidden": "true" }, "⇔"),
  );
  const left = h("span", { class: "arm left", "aria-hidden": "true" });
  const right = h("span", { class: "arm right", "aria-hidden": "true" });
  const element = h("div", { class: "slider" }, under, over, left, right, divider);
  const told = { left: "", right: "", words: "{percent} %" };
  let at = 50;

  const move = (to) => {
    at = Math.min(Math.max(Math.round(to), 0), 100);
    element.style.setProperty("--at", `${at}%`);
    divider.setAttribute("aria-valuenow", String(at));
    divider.setAttribute("aria-valuetext", say(told.words, { percent: at, left: told.left, right: told.right }));
  };
  const follow = (event) => {
    const box = element.getBoundingClientRect();
    move(((event.clientX - box.left) / box.width) * 100);
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button === 0) {
      element.setPointerCapture(event.pointerId);
      follow(event);
      divider.focus({ preventScroll: true });
      event.preventDefault();
    }
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) {
      follow(event);
    }
  });
  divider.addEventListener("keydown", (event) => {
    const to = event.key in ENDS ? ENDS[event.key] : at + (STEPS[event.key] || 0) * (event.shiftKey ? 10 : 1);
    if (event.key in ENDS || event.key in STEPS) {
      event.preventDefault();
      event.stopPropagation();
      move(to);
    }
  });
  move(at);

  return {
    element,
    show(one, other, t) {
      Object.assign(told, { left: one.name, right: other.name, words: t.sliderAt });
      divider.setAttribute("aria-label", say(t.slider, { left: one.name, right: other.name }));
      for (const [image, picture, label] of [[over, one, left], [under, other, right]]) {
        image.alt = picture.alt;
        label.textContent = picture.name;
        if (picture.src && image.getAttribute("src") !== picture.src) {
          image.src = picture.src;
        } else if (!picture.src) {
          image.removeAttribute("src");
        }
      }
      move(at);
    },
  };
}
