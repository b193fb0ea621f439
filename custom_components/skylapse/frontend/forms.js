/* What the editors of the cards ask for, in the words of the user. */

import { camerasOf } from "./house.js";
import { date, words } from "./words.js";

/* The parts of a camera's card, in their order. */
export const PARTS = ["frame", "film", "badges", "buttons", "dial", "trace"];

function home() {
  return document.querySelector("home-assistant")?.hass;
}

/* The words of whoever looks at this page. */
export function here() {
  return words(home() || { language: document.documentElement.lang || navigator.language });
}

function cameraField() {
  const options = camerasOf(home()).map((each) => ({ value: each.device, label: each.name }));
  return { name: "device", selector: { select: { mode: "dropdown", options } } };
}

function labels(t) {
  return { device: t.optionDevice, name: t.optionName, show: t.optionShow, test: t.optionTest };
}

/* The form of the camera's card. */
export function cardForm() {
  const t = here();
  const part = { frame: t.partFrame, film: t.partFilm, badges: t.partBadges, buttons: t.partButtons, dial: t.partDial, trace: t.partTrace };
  const options = PARTS.map((value) => ({ value, label: part[value] }));
  return {
    schema: [
      cameraField(),
      { name: "name", selector: { text: {} } },
      { name: "show", selector: { select: { multiple: true, mode: "list", options } } },
    ],
    computeLabel: (field) => labels(t)[field.name] || field.name,
  };
}

/* The A/B tests to choose from; without an answer an id can be typed all the same. */
async function testField() {
  const hass = home();
  const cameras = new Map(camerasOf(hass).map((each) => [each.camera, each.name]));
  const name = (test) => [cameras.get(test.camera) || test.camera, test.name, date(hass, test.started_at)].join(" · ");
  const tests = await hass?.callWS({ type: "skylapse/ab_tests" }).then((answer) => answer.tests, () => []);
  const options = (tests || []).map((test) => ({ value: test.id, label: name(test) }));
  return { name: "test", selector: { select: { mode: "dropdown", custom_value: true, options } } };
}

/* The form of the card that compares. */
export async function compareForm() {
  const t = here();
  return {
    schema: [cameraField(), await testField(), { name: "name", selector: { text: {} } }],
    computeLabel: (field) => labels(t)[field.name] || field.name,
  };
}
