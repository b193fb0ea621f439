/* The light of today as a line: what the house remembers of one figure of a camera. */

import { h, s } from "./dom.js";
import { entityOf } from "./house.js";
import { clock, figure, say } from "./words.js";

const WIDTH = 320;
const HEIGHT = 72;
const POINTS = 240;

/* Figures that are worth a line, best first; light is read in stops, so most are drawn as logarithms. */
const FIGURES = [
  ["scene_ev", false],
  ["illuminance", true],
  ["exposure", true],
];

export const TRACE_STYLE = `
  .trace svg { width: 100%; height: auto; display: block; overflow: visible; }
  .trace .line { fill: none; stroke: var(--primary-color, #0288d1); stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
  .trace .ground { stroke: var(--divider-color, #ccc); stroke-width: 1; vector-effect: non-scaling-stroke; }
  .trace .head, .trace .foot { display: flex; justify-content: space-between; gap: 8px; align-items: center; }
  .trace .foot { color: var(--secondary-text-color); font-size: 12px; }
  .trace .value { font-weight: 500; }
`;

/* The figures of a camera that there are: [{entity, name, isLog}]. */
export function figuresOf(hass, device) {
  return FIGURES.map(([key, isLog]) => ({ entity: entityOf(hass, device, "sensor", key), isLog }))
    .filter((each) => each.entity && hass.states[each.entity])
    .map((each) => ({ ...each, name: shortName(hass, device, each.entity) }));
}

function shortName(hass, device, entity) {
  const whole = hass.states[entity].attributes.friendly_name || entity;
  const of = hass.devices[device]?.name_by_user || hass.devices[device]?.name || "";
  return whole.startsWith(`${of} `) ? whole.slice(of.length + 1) : whole;
}

/* What the house remembers of an entity since a moment: [[milliseconds, value]], oldest first. */
export async function remember(hass, entity, since) {
  if (!hass.config.components.includes("history")) {
    return [];
  }
  const answer = await hass.callWS({
    type: "history/history_during_period",
    start_time: since.toISOString(),
    entity_ids: [entity],
    minimal_response: true,
    no_attributes: true,
    significant_changes_only: false,
  });
  return (answer[entity] || [])
    .map((each) => [Math.max(each.lu * 1000, since.getTime()), Number.parseFloat(each.s)])
    .filter(([, value]) => Number.isFinite(value));
}

/* Keep one reading for each step of the line. */
export function thinned(readings) {
  if (readings.length <= POINTS) {
    return readings;
  }
  const first = readings[0][0];
  const step = (readings[readings.length - 1][0] - first) / POINTS;
  const kept = new Map(readings.map((reading) => [Math.floor((reading[0] - first) / step), reading]));
  return [...kept.values()];
}

/* Draw the line. */
export function drawTrace(hass, t, chosen, readings) {
  const state = hass.states[chosen.entity];
  const unit = state?.attributes.unit_of_measurement || "";
  if (readings.length < 2) {
    return h("p", { class: "quiet" }, t.noTrace);
  }
  const values = readings.map(([, value]) => value);
  const [low, high] = [Math.min, Math.max].map((find) => values.reduce((one, other) => find(one, other)));
  const height = (value) => (chosen.isLog ? Math.log2(Math.max(value, 1e-3)) : value);
  const [ground, top] = [height(low), height(high)];
  const [from, to] = [readings[0][0], readings[readings.length - 1][0]];
  const across = (moment) => (((moment - from) / (to - from || 1)) * WIDTH).toFixed(1);
  const up = (value) => (HEIGHT - 4 - ((height(value) - ground) / (top - ground || 1)) * (HEIGHT - 8)).toFixed(1);
  const points = thinned(readings).map(([moment, value]) => `${across(moment)},${up(value)}`);
  const last = values[values.length - 1];
  const told = { name: chosen.name, from: clock(hass, from), to: clock(hass, to), unit };
  const figures = { low: figure(hass, low), high: figure(hass, high), last: figure(hass, last) };
  return h(
    "div",
    {},
    h("div", { class: "foot" }, h("span", {}, `${figures.low} – ${figures.high} ${unit}`), h("span", { class: "value" }, `${figures.last} ${unit}`)),
    s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": say(t.traceAlt, { ...told, ...figures }) },
      s("line", { class: "ground", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }),
      s("polyline", { class: "line", points: points.join(" ") }),
    ),
    h("div", { class: "foot" }, h("span", {}, told.from), h("span", {}, told.to)),
  );
}
