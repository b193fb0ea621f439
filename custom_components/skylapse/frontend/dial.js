/* The sun dial: one day around, midnight below and noon above, with the sky's light and the windows on it. */

import { h, s } from "./dom.js";
import { clock, date, say, span } from "./words.js";

const MIDDLE = 110;
const SKY = 92;
const LANE = 13;
const HOURS = [0, 3, 6, 9, 12, 15, 18, 21];
const INKS = ["#0288d1", "#d81b60", "#558b2f", "#8e24aa", "#e65100", "#00796b"];

/* What the sky is called by the height of the sun, degrees. */
const PHASES = [
  ["day", -0.833],
  ["civil", -6],
  ["nautical", -12],
  ["astronomical", -18],
  ["night", -Infinity],
];

export const DIAL_STYLE = `
  .dial { display: grid; grid-template-columns: minmax(140px, 220px) minmax(150px, 1fr); gap: 16px; align-items: center; }
  .dial svg { width: 100%; height: auto; display: block; }
  .dial .sky { fill: none; stroke-width: 16; }
  .dial .rim { fill: none; stroke: var(--divider-color, #ccc); stroke-width: 1; }
  .dial .day { stroke: #ffca4f; }
  .dial .civil { stroke: #f0876a; }
  .dial .nautical { stroke: #8a6fae; }
  .dial .astronomical { stroke: #47507f; }
  .dial .night { stroke: #1f2747; }
  .dial .window { fill: none; stroke-width: 8; stroke-linecap: butt; }
  .dial .over { opacity: 0.55; }
  .dial .hand { stroke: var(--primary-text-color); stroke-width: 2.5; stroke-linecap: round; }
  .dial .knob { fill: var(--primary-text-color); stroke: var(--ha-card-background, var(--card-background-color, #fff)); stroke-width: 2; }
  .dial text { fill: var(--primary-text-color); font: 11px var(--ha-font-family-body, Roboto, sans-serif); text-anchor: middle; dominant-baseline: central; }
  .dial .time { font-size: 17px; font-weight: 500; }
  .dial .windows { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px; }
  .dial .windows li { display: grid; grid-template-columns: 12px 1fr; gap: 8px; align-items: baseline; }
  .dial .swatch { width: 12px; height: 12px; border-radius: 3px; }
  .dial .when { color: var(--secondary-text-color); }
  .dial .tag { font-weight: 500; color: var(--primary-text-color); }
  @container skylapse (max-width: 420px) { .dial { grid-template-columns: 1fr; justify-items: center; } .dial svg { max-width: 240px; } .dial .windows { width: 100%; } }
`;

function point(share, radius) {
  const angle = (share + 0.25) * 2 * Math.PI;
  return [MIDDLE + radius * Math.cos(angle), MIDDLE + radius * Math.sin(angle)].map((each) => each.toFixed(2));
}

function arc(from, to, radius) {
  const whole = to - from >= 0.9999;
  const end = whole ? from + 0.9999 : to;
  const large = end - from > 0.5 ? 1 : 0;
  return `M ${point(from, radius).join(" ")} A ${radius} ${radius} 0 ${large} 1 ${point(end, radius).join(" ")}`;
}

function phaseOf(elevation) {
  return PHASES.find(([, above]) => elevation > above)[0];
}

/* Spans of the day with the same light: [phase, from, to], shares of the day. */
export function phases(day) {
  const heights = day.elevation_deg;
  const steps = heights.length - 1;
  const found = [];
  for (let step = 0; step < steps; step += 1) {
    const phase = phaseOf((heights[step] + heights[step + 1]) / 2);
    const last = found[found.length - 1];
    if (last && last[0] === phase) {
      last[2] = (step + 1) / steps;
    } else {
      found.push([phase, step / steps, (step + 1) / steps]);
    }
  }
  return found;
}

/* Give every schedule an ink, and every window the innermost lane that is free. */
export function lay(windows) {
  const inks = new Map();
  const lanes = [];
  return windows.map((window) => {
    if (!inks.has(window.schedule)) {
      inks.set(window.schedule, INKS[inks.size % INKS.length]);
    }
    let lane = lanes.findIndex((until) => until <= window.starts_at);
    if (lane < 0) {
      lane = lanes.length;
    }
    lanes[lane] = window.ends_at;
    return { ...window, ink: inks.get(window.schedule), lane: Math.min(lane, 2) };
  });
}

function sunWords(hass, t, day, share) {
  const light = phases(day).filter(([phase]) => phase === "day");
  if (!light.length) {
    return t.sunNeverUp;
  }
  const from = light[0][1];
  const to = light[light.length - 1][2];
  if (from === 0 && to === 1) {
    return t.sunAlwaysUp;
  }
  return say(t.sunUp, { from: clock(hass, share(from), day.time_zone), to: clock(hass, share(to), day.time_zone) });
}

/* Draw the dial of a day (the answer of `skylapse/day`), at a moment of the camera's clock, milliseconds. */
export function drawDial(hass, t, day, now) {
  const starts = Date.parse(day.starts_at);
  const length = Date.parse(day.ends_at) - starts;
  const shareOf = (moment) => Math.min(Math.max((Date.parse(moment) - starts) / length, 0), 1);
  const momentOf = (share) => starts + share * length;
  const at = Math.min(Math.max((now - starts) / length, 0), 1);
  const laid = lay(day.windows);
  const isWhole = (window) => shareOf(window.starts_at) === 0 && shareOf(window.ends_at) === 1;
  const lines = laid.map((window) =>
    say(t.windowEvery, { title: window.title, when: when(hass, t, day, window, isWhole(window)), every: span(hass, window.interval_s) }),
  );
  const label = say(t.dialAlt, {
    day: date(hass, now, day.time_zone),
    sun: sunWords(hass, t, day, momentOf),
    windows: lines.length ? lines.join("; ") : t.noWindows,
    now: clock(hass, now, day.time_zone),
  });
  const face = s(
    "svg",
    { viewBox: "-4 -4 228 228", role: "img", "aria-label": label },
    phases(day).map(([phase, from, to]) => s("path", { class: `sky ${phase}`, d: arc(from, to, SKY) })),
    s("circle", { class: "rim", cx: MIDDLE, cy: MIDDLE, r: SKY + 8 }),
    s("circle", { class: "rim", cx: MIDDLE, cy: MIDDLE, r: SKY - 8 }),
    laid.map((window) =>
      s("path", {
        class: `window ${Date.parse(window.ends_at) <= now ? "over" : ""}`,
        stroke: window.ink,
        d: arc(shareOf(window.starts_at), shareOf(window.ends_at), SKY - 17 - LANE * window.lane),
      }),
    ),
    hours(),
    s("line", { class: "hand", x1: point(at, 44)[0], y1: point(at, 44)[1], x2: point(at, SKY + 8)[0], y2: point(at, SKY + 8)[1] }),
    s("circle", { class: "knob", cx: point(at, SKY)[0], cy: point(at, SKY)[1], r: 5.5 }),
    s("text", { class: "time", x: MIDDLE, y: MIDDLE, "aria-hidden": "true" }, clock(hass, now, day.time_zone)),
  );
  return h("div", { class: "dial" }, face, list(hass, t, day, laid, now, isWhole));
}

function hours() {
  return HOURS.map((hour) => {
    const [x, y] = point(hour / 24, SKY + 15);
    return s("text", { x, y, "aria-hidden": "true" }, String(hour));
  });
}

function when(hass, t, day, window, isWhole) {
  return isWhole ? t.allDay : `${clock(hass, window.starts_at, day.time_zone)} – ${clock(hass, window.ends_at, day.time_zone)}`;
}

function list(hass, t, day, laid, now, isWhole) {
  if (!laid.length) {
    return h("p", { class: "when" }, t.noWindows);
  }
  const item = (window) => {
    const isOver = Date.parse(window.ends_at) <= now;
    const rules = !isOver && Date.parse(window.starts_at) <= now;
    return h(
      "li",
      {},
      h("span", { class: "swatch", style: `background:${window.ink}` }),
      h(
        "span",
        {},
        h("span", { class: rules ? "tag" : "" }, window.title, rules ? ` · ${t.ruling}` : isOver ? ` · ${t.over}` : ""),
        h("br"),
        h("span", { class: "when" }, `${when(hass, t, day, window, isWhole(window))} · ${span(hass, window.interval_s)}`),
      ),
    );
  };
  return h("ul", { class: "windows", "aria-label": t.windows }, laid.map(item));
}
