/* strategy custom:skylapse: a dashboard of every camera, its A/B tests, the windows and the processor. */

import { camerasOf, entitiesOf, processorOf } from "./house.js";
import { words } from "./words.js";

const PICTURES = ["camera", "image", "event"];

function heading(text, icon) {
  return { type: "heading", heading: text, ...(icon ? { icon } : {}) };
}

function isShown(hass, entry) {
  return !entry.hidden && !PICTURES.includes(entry.entity_id.split(".")[0]) && entry.entity_id in hass.states;
}

function deviceSection(hass, device, title, icon) {
  const entities = entitiesOf(hass, device).filter((entry) => isShown(hass, entry)).map((entry) => ({ entity: entry.entity_id, name: { type: "entity" } }));
  return entities.length
    ? [{ type: "grid", cards: [heading(title, icon), { type: "entities", entities }] }]
    : [];
}

async function testedCameras(hass) {
  try {
    const { tests } = await hass.callWS({ type: "skylapse/ab_tests" });
    return new Set(tests.map((test) => test.camera));
  } catch {
    return new Set();
  }
}

function camerasView(t, cameras) {
  const section = (each) => ({
    type: "grid",
    cards: [{ type: "custom:skylapse-card", device: each.device, grid_options: { columns: "full" } }],
  });
  return {
    title: t.cameras,
    path: "cameras",
    icon: "mdi:cctv",
    type: "sections",
    max_columns: 3,
    sections: cameras.map(section),
    header: { card: { type: "markdown", text_only: true, content: t.filmsIn } },
  };
}

function testsView(t, cameras) {
  const card = (each) => ({ type: "custom:skylapse-compare-card", device: each.device, grid_options: { columns: "full" } });
  return {
    title: t.tests,
    path: "ab-tests",
    icon: "mdi:ab-testing",
    type: "sections",
    max_columns: 2,
    sections: cameras.map((each) => ({ type: "grid", cards: [card(each)] })),
  };
}

function windowsView(hass, t) {
  const calendars = Object.values(hass.entities)
    .filter((entry) => entry.platform === "skylapse" && entry.entity_id.startsWith("calendar."))
    .map((entry) => entry.entity_id);
  return calendars.length
    ? [{ title: t.windows, path: "windows", icon: "mdi:calendar-clock", type: "panel", cards: [{ type: "calendar", entities: calendars, initial_view: "listWeek" }] }]
    : [];
}

function systemView(hass, t, cameras) {
  const processor = processorOf(hass);
  const bridges = [...new Set(cameras.map((each) => hass.devices[each.device].parent_device_id))].filter(Boolean);
  const sections = [
    ...(processor ? deviceSection(hass, processor, t.processor, "mdi:server") : []),
    ...bridges.flatMap((bridge) => {
      const device = hass.devices[bridge];
      return device ? deviceSection(hass, bridge, device.name_by_user || device.name, "mdi:raspberry-pi") : [];
    }),
  ];
  return sections.length
    ? [{ title: t.processor, path: "system", icon: "mdi:server", type: "sections", max_columns: 3, sections }]
    : [];
}

export class SkylapseStrategy extends HTMLElement {
  static registryDependencies = ["devices", "entities"];

  static noEditor = true;

  static getCreateSuggestions() {
    return { title: "Skylapse", icon: "mdi:weather-sunset" };
  }

  static async generate(config, hass) {
    const t = words(hass);
    const only = config.devices;
    const cameras = camerasOf(hass).filter((each) => !only || only.includes(each.device));
    if (!cameras.length) {
      const welcome = { type: "markdown", content: t.welcome };
      return { views: [{ title: "Skylapse", cards: [welcome] }] };
    }
    const tested = await testedCameras(hass);
    const compared = cameras.filter((each) => tested.has(each.camera));
    return {
      views: [
        camerasView(t, cameras),
        ...(compared.length ? [testsView(t, compared)] : []),
        ...windowsView(hass, t),
        ...systemView(hass, t, cameras),
      ],
    };
  }
}
