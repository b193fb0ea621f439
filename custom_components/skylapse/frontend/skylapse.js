/* Skylapse in dashboards: two cards, a strategy, and what the pickers say of them. */

import { SkylapseCard } from "./card.js";
import { SkylapseCompareCard } from "./compare.js";
import { here } from "./forms.js";
import { camerasOf, deviceOf } from "./house.js";
import { SkylapseStrategy } from "./strategy.js";

const DOCUMENTATION = "https://github.com/skylapse-ha/skylapse/blob/main/docs/dashboard.md";

function define(tag, element) {
  if (!customElements.get(tag)) {
    customElements.define(tag, element);
  }
}

function offer(list, entry) {
  window[list] = window[list] || [];
  if (!window[list].some((known) => known.type === entry.type)) {
    window[list].push(entry);
  }
}

define("skylapse-card", SkylapseCard);
define("skylapse-compare-card", SkylapseCompareCard);
define("ll-strategy-dashboard-skylapse", SkylapseStrategy);

offer("customCards", {
  type: "skylapse-card",
  get name() {
    return here().cardName;
  },
  get description() {
    return here().cardDescription;
  },
  preview: true,
  documentationURL: DOCUMENTATION,
  getEntitySuggestion(hass, entityId) {
    const device = deviceOf(hass, { entity: entityId });
    const isCamera = camerasOf(hass).some((camera) => camera.device === device);
    return isCamera ? { config: { type: "custom:skylapse-card", device } } : null;
  },
});
offer("customCards", {
  type: "skylapse-compare-card",
  get name() {
    return here().compareName;
  },
  get description() {
    return here().compareDescription;
  },
  preview: true,
  documentationURL: DOCUMENTATION,
});
offer("customStrategies", {
  type: "skylapse",
  strategyType: "dashboard",
  name: "Skylapse",
  get description() {
    return here().strategyDescription;
  },
  documentationURL: DOCUMENTATION,
});
