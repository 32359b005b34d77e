/* The WhatsMiner dashboard: strategies that build it, and the cards Home Assistant has no equal for.
 *
 * The upper half is pure: from `hass` (registries and states) to the configuration of views. The lower half
 * registers the elements. Everything is found by device and translation key, so names, languages and entity ids
 * do not matter, and an entity that appears later is used as soon as it exists.
 */

const DOMAIN = "whatsminer";
const LIST_FROM = 8; // with so many miners the overview is a list
const NO_STATE = ["unavailable", "unknown"];

// Miners and their entities

/** Return the miners that have entities, sorted by area and name; `chosen` narrows them to some devices. */
export function findMiners(hass, chosen) {
  const miners = new Map();
  for (const entity of Object.values(hass.entities)) {
    if (entity.platform !== DOMAIN || !entity.device_id) continue;
    const device = hass.devices[entity.device_id];
    if (!device || device.entry_type === "service") continue;
    if (chosen?.length && !chosen.includes(device.id)) continue;
    if (!miners.has(device.id)) miners.set(device.id, describe(hass, device));
    const { ids, hidden } = miners.get(device.id);
    // Connectivity has the name of its device class, and no key of its own.
    const name = entity.translation_key ?? hass.states[entity.entity_id]?.attributes.device_class;
    const key = `${entity.entity_id.split(".")[0]}.${name}`;
    (ids[key] ??= []).push(entity.entity_id);
    if (entity.hidden) hidden.add(entity.entity_id);
  }
  const sorted = [...miners.values()].filter((miner) => miner.ids["sensor.status"]);
  sorted.sort((a, b) => compare(a.area, b.area) || compare(a.name, b.name));
  return withPaths(sorted);
}

function describe(hass, device) {
  return {
    id: device.id,
    name: device.name_by_user || device.name || device.id,
    area: hass.areas?.[device.area_id]?.name ?? "",
    ids: {},
    hidden: new Set(),
  };
}

function compare(a, b) {
  return a.localeCompare(b, undefined, { numeric: true });
}

/** Give each miner an address of its own: its name as far as an address allows. */
function withPaths(miners) {
  const taken = new Set(["overview"]);
  for (const miner of miners) {
    const slug = miner.name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
    miner.path = slug && !taken.has(slug) && !/^\d+$/.test(slug) ? slug : `miner-${miner.id}`;
    taken.add(miner.path);
  }
  return miners;
}

/** Return the entity of a miner, such as `sensor.power`, if the user did not hide or disable it. */
function visible(hass, miner, key) {
  return miner.ids[key]?.find((id) => hass.states[id] && !miner.hidden.has(id));
}

/** Return the state object of an entity, hidden or not. */
function stateOf(hass, miner, key) {
  return hass.states[miner.ids[key]?.[0]];
}

/** Return a number, or null for everything that is none; power in W and temperatures in °C. */
export function numberOf(state) {
  if (!state || state.state === "" || NO_STATE.includes(state.state)) return null;
  const value = Number(state.state);
  if (!Number.isFinite(value)) return null;
  switch (state.attributes.unit_of_measurement) {
    case "mW":
      return value / 1000;
    case "kW":
      return value * 1000;
    case "MW":
      return value * 1e6;
    case "°F":
      return (value - 32) / 1.8;
    case "K":
      return value - 273.15;
    default:
      return value;
  }
}

/** Return the ids of our entities that are registered but have no state yet. */
export function missingStates(hass) {
  return Object.values(hass.entities)
    .filter((entity) => entity.platform === DOMAIN && !hass.states[entity.entity_id])
    .map((entity) => entity.entity_id);
}

/** Return the groups of miners, each with the ids of its entities that are shown, controls first. */
export function findGroups(hass) {
  const groups = new Map();
  for (const entity of Object.values(hass.entities)) {
    const device = entity.platform === DOMAIN && hass.devices[entity.device_id];
    if (!device || device.entry_type !== "service") continue;
    if (entity.hidden || entity.entity_category || !hass.states[entity.entity_id]) continue;
    if (!groups.has(device.id)) groups.set(device.id, { name: describe(hass, device).name, ids: [] });
    groups.get(device.id).ids.push(entity.entity_id);
  }
  const order = ["climate", "switch", "number", "select", "button", "binary_sensor", "sensor"];
  const rank = (id) => order.indexOf(id.split(".")[0]);
  for (const group of groups.values()) group.ids.sort((a, b) => rank(a) - rank(b));
  return [...groups.values()].sort((a, b) => compare(a.name, b.name));
}

// What is wrong with a miner, worst first

export const LEVELS = ["fault", "offline", "no_access", "stopped", "curtailed", "busy", "mining"];
const COLORS = {
  fault: "red",
  offline: "red",
  no_access: "orange",
  stopped: "orange",
  curtailed: "amber",
  busy: "blue",
  mining: "green",
};

/** Return the level of a miner: one of LEVELS. */
export function levelOf(hass, miner) {
  const is = (key, value) => stateOf(hass, miner, key)?.state === value;
  const status = stateOf(hass, miner, "sensor.status")?.state ?? "unavailable";
  const curtailment = stateOf(hass, miner, "sensor.curtailment")?.state ?? "none";
  if (is("binary_sensor.problem", "on")) return "fault";
  if (is("binary_sensor.connectivity", "off") || NO_STATE.includes(status)) return "offline";
  if (is("binary_sensor.write_access", "off")) return "no_access";
  if (!["none", ...NO_STATE].includes(curtailment)) return "curtailed";
  if (status === "stopped") return "stopped";
  return status === "mining" ? "mining" : "busy";
}

/** Sort miners by what is wrong, then as they were. */
export function worstFirst(hass, miners) {
  const rank = (miner) => LEVELS.indexOf(levelOf(hass, miner));
  return [...miners].sort((a, b) => rank(a) - rank(b));
}

// Totals

/** Add up what is known: the sum (null if nothing is known), of how many, and their common unit. */
export function sumOf(hass, miners, key) {
  let sum = null;
  let count = 0;
  const units = new Set();
  for (const miner of miners) {
    const state = stateOf(hass, miner, key);
    const value = numberOf(state);
    if (value === null) continue;
    sum = (sum ?? 0) + value;
    count += 1;
    units.add(state.attributes.unit_of_measurement);
  }
  return { sum, count, unit: units.size === 1 ? [...units][0] : null };
}

/** Return the cells of the totals; `today` holds what statistics say of the day. */
export function totalCells(hass, miners, t, today = {}) {
  const cells = [];
  const add = (key, icon, color, value, unit, digits, count) =>
    cells.push({ key, icon, color, label: t(key), value, unit, digits, count });
  const mining = miners.filter((miner) => stateOf(hass, miner, "sensor.status")?.state === "mining").length;
  add("mining_now", "mdi:pickaxe", mining === miners.length ? "green" : "orange", mining, `/ ${miners.length}`, 0);
  const power = sumOf(hass, miners, "sensor.power");
  add("power", "mdi:flash", "amber", kilo(power.sum), "kW", 2, power.count);
  const hashrate = sumOf(hass, miners, "sensor.hashrate");
  add("hashrate", "mdi:chip", "deep-purple", hashrate.sum, "TH/s", 1, hashrate.count);
  add("efficiency", "mdi:speedometer", "teal", jointEfficiency(hass, miners), "J/TH", 1);
  for (const [key, icon, color] of [
    ["cost_per_hour", "mdi:cash-minus", "red"],
    ["revenue_per_hour", "mdi:cash-plus", "green"],
    ["margin_per_hour", "mdi:scale-balance", "blue"],
  ]) {
    if (!miners.some((miner) => miner.ids[`sensor.${key}`])) continue;
    const { sum, count, unit } = sumOf(hass, miners, `sensor.${key}`);
    add(key, icon, color, unit ? sum : null, unit ?? "", 3, count);
  }
  for (const [key, icon, color, digits] of [
    ["energy", "mdi:counter", "amber", 1],
    ["cost", "mdi:cash-minus", "red", 2],
    ["revenue", "mdi:cash-plus", "green", 2],
  ]) {
    const found = today[key];
    if (found) add(`${key}_today`, icon, color, found.sum, found.unit, digits, found.count);
  }
  return cells;
}

function kilo(watts) {
  return watts === null ? null : watts / 1000;
}

/** Return J/TH of the miners together: of those whose power and hashrate are both known. */
function jointEfficiency(hass, miners) {
  let power = 0;
  let hashrate = 0;
  for (const miner of miners) {
    const watts = numberOf(stateOf(hass, miner, "sensor.power"));
    const rate = numberOf(stateOf(hass, miner, "sensor.hashrate"));
    if (watts === null || rate === null) continue;
    power += watts;
    hashrate += rate;
  }
  return hashrate > 0 ? power / hashrate : null;
}

// Boards

/** Return one object per board, in the order of their slots. */
export function boardCells(hass, miner) {
  const boards = new Map();
  for (const [part, key] of [
    ["hashrate", "sensor.board_hashrate"],
    ["temperature", "sensor.board_temperature"],
    ["chip", "sensor.board_chip_temperature_max"],
  ]) {
    (miner.ids[key] ?? []).forEach((id, position) => {
      const state = hass.states[id];
      if (!state || miner.hidden.has(id)) return;
      const slot = state.attributes.slot ?? position;
      if (!boards.has(slot)) boards.set(slot, { slot });
      boards.get(slot)[part] = state;
    });
  }
  return [...boards.values()].sort((a, b) => a.slot - b.slot);
}

/** Return the colour of a temperature: blue up to 40 °C, green, yellow, red from 95 °C. */
export function heat(celsius) {
  if (celsius === null) return "var(--grey-color)";
  const share = Math.min(1, Math.max(0, (celsius - 40) / 55));
  return `hsl(${Math.round(210 * (1 - share))} 80% 45%)`;
}

// Cards

/** Return the helpers that make cards of one miner; a card is undefined where its entity does not exist. */
function maker(hass, miner, options) {
  const id = (key) => visible(hass, miner, key);
  const tile = (key, color, more = {}) =>
    id(key) && {
      type: "tile",
      entity: id(key),
      name: { type: "entity" },
      color,
      ...(isLong(more.name ?? nameOf(hass, id(key))) && wide),
      ...more,
    };
  const trend = (key, color) =>
    tile(key, color, options.graphs && { features: [{ type: "trend-graph", hours_to_show: options.hours }] });
  const when = (card, ...conditions) => card && { ...card, visibility: conditions };
  return { id, tile, trend, when };
}

const THERMOSTAT = [{ type: "target-temperature" }, { type: "climate-hvac-modes", style: "icons" }];
const gauge = (max) => ({ type: "bar-gauge", min: 0, max });
const wide = { grid_options: { columns: 12 } };
const LONGEST_NAME = 15;
const withReason = { state_content: ["state", "reason"], ...wide };
const inline = { features_position: "inline", ...wide };
// "Not set" in place of "Unknown" while there is no target; without that attribute a tile shows the state.
const slider = { state_content: ["target"], features: [{ type: "numeric-input", style: "slider" }], ...inline };

const is = (entity, state) => ({ condition: "state", entity, state });
const isNot = (entity, state) => ({ condition: "state", entity, state_not: state });

// Only faults that last and that a user can fix are in the repairs; the page would say nothing of others.
const inRepairs = (problem) => ({ condition: "state", entity: problem, attribute: "repair", state: "true" });

/** Return cards that exist, or nothing where there is only a heading. */
function group(heading, cards) {
  const there = cards.filter(Boolean);
  return there.length ? [heading, ...there] : [];
}

const title = (heading, icon, more) => ({ type: "heading", heading, icon, ...more });
const subtitle = (heading, icon) => ({ type: "heading", heading, icon, heading_style: "subtitle" });

const STATUS_COLORS = [
  ["green", ["mining"]],
  ["blue", ["tuning", "starting", "restarting"]],
  ["orange", ["stopped"]],
  ["red", NO_STATE],
];

/** Return badges that show the status, each in the colour of its states. */
function statusBadges(hass, miner, more = {}) {
  const status = visible(hass, miner, "sensor.status");
  if (!status) return [];
  return STATUS_COLORS.map(([color, states]) => ({
    type: "entity",
    entity: status,
    color,
    ...more,
    visibility: [is(status, states)],
  }));
}

/** Return what only shows while something is wrong or limited: faults, no connection, no access, a curtailment. */
export function noticeCards(hass, miner, options, t) {
  const { id, tile, when } = maker(hass, miner, options);
  const [problem, fault] = [id("binary_sensor.problem"), id("sensor.fault")];
  const [link, access] = [id("binary_sensor.connectivity"), id("binary_sensor.write_access")];
  const [curtailment, until] = [id("sensor.curtailment"), id("sensor.curtailment_until")];
  const none = ["none", ...NO_STATE];
  const curtailed = curtailment && isNot(curtailment, none);
  const reason = id("sensor.curtailment_reason");
  const [status, stop] = [id("sensor.status"), id("sensor.stop_reason")];
  const uncurtailed = curtailment ? [is(curtailment, none)] : [];
  return [
    problem && fault && when(faultCard(fault), is(problem, "on")),
    problem && fault && when(tile("binary_sensor.problem", "red", repairsLink(t)), is(problem, "on"), inRepairs(problem)),
    link && when(tile("binary_sensor.connectivity", "red", withReason), is(link, "off")),
    access && when(tile("binary_sensor.write_access", "orange", wide), is(access, "off")),
    status && stop && when(tile("sensor.stop_reason", "orange", wide), is(status, "stopped"), isNot(stop, none), ...uncurtailed),
    curtailed && when(tile("sensor.curtailment", "amber", reason ? wide : withReason), curtailed),
    curtailed && reason && when(tile("sensor.curtailment_reason", "amber", wide), curtailed, isNot(reason, none)),
    curtailed && until && when(tile("sensor.curtailment_until", "amber", wide), curtailed, isNot(until, NO_STATE)),
    curtailed && when(tile("button.resume", "amber", { hide_state: true, features: [{ type: "button" }], ...inline }), curtailed),
  ].filter(Boolean);
}

function faultCard(fault) {
  const faults = `{{ states('${fault}').split('; ') | map('escape') | join('<br>') }}`;
  const content = `<ha-alert alert-type="error">${faults}</ha-alert>`;
  return { type: "markdown", text_only: true, content, grid_options: { columns: "full" } };
}

function repairsLink(t) {
  const tap_action = { action: "navigate", navigation_path: "/config/repairs" };
  return { name: t("what_to_do"), icon: "mdi:wrench", hide_state: true, tap_action, icon_tap_action: { action: "none" }, ...wide };
}

/** Return the heat map of the boards, if the miner has reported any. */
function boardsCard(hass, miner) {
  const card = { type: `custom:${DOMAIN}-boards`, miner: miner.id, grid_options: { columns: "full" } };
  return boardCells(hass, miner).length > 0 && card;
}

/** Return the controls that do not interrupt mining. */
export function controlCards(hass, miner, options) {
  const { tile } = maker(hass, miner, options);
  return [
    tile("switch.mining", "green", { features: [{ type: "toggle" }], ...inline }),
    tile("number.power_target", "amber", slider),
    tile("select.power_source", "amber", { features: [{ type: "select-options" }], ...inline }),
    tile("climate.thermostat", "deep-orange", { features: THERMOSTAT, ...wide }),
    tile("sensor.heating_status", "deep-orange", wide),
  ];
}

/** Return the controls that restart mining, each asking first. */
export function restartCards(hass, miner, options, t) {
  const { id, tile } = maker(hass, miner, options);
  const confirmation = (text) => ({ title: miner.name, text: t(text) });
  const set = (key) =>
    tile(key, "orange", {
      tap_action: { action: "more-info", confirmation: confirmation("confirm_setting") },
      icon_tap_action: { action: "none" },
    });
  const press = (key, icon, text) =>
    id(key) && {
      type: "tile",
      entity: id(key),
      name: { type: "entity" },
      icon,
      color: "orange",
      hide_state: true,
      icon_tap_action: { action: "none" },
      tap_action: {
        action: "perform-action",
        perform_action: "button.press",
        target: { entity_id: id(key) },
        confirmation: confirmation(text),
      },
      ...wide, // the name says what it does
    };
  return [
    set("number.power_limit"),
    set("select.power_mode"),
    press("button.restart_btminer", "mdi:restart", "confirm_restart"),
    press("button.reboot", "mdi:power-cycle", "confirm_reboot"),
  ];
}

function sectionOf(cards, span = 1) {
  return { type: "grid", column_span: span, cards: withoutGaps(cards.flat().filter(Boolean)) };
}

/** Two tiles stand side by side; widen the last of an odd row of them. */
export function withoutGaps(cards) {
  let row = 0;
  return cards.map((card, index) => {
    const narrow = (other) => other?.type === "tile" && !other.grid_options;
    row = narrow(card) ? row + 1 : 0;
    return row % 2 && !narrow(cards[index + 1]) ? { ...card, ...wide } : card;
  });
}

// The overview

/** Return the section of one miner in the overview. */
export function minerSection(hass, miner, options, t) {
  const { tile, trend } = maker(hass, miner, options);
  const heading = title(miner.name, "mdi:pickaxe", {
    tap_action: { action: "navigate", navigation_path: miner.path },
    badges: statusBadges(hass, miner),
  });
  return sectionOf([
    heading,
    noticeCards(hass, miner, options, t),
    controlCards(hass, miner, options),
    tile("sensor.power_decided_by", "amber", wide),
    trend("sensor.power", "amber"),
    trend("sensor.hashrate", "deep-purple"),
    tile("sensor.efficiency", "teal"),
    tile("sensor.chip_temperature_max", "deep-orange", { name: t("hottest_chip") }),
    tile("sensor.margin_per_hour", "green"),
    tile("sensor.energy", "amber"),
    boardsCard(hass, miner),
  ]);
}

const GROUP_COLORS = {
  thermostat: "deep-orange",
  power: "amber",
  power_target: "amber",
  hashrate: "deep-purple",
  efficiency: "teal",
  cost_per_hour: "red",
  revenue_per_hour: "green",
  margin_per_hour: "blue",
  miners_mining: "green",
  mining: "green",
  energy: "amber",
};

/** Return the section of a group: its controls, then what its miners do together. */
function groupSection(hass, { name, ids }) {
  const features = {
    climate: { features: THERMOSTAT, ...wide },
    switch: { features: [{ type: "toggle" }], ...inline },
    number: slider,
    select: { features: [{ type: "select-options" }], ...inline },
  };
  const cards = ids.map((entity) => ({
    type: "tile",
    entity,
    name: { type: "entity" },
    color: GROUP_COLORS[hass.entities[entity].translation_key?.replace(/^group_/, "")],
    ...features[entity.split(".")[0]],
  }));
  return sectionOf([title(name, "mdi:group"), cards]);
}

/** Return the graphs of several miners together. */
export function graphSection(hass, miners, options, t) {
  if (!options.graphs) return [];
  const named = (key) =>
    miners
      .filter((miner) => visible(hass, miner, key))
      .map((miner) => ({ entity: visible(hass, miner, key), name: miner.name }));
  const graph = (heading, entities) =>
    entities.length && {
      type: "history-graph",
      title: heading,
      hours_to_show: options.hours,
      entities,
      ...wide,
    };
  const power = named("sensor.power");
  const cards = [
    power.length > 1 && { type: "distribution", title: t("share_of_power"), entities: power, grid_options: { columns: "full" } },
    graph(t(priceOf(hass, miners) ? "power_and_price" : "power"), [...power, ...priceGraph(hass, miners, t)]),
    graph(t("states"), named("sensor.status")),
    energyCard(named("sensor.energy"), t),
    ...miners.map((miner) => planCard(hass, miner)),
  ];
  return group(title(t("all_miners"), "mdi:chart-line"), cards);
}

function energyCard(entities, t) {
  return (
    entities.length > 0 && {
      type: "statistics-graph",
      title: t("energy_per_day"),
      entities,
      stat_types: ["change"],
      period: "day",
      days_to_show: 7,
      chart_type: "bar",
      hide_legend: entities.length > 6,
      ...wide,
    }
  );
}

/** Return the steps of a plan: when each begins and ends (ms), its percent of the power and its price. */
export function planSteps(state) {
  const steps = (state?.attributes.steps ?? [])
    .map(({ start, percent, price }) => ({ start: Date.parse(start), percent, price }))
    .filter(({ start, percent }) => Number.isFinite(start) && Number.isFinite(percent));
  const last = steps.at(-1)?.start - steps.at(-2)?.start || 3_600_000;
  return steps.map((step, index) => ({ ...step, end: steps[index + 1]?.start ?? step.start + last }));
}

/** Return the unit of the prices in a plan, such as `EUR/kWh`, if it is known. */
export function planUnit(hass, miner) {
  return stateOf(hass, miner, "sensor.cost_per_hour")?.attributes.unit_of_measurement?.replace(/h$/, "kWh");
}

function planCard(hass, miner) {
  return (
    visible(hass, miner, "sensor.plan_status") && {
      type: `custom:${DOMAIN}-plan`,
      miner: miner.id,
      ...wide,
    }
  );
}

/** Return the price of electricity that the miners are reckoned with, if they all have the same one. */
function priceOf(hass, miners) {
  const prices = new Set(
    miners
      .flatMap((miner) => ["sensor.cost_per_hour", "sensor.break_even_price"].map((key) => stateOf(hass, miner, key)))
      .map((state) => state?.attributes.price_sensor)
      .filter(Boolean),
  );
  const [price] = prices;
  return prices.size === 1 && hass.states[price] ? price : undefined;
}

function priceGraph(hass, miners, t) {
  const price = priceOf(hass, miners);
  return price ? [{ entity: price, name: t("price") }] : [];
}

/** Return the view of all miners. */
export function overviewView(hass, miners, options, t) {
  const base = { type: "sections", title: t("overview"), path: "overview", icon: "mdi:pickaxe" };
  Object.assign(base, { show_icon_and_title: true, max_columns: 4 });
  if (!miners.length) return { ...base, sections: [emptySection(t)] };
  const chosen = options.miners?.length ? { miners: options.miners } : {};
  const full = { grid_options: { columns: "full" } };
  const sections = [];
  if (miners.length > 1) {
    sections.push(sectionOf([{ type: `custom:${DOMAIN}-totals`, ...chosen, ...full }], 4));
  }
  if (miners.length < LIST_FROM) {
    sections.push(...miners.map((miner) => minerSection(hass, miner, options, t)));
  } else {
    sections.push(sectionOf([{ type: `custom:${DOMAIN}-list`, ...chosen, ...full }], 4));
  }
  const groups = options.miners?.length ? [] : findGroups(hass);
  sections.push(...groups.map((group) => groupSection(hass, group)));
  const graphs = graphSection(hass, miners, options, t);
  // Beside one or two columns, else below them.
  if (graphs.length) sections.push(sectionOf(graphs, [2, 1][miners.length + groups.length - 1] ?? 4));
  return { ...base, sections };
}

function emptySection(t) {
  const open = { action: "navigate", navigation_path: "/config/integrations/dashboard/add?domain=whatsminer" };
  return sectionOf([
    title(t("no_miners"), "mdi:pickaxe"),
    { type: "button", name: t("add_miner"), icon: "mdi:plus", tap_action: open, ...wide },
  ]);
}

// The view of one miner

/** Return the view of one miner. */
export function minerView(hass, miner, options, t, subview = false) {
  return {
    type: "sections",
    title: miner.name,
    path: miner.path,
    icon: "mdi:pickaxe",
    show_icon_and_title: true,
    ...(subview && { subview }),
    max_columns: 4,
    badges: statusBadges(hass, miner, { show_name: false }),
    sections: [controlSection, healthSection, moneySection, historySection]
      .map((make) => make(hass, miner, options, t))
      .filter((section) => section.cards.length),
  };
}

function controlSection(hass, miner, options, t) {
  const { tile } = maker(hass, miner, options);
  const slider = { features: [{ type: "numeric-input", style: "slider" }], ...inline };
  const soft = [
    ...controlCards(hass, miner, options),
    tile("number.power_percent", "amber", slider),
    tile("sensor.power_target_way", "grey") ?? tile("sensor.power_target_status", "grey"),
    tile("sensor.power_decided_by", "amber"),
    tile("button.identify", "blue", { hide_state: true, features: [{ type: "button" }], ...inline }),
  ];
  return sectionOf([
    group(title(t("controls"), "mdi:tune"), [...noticeCards(hass, miner, options, t), ...soft]),
    group(subtitle(t("restarts_mining"), "mdi:restart-alert"), restartCards(hass, miner, options, t)),
  ]);
}

function healthSection(hass, miner, options, t) {
  const { tile, trend } = maker(hass, miner, options);
  return sectionOf(
    group(title(t("health"), "mdi:heart-pulse"), [
      trend("sensor.power", "amber"),
      trend("sensor.hashrate", "deep-purple"),
      boardsCard(hass, miner),
      tile("sensor.chip_temperature_max", "deep-orange", { name: t("hottest_chip"), features: [gauge(120)] }),
      tile("sensor.efficiency", "teal", { features: [gauge(60)] }),
      tile("sensor.temperature", "orange"),
      tile("sensor.environment_temperature", "blue"),
      tile("sensor.liquid_temperature", "cyan"),
      tile("sensor.fan_speed_in", "cyan"),
      tile("sensor.fan_speed_out", "cyan"),
      tile("sensor.psu_fan_speed", "cyan"),
      tile("sensor.psu_temperature", "orange"),
      tile("sensor.psu_input_power", "amber"),
      tile("sensor.reject_rate", "pink"),
      tile("sensor.mining_uptime", "grey"),
      tile("sensor.pool", "blue", wide),
    ]),
  );
}

function moneySection(hass, miner, options, t) {
  const { id, tile, when } = maker(hass, miner, options);
  const keys = ["cost_per_hour", "revenue_per_hour", "margin_per_hour", "break_even_price"];
  const colors = ["red", "green", "blue", "teal"];
  const priced = keys.some((key) => miner.ids[`sensor.${key}`]);
  // What is known only after the miner has mined for a while; until then the curve's card says so.
  const learned = (key) => id(key) && when(tile(key, "teal", wide), isNot(id(key), NO_STATE));
  return sectionOf(
    group(title(t("economics"), "mdi:cash-multiple"), [
      ...keys.map((key, index) => tile(`sensor.${key}`, colors[index])),
      tile("sensor.cost_total", "red"),
      tile("sensor.revenue_total", "green"),
      ...Object.keys(miner.ids)
        .filter((key) => key.startsWith("sensor.saved"))
        .map(learned),
      learned("sensor.most_profitable_power"),
      learned("sensor.sweet_spot_power"),
      tile("sensor.energy", "amber", priced ? {} : wide),
      !priced && { type: "markdown", text_only: true, content: t("no_prices"), ...wide },
      tile("sensor.plan_status", "amber"),
      tile("sensor.plan_next_change", "amber"),
      options.graphs && planCard(hass, miner),
      options.graphs && curveCard(hass, miner),
    ]),
  );
}

/** Return the levels of the learned curve: W, J/TH and how sure each is, in the order of their power. */
export function curveLevels(state) {
  return (state?.attributes.curve ?? [])
    .filter(({ power, hashrate }) => power > 0 && hashrate > 0)
    .map(({ percent, power, hashrate, certainty }) => ({ percent, power, efficiency: power / hashrate, certainty }))
    .sort((a, b) => a.power - b.power);
}

function curveCard(hass, miner) {
  return (
    visible(hass, miner, "sensor.profile_state") && {
      type: `custom:${DOMAIN}-curve`,
      miner: miner.id,
      ...wide,
    }
  );
}

function historySection(hass, miner, options, t) {
  if (!options.graphs) return sectionOf([]);
  const { id } = maker(hass, miner, options);
  const graph = (heading, entities) => {
    const there = entities.filter((entity) => entity.entity);
    return there.length > 0 && {
      type: "history-graph",
      title: heading,
      hours_to_show: options.hours,
      entities: there,
      ...wide,
    };
  };
  const own = (key) => ({ entity: id(key), name: nameOf(hass, id(key)) });
  const price = priceGraph(hass, [miner], t);
  const energy = id("sensor.energy") && energyCard([{ entity: id("sensor.energy"), name: miner.name }], t);
  const states = graph(t("states"), [own("sensor.status"), own("sensor.curtailment")]);
  return sectionOf(
    group(title(t("history"), "mdi:history"), [
      graph(t("power"), [own("sensor.power")]),
      price.length > 0 && graph(t("price"), [...price, own("sensor.break_even_price")]),
      graph(t("hashrate"), [own("sensor.hashrate")]),
      graph(t("temperatures"), [own("sensor.chip_temperature_max"), own("sensor.temperature")]),
      energy,
      states && { ...states, grid_options: { columns: price.length ? 12 : 24 } },
    ]),
    4,
  );
}

/** Return whether half a tile would cut off a name; a Chinese letter is as wide as two. */
export function isLong(name = "") {
  return [...name].reduce((width, letter) => width + (letter > "\u2e80" ? 2 : 1), 0) > LONGEST_NAME;
}

/** Return the name of an entity without that of its device. */
function nameOf(hass, id) {
  return hass.entities[id]?.name ?? hass.states[id]?.attributes.friendly_name;
}

// Strategies

/** Return the options of a dashboard or view, with what is not given filled in. */
export function optionsOf(config = {}) {
  const hours = Number(config.hours);
  return {
    miners: config.miners,
    graphs: config.graphs !== false,
    hours: hours > 0 ? Math.min(hours, 168) : 24,
  };
}

/** Return the whole dashboard: the overview and a view for each miner. */
export function dashboardConfig(hass, config, t) {
  const options = optionsOf(config);
  const miners = findMiners(hass, options.miners);
  // So many tabs would be no help: the rows of the list lead to the views, and each has a way back.
  const subview = miners.length >= LIST_FROM;
  const views = miners.map((miner) => minerView(hass, miner, options, t, subview));
  return { views: [overviewView(hass, miners, options, t), ...views] };
}

/** Return one view: of the miner that `miner` names, else the overview. */
export function viewConfig(hass, config, t) {
  const options = optionsOf(config);
  const wanted = config.miner ? [config.miner] : options.miners;
  const miners = findMiners(hass, wanted);
  const { title: _title, path: _path, icon: _icon, ...view } =
    config.miner && miners.length
      ? minerView(hass, miners[0], options, t)
      : overviewView(hass, miners, options, t);
  return view;
}

let loading = {};

/** Return a function that finds a text of the dashboard, or the name of a sensor, in the user's language. */
export function texts(hass) {
  // Asked again while it loads, the page answers immediately, and without the texts: ask once.
  const { connection, language } = hass;
  if (loading.connection !== connection || loading.language !== language)
    loading = { connection, language, texts: load(hass) };
  return loading.texts;
}

async function load(hass) {
  try {
    await hass.loadBackendTranslation("entity", DOMAIN);
    const localize = await hass.loadBackendTranslation("common", DOMAIN);
    return (key, values) =>
      localize(`component.${DOMAIN}.common.${key}`, values) ||
      localize(`component.${DOMAIN}.entity.sensor.${key}.name`) ||
      key;
  } catch (error) {
    loading = {};
    throw error;
  }
}

/** Return a number as the user writes them. */
export function formatNumber(hass, value, digits) {
  const formats = { comma_decimal: "en-US", decimal_comma: "de", space_comma: "fr", quote_decimal: "de-CH" };
  const format = hass.locale?.number_format;
  const language = formats[format] ?? (format === "system" ? undefined : hass.locale?.language);
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: format !== "none" };
  try {
    return new Intl.NumberFormat(format === "none" ? "en-US" : language, options).format(value);
  } catch {
    return new Intl.NumberFormat(undefined, options).format(value);
  }
}

// Elements

const STYLE = `
  :host { display: block; }
  ha-card { height: 100%; box-sizing: border-box; padding: 12px; }
  .muted { color: var(--secondary-text-color); font-size: 12px; }
  .cells { display: grid; gap: 8px; }
  .cell { display: flex; align-items: center; gap: 10px; padding: 4px; min-width: 0; }
  .cell > div { min-width: 0; }
  .icon { flex: none; display: grid; place-items: center; width: 36px; height: 36px; border-radius: 18px;
    color: var(--c); background: color-mix(in srgb, var(--c) 20%, transparent); }
  .value { font-size: 20px; font-weight: 500; line-height: 1.2; white-space: nowrap; }
  .value small { font-size: 13px; font-weight: 400; color: var(--secondary-text-color); }
  .label { color: var(--secondary-text-color); font-size: 12px; }
`;

/** Build an element: attributes, then children, which are elements or texts. */
function element(tag, attributes = {}, ...children) {
  const built = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") built.addEventListener("click", value);
    else if (value !== undefined && value !== null) built.setAttribute(name, value);
  }
  built.append(...children.filter((child) => child !== null && child !== undefined));
  return built;
}

function icon(name) {
  return element("ha-icon", { icon: name, "aria-hidden": "true" });
}

/** Build a part of a drawing: attributes, then children, which are parts or texts. */
function drawing(tag, attributes, ...children) {
  const built = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) built.setAttribute(name, value);
  built.append(...children.filter(Boolean));
  return built;
}

// The size of a drawing, and where its graph begins and ends.
const [WIDTH, HEIGHT, LEFT, TOP, FLOOR] = [320, 150, 44, 12, 120];

/** Return a function that maps values to a length; `pad` is left free at both ends, as a share of the whole. */
function scale(values, from, to, pad) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const spread = most - least || Math.abs(most) * 0.1 || 1;
  const low = least - spread * pad;
  return (value) => from + ((value - low) / (spread * (1 + 2 * pad))) * (to - from);
}

function words(text, x, y, anchor) {
  return drawing("text", { x, y, "text-anchor": anchor }, text);
}

function gridLine(y, text) {
  return [drawing("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y }), words(text, LEFT - 6, y + 4, "end")];
}

function upright(name, x) {
  return drawing("line", { class: name, x1: x, x2: x, y1: TOP, y2: FLOOR });
}

/** Draw a level of the curve: filled if it was measured, dashed if it is assumed. */
function dot(certainty, cx, cy) {
  return drawing("circle", { class: `level ${certainty}`, cx, cy, r: 5 });
}

const colorOf = (name) => `var(--${name}-color)`;

function fire(node, type, detail) {
  node.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
}

/** Return the elements; they are made late, when the page has installed its own registry of elements. */
function elements() {
  /** A card that draws again only when what it shows has changed. */
  class Card extends HTMLElement {
    setConfig(config) {
      this.config = config;
      this.draw();
    }

    set hass(hass) {
      const first = !this._hass;
      this._hass = hass;
      if (first || this.language !== hass.language) this.loadTexts(hass);
      if (first) this.started?.();
      this.draw();
    }

    async loadTexts(hass) {
      this.language = hass.language;
      this.t = await texts(hass);
      this.drawn = undefined;
      this.draw();
    }

    /** The miners, found again only when a registry has changed. */
    get miners() {
      const { entities, devices, areas } = this._hass;
      if (this.entities !== entities || this.devices !== devices || this.areas !== areas) {
        Object.assign(this, { entities, devices, areas });
        this.found = findMiners(this._hass, this.config.miner ? [this.config.miner] : this.config.miners);
      }
      return this.found;
    }

    draw() {
      if (!this._hass || !this.config || !this.t) return;
      const model = this.model();
      const shown = JSON.stringify(model);
      if (shown === this.drawn) return;
      this.drawn = shown;
      if (!this.shadowRoot) this.attachShadow({ mode: "open" });
      const style = element("style", {}, STYLE + this.constructor.style);
      this.shadowRoot.replaceChildren(style, element("ha-card", {}, ...this.view(model)));
    }

    open(entityId) {
      fire(this, "hass-more-info", { entityId });
    }

    getGridOptions() {
      return { columns: "full", rows: "auto" };
    }

    getCardSize() {
      return 3;
    }
  }

  class Totals extends Card {
    static style = `
      ha-card { container-type: inline-size; }
      .cells { grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); }
      @container (max-width: 320px) {
        .icon { width: 28px; height: 28px; }
        .value { font-size: 17px; }
      }
      @container (min-width: 900px) { .cells { grid-template-columns: repeat(var(--half), 1fr); } }
      @container (min-width: 1150px) { .few { grid-template-columns: repeat(var(--all), 1fr); } }
      @container (min-width: 1500px) { .cells { grid-template-columns: repeat(var(--all), 1fr); } }
    `;

    connectedCallback() {
      this.timer = setInterval(() => this.askStatistics(), 300_000);
    }

    disconnectedCallback() {
      clearInterval(this.timer);
    }

    started() {
      this.askStatistics();
    }

    async askStatistics() {
      if (!this._hass?.config.components.includes("recorder") || !this.config) return;
      const today = {};
      for (const [name, key] of [
        ["energy", "sensor.energy"],
        ["cost", "sensor.cost_total"],
        ["revenue", "sensor.revenue_total"],
      ]) {
        today[name] = await changeToday(this._hass, this.miners, key);
      }
      this.today = today;
      this.draw();
    }

    model() {
      return totalCells(this._hass, this.miners, this.t, this.today).map((cell) => ({
        ...cell,
        value: cell.value === null ? "–" : formatNumber(this._hass, cell.value, cell.digits),
        note:
          cell.count === undefined || cell.count === this.miners.length
            ? ""
            : this.t("known_of", { known: cell.count, all: this.miners.length }),
      }));
    }

    view(cells) {
      const made = cells.map((cell) =>
        element(
          "div",
          { class: "cell", "data-key": cell.key, style: `--c: ${colorOf(cell.color)}`, title: cell.note || cell.label },
          element("span", { class: "icon" }, icon(cell.icon)),
          element(
            "div",
            {},
            element("div", { class: "value" }, cell.value, " ", element("small", {}, cell.unit)),
            element("div", { class: "label" }, cell.note ? `${cell.label} (${cell.note})` : cell.label),
          ),
        ),
      );
      // In one row where there is room, else in two of the same length.
      const half = cells.length > 5 ? Math.ceil(cells.length / 2) : cells.length;
      const style = `--all: ${cells.length}; --half: ${half}`;
      return [element("div", { class: cells.length > 7 ? "cells" : "cells few", style }, ...made)];
    }
  }

  class Boards extends Card {
    static style = `
      .cells { grid-template-columns: repeat(auto-fit, minmax(84px, 1fr)); }
      button { all: unset; box-sizing: border-box; cursor: pointer; display: block; padding: 10px; border-radius: 8px;
        background: color-mix(in srgb, var(--c) 30%, var(--secondary-background-color));
        color: var(--primary-text-color); }
      button:focus-visible { outline: 2px solid var(--primary-color); }
      .bar { height: 4px; border-radius: 2px; margin-top: 6px; background: color-mix(in srgb, var(--primary-text-color) 15%, transparent); }
      .bar div { height: 100%; border-radius: 2px; background: var(--deep-purple-color); }
      button .muted { color: var(--primary-text-color); }
    `;

    model() {
      const [miner] = this.miners;
      const boards = miner ? boardCells(this._hass, miner) : [];
      const rates = boards.map((board) => numberOf(board.hashrate));
      const most = Math.max(0, ...rates.filter((rate) => rate !== null));
      return boards.map((board, index) => ({
        id: (board.temperature ?? board.hashrate ?? board.chip).entity_id,
        name: this.t("board", { slot: board.slot }),
        temperature: this.text(board.temperature ?? board.chip),
        hashrate: this.text(board.hashrate),
        color: heat(numberOf(board.temperature ?? board.chip)),
        share: rates[index] !== null && most > 0 ? rates[index] / most : null,
      }));
    }

    text(state) {
      return numberOf(state) === null ? "–" : this._hass.formatEntityState(state);
    }

    view(boards) {
      const made = boards.map((board) =>
        element(
          "button",
          { style: `--c: ${board.color}`, onclick: () => this.open(board.id) },
          element("div", { class: "muted" }, board.name),
          element("div", { class: "value" }, board.temperature),
          element("div", { class: "muted" }, board.hashrate),
          element(
            "div",
            { class: "bar" },
            element("div", { style: `width: ${Math.round((board.share ?? 0) * 100)}%` }),
          ),
        ),
      );
      return [element("div", { class: "cells" }, ...made)];
    }
  }

  /** A drawing of what one sensor of a miner has learned or planned; a click shows the sensor. */
  class Drawing extends Card {
    static style = `
      button { all: unset; box-sizing: border-box; cursor: pointer; display: block; width: 100%; border-radius: 8px; }
      button:focus-visible { outline: 2px solid var(--primary-color); }
      .title { font-weight: 500; overflow-wrap: anywhere; }
      svg { display: block; width: 100%; max-width: 480px; height: auto; margin: auto; overflow: visible; font-size: 12px; }
      text { fill: var(--primary-text-color); }
      line, path { fill: none; stroke: var(--divider-color); }
      .line { stroke: var(--teal-color); stroke-width: 2; }
      .now { stroke: var(--amber-color); stroke-width: 2; }
      .level { stroke: var(--teal-color); stroke-width: 2; fill: var(--card-background-color); }
      .measured { fill: var(--teal-color); }
      .assumed { stroke-dasharray: 2 2; }
      .power { shape-rendering: crispEdges; fill: color-mix(in srgb, var(--amber-color) 60%, transparent); }
      .price { stroke: var(--blue-color); stroke-width: 2; }
      .legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 12px; }
      .legend span { display: flex; align-items: center; gap: 6px; }
      .legend svg { width: 14px; }
    `;

    /** Return the state object of the sensor of the miner. */
    source(key) {
      const [miner] = this.miners;
      return miner && stateOf(this._hass, miner, key);
    }

    number(value, digits) {
      return formatNumber(this._hass, value, digits);
    }

    /** Return the head alone with a text, as long as there is nothing to draw. */
    empty(title, text) {
      return [element("div", { class: "title" }, title), element("div", { class: "muted" }, text)];
    }

    /** Return the drawing: what is drawn, what a screen reader says, and what the signs mean. */
    picture(id, title, spoken, parts, legend) {
      const signs = legend.map(([sign, text]) =>
        element("span", {}, drawing("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, sign), text),
      );
      const attributes = { onclick: () => this.open(id), "aria-label": `${title}. ${spoken.join("; ")}` };
      const graph = drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, ...parts);
      return [
        element("button", attributes, element("div", { class: "title" }, title), graph, element("div", { class: "legend" }, ...signs)),
      ];
    }
  }

  class Curve extends Drawing {
    model() {
      const state = this.source("sensor.profile_state");
      const power = numberOf(this.source("sensor.power"));
      return { id: state?.entity_id, levels: curveLevels(state), power: power === null ? null : Math.round(power / 20) * 20 };
    }

    view({ id, levels, power }) {
      const title = this.t("curve");
      if (!levels.length) return this.empty(title, this.t("curve_empty"));
      const x = scale(levels.map((level) => level.power), LEFT + 8, WIDTH - 8, 0);
      const y = scale(levels.map((level) => level.efficiency), FLOOR, TOP, 0.1);
      const [first, last] = [levels[0], levels.at(-1)];
      const watts = ({ power: value }) => `${this.number(value, 0)} W`;
      const [best, worst] = [Math.min, Math.max].map((pick) => pick(...levels.map((level) => level.efficiency)));
      const parts = [best, worst].flatMap((value) => gridLine(y(value), this.number(value, 1)));
      if (power !== null && power >= first.power && power <= last.power) parts.push(upright("now", x(power)));
      parts.push(
        drawing("path", { class: "line", d: levels.map((level, index) => `${index ? "L" : "M"}${x(level.power)} ${y(level.efficiency)}`).join("") }),
        ...levels.map((level) => dot(level.certainty, x(level.power), y(level.efficiency))),
        words("J/TH", LEFT - 6, HEIGHT - 10, "end"),
        words(watts(first), LEFT + 8, HEIGHT - 10, "start"),
        words(watts(last), WIDTH - 8, HEIGHT - 10, "end"),
      );
      const spoken = levels.map((level) => `${watts(level)}: ${this.number(level.efficiency, 1)} J/TH, ${this.t(`curve_${level.certainty}`)}`);
      const kinds = ["measured", "between", "assumed"].filter((kind) => levels.some((level) => level.certainty === kind));
      return this.picture(id, title, spoken, parts, kinds.map((kind) => [dot(kind, 7, 7), this.t(`curve_${kind}`)]));
    }
  }

  class Plan extends Drawing {
    model() {
      const state = this.source("sensor.plan_status");
      const [miner] = this.miners;
      const status = state && this._hass.formatEntityState(state);
      const unit = miner && planUnit(this._hass, miner);
      return { id: state?.entity_id, status, unit, name: miner?.name, steps: planSteps(state), hour: Math.floor(Date.now() / 900_000) };
    }

    view({ id, status, unit, name, steps }) {
      const title = `${this.t("plan")} (${name})`;
      if (!steps.length) return this.empty(title, status);
      const x = scale([steps[0].start, steps.at(-1).end], LEFT, WIDTH, 0);
      const height = (percent) => ((FLOOR - TOP) * percent) / 100;
      const prices = steps.map((step) => step.price);
      const y = scale(prices, FLOOR - 6, TOP + 6, 0);
      const edge = (step) => `H${x(step.start)}V${y(step.price)}H${x(step.end)}`;
      const clock = (time) => new Date(time).toLocaleTimeString(this._hass.locale?.language, { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: this.zone });
      const middle = Math.round((steps[0].start + steps.at(-1).end) / 7_200_000) * 3_600_000;
      const [low, high] = [Math.min(...prices), Math.max(...prices)];
      const parts = [
        ...steps.map((step) =>
          drawing("rect", { class: "power", x: x(step.start), width: x(step.end) - x(step.start), y: FLOOR - height(step.percent), height: height(step.percent) }),
        ),
        ...gridLine(y(low), this.number(low, 3)),
        ...(high > low ? gridLine(y(high), this.number(high, 3)) : []),
        drawing("path", { class: "price", d: `M${x(steps[0].start)} ${y(steps[0].price)}${steps.map(edge).join("")}` }),
        upright("now", x(Math.max(steps[0].start, Date.now()))),
        words(clock(steps[0].start), LEFT, HEIGHT - 10, "start"),
        words(clock(middle), x(middle), HEIGHT - 10, "middle"),
        words(clock(steps.at(-1).end), WIDTH, HEIGHT - 10, "end"),
      ];
      const changes = steps.filter((step, index) => step.percent !== steps[index - 1]?.percent);
      const spoken = changes.map((step) => `${clock(step.start)}: ${step.percent} %`);
      const sign = { x: 1, y: 2, width: 12, height: 10 };
      return this.picture(id, title, [status, ...spoken], parts, [
        [drawing("rect", { class: "power", ...sign }), this.t("power")],
        [drawing("line", { class: "price", x1: 1, x2: 13, y1: 7, y2: 7 }), unit ? `${this.t("price")} (${unit})` : this.t("price")],
      ]);
    }

    /** The time zone that the user has chosen: that of the server, or that of the browser. */
    get zone() {
      return this._hass.locale?.time_zone === "server" ? this._hass.config.time_zone : undefined;
    }
  }

  class List extends Card {
    static style = `
      ha-card { padding: 4px 0; container-type: inline-size; overflow: hidden; }
      a, .head { display: grid; grid-template-columns: minmax(110px, 2fr) minmax(90px, 1.3fr) repeat(5, minmax(70px, 1fr));
        gap: 8px; padding: 10px 16px; align-items: center; color: inherit; text-decoration: none; }
      a + a { border-top: 1px solid var(--divider-color); }
      a:hover, a:focus-visible { background: var(--secondary-background-color); outline: none; }
      a:focus-visible { box-shadow: inset 0 0 0 2px var(--primary-color); }
      .head { color: var(--secondary-text-color); font-size: 12px; border-bottom: 1px solid var(--divider-color); }
      .number { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; }
      .name { font-weight: 500; overflow: hidden; text-overflow: ellipsis; }
      .status { display: flex; align-items: center; gap: 8px; min-width: 0; }
      .dot { flex: none; width: 10px; height: 10px; border-radius: 5px; background: var(--c); }
      @container (max-width: 700px) {
        a, .head { grid-template-columns: minmax(0, 1.6fr) minmax(0, 1.2fr) minmax(64px, 1fr) minmax(64px, 1fr); }
        .extra { display: none; }
      }
    `;

    static columns = ["power", "hashrate", "efficiency", "chip_temperature_max", "margin_per_hour"];

    model() {
      const hass = this._hass;
      return worstFirst(hass, this.miners).map((miner) => {
        const level = levelOf(hass, miner);
        const status = stateOf(hass, miner, "sensor.status");
        const fault = level === "fault" && stateOf(hass, miner, "sensor.fault")?.state;
        return {
          path: miner.path,
          name: miner.name,
          area: miner.area,
          color: COLORS[level],
          status: fault || (["no_access", "curtailed"].includes(level) ? this.t(level) : status ? hass.formatEntityState(status) : "–"),
          values: List.columns.map((key) => {
            const state = stateOf(hass, miner, `sensor.${key}`);
            return numberOf(state) === null ? "–" : hass.formatEntityState(state);
          }),
        };
      });
    }

    go(event, path) {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      history.pushState(null, "", new URL(path, location.href).pathname);
      window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
    }

    view(rows) {
      const label = (key, index) =>
        element("span", { class: `number${index > 1 ? " extra" : ""}` }, this.t(key === "chip_temperature_max" ? "hottest_chip" : key));
      const head = element(
        "div",
        { class: "head" },
        element("span", {}, this.t("miner")),
        element("span", {}, this.t("status")),
        ...List.columns.map(label),
      );
      const made = rows.map((row) =>
        element(
          "a",
          { href: row.path, onclick: (event) => this.go(event, row.path), style: `--c: ${colorOf(row.color)}` },
          element("div", {}, element("div", { class: "name" }, row.name), row.area ? element("div", { class: "muted" }, row.area) : null),
          element("div", { class: "status" }, element("span", { class: "dot" }), element("span", {}, row.status)),
          ...row.values.map((value, index) => element("span", { class: `number${index > 1 ? " extra" : ""}` }, value)),
        ),
      );
      return [head, ...made];
    }
  }

  class Editor extends HTMLElement {
    setConfig(config) {
      this.config = config;
      this.draw();
    }

    set hass(hass) {
      const first = !this._hass;
      this._hass = hass;
      if (first) this.load(hass);
      else if (this.form) this.form.hass = hass;
    }

    async load(hass) {
      this.t = await texts(hass);
      this.draw();
    }

    draw() {
      if (!this._hass || !this.config || !this.t) return;
      if (!this.form) {
        this.form = document.createElement("ha-form");
        this.form.schema = [
          // Groups have no manufacturer.
          { name: "miners", selector: { device: { multiple: true, filter: [{ integration: DOMAIN, manufacturer: "MicroBT" }] } } },
          { name: "graphs", selector: { boolean: {} } },
          { name: "hours", selector: { number: { min: 1, max: 168, mode: "box", unit_of_measurement: "h" } } },
        ];
        this.form.computeLabel = (field) => this.t(`option_${field.name}`);
        this.form.computeHelper = (field) => (field.name === "miners" ? this.t("option_miners_help") : undefined);
        this.form.addEventListener("value-changed", (event) => this.changed(event));
        this.append(this.form);
      }
      const { miners, graphs, hours } = optionsOf(this.config);
      this.form.hass = this._hass;
      this.form.data = { miners: miners ?? [], graphs, hours };
    }

    changed(event) {
      event.stopPropagation();
      const { miners, graphs, hours } = event.detail.value;
      const config = { ...this.config, graphs, hours };
      if (miners?.length) config.miners = miners;
      else delete config.miners;
      this.config = config;
      fire(this, "config-changed", { config });
    }
  }

  let waiting = [];

  class Strategy extends HTMLElement {
    static registryDependencies = ["entities", "devices", "areas"];

    /** Build again when a registry changes, or when an entity gets its first state; never for other states. */
    static shouldRegenerate(_config, before, now) {
      return (
        this.registryDependencies.some((registry) => before[registry] !== now[registry]) ||
        waiting.some((id) => now.states[id])
      );
    }

    static async build(make, config, hass) {
      waiting = missingStates(hass);
      return make(hass, config, await texts(hass));
    }
  }

  class DashboardStrategy extends Strategy {
    static generate(config, hass) {
      return this.build(dashboardConfig, config, hass);
    }

    static getCreateSuggestions() {
      return { title: "WhatsMiner", icon: "mdi:pickaxe" };
    }

    static async getConfigElement() {
      return document.createElement(`${DOMAIN}-strategy-editor`);
    }
  }

  class ViewStrategy extends Strategy {
    static generate(config, hass) {
      return this.build(viewConfig, config, hass);
    }
  }

  return {
    [`${DOMAIN}-totals`]: Totals,
    [`${DOMAIN}-boards`]: Boards,
    [`${DOMAIN}-list`]: List,
    [`${DOMAIN}-curve`]: Curve,
    [`${DOMAIN}-plan`]: Plan,
    [`${DOMAIN}-strategy-editor`]: Editor,
    [`ll-strategy-dashboard-${DOMAIN}`]: DashboardStrategy,
    [`ll-strategy-view-${DOMAIN}`]: ViewStrategy,
  };
}

/** Ask the recorder how much a sensor of each miner has grown today, and add it up. */
async function changeToday(hass, miners, key) {
  let [sum, count] = [null, 0];
  const units = new Set();
  for (const miner of miners) {
    const state = stateOf(hass, miner, key);
    if (!state) continue;
    const request = { statistic_id: state.entity_id, types: ["change"], calendar: { period: "day" } };
    const answer = await hass.callWS({ type: "recorder/statistic_during_period", ...request }).catch(() => null);
    if (typeof answer?.change !== "number") continue;
    sum = (sum ?? 0) + answer.change;
    count += 1;
    units.add(state.attributes.unit_of_measurement);
  }
  return count && units.size === 1 ? { sum, count, unit: [...units][0] } : null;
}

/** Put the description of the dashboard into the language of the user, as soon as the page knows it. */
export async function describeDashboard(dashboard, page, patience = 500) {
  while (!page()?.loadBackendTranslation) await new Promise((done) => setTimeout(done, patience));
  const t = await texts(page());
  dashboard.description = t("dashboard_description");
}

if (globalThis.customElements) {
  const dashboard = {
    type: DOMAIN,
    strategyType: "dashboard",
    name: "WhatsMiner",
    description: "All your miners: health, economics and controls.",
  };
  // Before this element exists, the page may still replace its registry: what is defined then is never found.
  customElements.whenDefined("home-assistant").then(() => {
    for (const [name, constructor] of Object.entries(elements())) {
      if (!customElements.get(name)) customElements.define(name, constructor);
    }
    describeDashboard(dashboard, () => document.querySelector("home-assistant").hass);
  });
  (window.customStrategies ??= []).push(dashboard);
}
