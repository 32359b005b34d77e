// A home as the frontend sees it: registries and states, as small as the dashboard needs them.

const UNITS = { power: "W", hashrate: "TH/s", chip_temperature_max: "°C", cost_per_hour: "EUR/h" };

const KEYS = {
  "sensor.status": "mining",
  "sensor.power": "3300",
  "sensor.hashrate": "110",
  "sensor.efficiency": "30",
  "sensor.chip_temperature_max": "91",
  "sensor.energy": "12.3",
  "sensor.fault": "none",
  "sensor.curtailment": "none",
  "sensor.curtailment_until": "unknown",
  "binary_sensor.problem": "off",
  "binary_sensor.write_access": "on",
  "switch.mining": "on",
  "number.power_target": "unknown",
  "number.power_limit": "3500",
  "select.power_mode": "normal",
  "button.restart_btminer": "unknown",
  "button.reboot": "unknown",
  "button.identify": "unknown",
};

/** Build a home with `count` miners; the names of the entities say nothing about what they are. */
export function home(count = 2, boards = 3) {
  const hass = { entities: {}, devices: {}, areas: {}, states: {}, language: "en", locale: { language: "en" } };
  for (let index = 0; index < count; index++) addMiner(hass, `device${index}`, `M50 ${index}`, boards);
  return hass;
}

export function addMiner(hass, device, name, boards = 3) {
  hass.devices[device] = { id: device, name, name_by_user: null, area_id: null };
  for (const [key, state] of Object.entries(KEYS)) addEntity(hass, device, key, state);
  for (let slot = boards - 1; slot >= 0; slot--) {
    addEntity(hass, device, "sensor.board_hashrate", `${30 + slot}`, { slot, unit_of_measurement: "TH/s" });
    addEntity(hass, device, "sensor.board_temperature", `${70 + slot}`, { slot, unit_of_measurement: "°C" });
  }
}

export function addEntity(hass, device, key, state, attributes = {}) {
  const [domain, translation_key] = key.split(".");
  const entity_id = `${domain}.e${Object.keys(hass.entities).length}`;
  hass.entities[entity_id] = { entity_id, platform: "whatsminer", device_id: device, translation_key, name: key };
  attributes = { unit_of_measurement: UNITS[translation_key], ...attributes };
  if (state !== undefined) hass.states[entity_id] = { entity_id, state, attributes };
  return entity_id;
}

/** Return the id of an entity. */
export function idOf(hass, key, device = "device0") {
  const [domain, translation_key] = key.split(".");
  return Object.values(hass.entities).find(
    (entity) =>
      entity.device_id === device &&
      entity.translation_key === translation_key &&
      entity.entity_id.startsWith(`${domain}.`),
  )?.entity_id;
}

export function set(hass, key, state, device = "device0") {
  hass.states[idOf(hass, key, device)].state = state;
}

/** Yield everything that names an entity in a configuration. */
export function* named(part) {
  if (Array.isArray(part)) for (const one of part) yield* named(one);
  else if (part && typeof part === "object") for (const one of Object.values(part)) yield* named(one);
  else if (typeof part === "string" && /^(binary_sensor|sensor|switch|number|select|button|climate|calendar)\.e\d+$/.test(part))
    yield part;
}

export const t = (key, values) => (values ? `${key} ${JSON.stringify(values)}` : key);
