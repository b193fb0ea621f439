/* What there is of Skylapse in Home Assistant: cameras, and their entities by what they mean. */

const OURS = "skylapse";

function idOf(device) {
  const own = device && (device.identifiers || []).find((pair) => pair[0] === OURS);
  return own ? own[1] : null;
}

function nameOf(device) {
  return device.name_by_user || device.name || idOf(device);
}

/* Every camera that is there: device, `<bridge>/<camera>`, name; in the order of their names. */
export function camerasOf(hass) {
  return Object.values((hass && hass.devices) || {})
    .map((device) => ({ device: device.id, camera: idOf(device), name: nameOf(device) }))
    .filter((each) => each.camera && each.camera.includes("/"))
    .sort((one, other) => one.name.localeCompare(other.name));
}

/* The device that a card is about; without any, the first camera. */
export function deviceOf(hass, config) {
  if (config.device) {
    return config.device;
  }
  if (config.entity) {
    const entry = hass.entities[config.entity];
    return entry && entry.platform === OURS ? entry.device_id : null;
  }
  const [first] = camerasOf(hass);
  return first ? first.device : null;
}

/* The device of the processor. */
export function processorOf(hass) {
  const found = Object.values(hass.devices).find((device) => idOf(device) === "processor");
  return found ? found.id : null;
}

/* Entities by device, for as long as the registry is the same: a card looks for dozens with every state of the house. */
const filed = new WeakMap();

/* The entities of a device, enabled ones and shown ones. */
export function entitiesOf(hass, device) {
  if (!filed.has(hass.entities)) {
    const byDevice = new Map();
    for (const entry of Object.values(hass.entities).filter((each) => each.platform === OURS)) {
      byDevice.set(entry.device_id, [...(byDevice.get(entry.device_id) || []), entry]);
    }
    filed.set(hass.entities, byDevice);
  }
  return filed.get(hass.entities).get(device) || [];
}

/* An entity by domain and translation key, by device class where it has no key of its own. */
export function entityOf(hass, device, domain, key) {
  const found = entitiesOf(hass, device).find((entry) => {
    if (!entry.entity_id.startsWith(`${domain}.`)) {
      return false;
    }
    const state = hass.states[entry.entity_id];
    return entry.translation_key === key || (!entry.translation_key && state?.attributes.device_class === key);
  });
  return found ? found.entity_id : null;
}

/* The bridge of a camera. */
export function bridgeOf(hass, device) {
  const found = hass.devices[device];
  return found ? found.parent_device_id || found.via_device_id || null : null;
}

export function cameraOf(hass, device) {
  const found = hass.devices[device];
  return found ? { device, camera: idOf(found), name: nameOf(found) } : null;
}

/* A state that says something. */
export function known(hass, entity) {
  const state = entity ? hass.states[entity] : null;
  return state && state.state !== "unavailable" && state.state !== "unknown" ? state : null;
}

/* Whether the bridge or the processor is there: on, off, or unavailable while Home Assistant hears nobody. */
export function connectionOf(hass, device) {
  return hass.states[entityOf(hass, device, "binary_sensor", "connectivity")]?.state;
}

/* Whether it is known that a bridge or the processor is not there. */
export function isAway(hass, device) {
  return Boolean(device) && connectionOf(hass, device) === "off";
}
