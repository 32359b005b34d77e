// The pure half of the dashboard: from registries and states to views.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as dashboard from "../../custom_components/whatsminer/frontend/dashboard.js";
import { addEntity, addMiner, home, idOf, named, set, t } from "./home.mjs";

const build = (hass, config = {}) => dashboard.dashboardConfig(hass, config, t);
const cards = (view) => view.sections.flatMap((section) => section.cards);
const card = (hass, view, key) => cards(view).find((one) => one.entity === idOf(hass, key));

test("finds miners by platform and device, whatever their entities are called", () => {
  const hass = home(2);
  addEntity(hass, "device0", "sensor.power", "1");
  hass.entities["sensor.stranger"] = { entity_id: "sensor.stranger", platform: "other", device_id: "device0" };
  const miners = dashboard.findMiners(hass);
  assert.deepEqual(miners.map((miner) => miner.name), ["M50 0", "M50 1"]);
  assert.equal(build(hass).views.length, 3);
});

test("takes the name of the user, and sorts by area and then by name", () => {
  const hass = home(3);
  hass.areas = { b: { name: "Barn" }, a: { name: "Attic" } };
  Object.assign(hass.devices.device0, { area_id: "b", name_by_user: "Zeus" });
  Object.assign(hass.devices.device1, { area_id: "b", name_by_user: "Hera" });
  Object.assign(hass.devices.device2, { area_id: "a" });
  assert.deepEqual(dashboard.findMiners(hass).map((miner) => miner.name), ["M50 2", "Hera", "Zeus"]);
});

test("gives every miner an address of its own, also in another alphabet or with equal names", () => {
  const hass = home(4);
  for (const [index, name] of ["矿机", "A", "A", "Overview"].entries()) hass.devices[`device${index}`].name = name;
  const paths = build(hass).views.map((view) => view.path);
  assert.equal(new Set(paths).size, 5);
  for (const path of paths) assert.match(path, /^[a-z0-9-]+$/);
});

test("names no entity that has no state, and none that the user has hidden", () => {
  const hass = home(2);
  const hidden = idOf(hass, "sensor.efficiency");
  hass.entities[hidden].hidden = true;
  const missing = addEntity(hass, "device0", "sensor.margin_per_hour", undefined);
  const found = [...named(build(hass))];
  assert.ok(found.length > 50);
  assert.ok(!found.includes(hidden));
  assert.ok(!found.includes(missing));
  for (const id of found) assert.ok(hass.states[id], id);
});

test("uses entities that come later", () => {
  const hass = home(1);
  const later = ["binary_sensor.connectivity", "sensor.curtailment_reason", "sensor.power_decided_by", "select.power_source"];
  later.push("button.resume", "sensor.cost_total", "sensor.revenue_total", "sensor.most_profitable_power");
  later.push("sensor.sweet_spot_power", "sensor.plan_status", "climate.thermostat");
  const ids = later.map((key) => addEntity(hass, "device0", key, "unknown"));
  const found = new Set(named(build(hass)));
  for (const id of ids) assert.ok(found.has(id), hass.entities[id].translation_key);
});

test("finds an entity without a key by its device class", () => {
  const hass = home(1);
  const id = addEntity(hass, "device0", "binary_sensor.connectivity", "off", { device_class: "connectivity" });
  delete hass.entities[id].translation_key;
  const [miner] = dashboard.findMiners(hass);
  assert.equal(dashboard.levelOf(hass, miner), "offline");
  assert.ok([...named(build(hass))].includes(id));
});

test("makes no card that calls a number without a value an error", () => {
  const hass = home(2);
  for (const state of Object.values(hass.states)) state.state = "unavailable";
  const types = new Set(build(hass).views.flatMap(cards).map((one) => one.type));
  for (const type of ["gauge", "sensor", "entities", "statistic"]) assert.ok(!types.has(type), type);
});

for (let boards = 0; boards <= 8; boards++) {
  test(`tells ${boards} boards apart by their slots, also while they are unavailable`, () => {
    const hass = home(1, boards);
    const cells = () => dashboard.boardCells(hass, dashboard.findMiners(hass)[0]);
    const slots = [...Array(boards).keys()];
    assert.deepEqual(cells().map((cell) => cell.slot), slots);
    assert.deepEqual(cells().map((cell) => cell.temperature.state), slots.map((slot) => `${70 + slot}`));
    for (const state of Object.values(hass.states)) state.state = "unavailable";
    assert.deepEqual(cells().map((cell) => cell.slot), slots);
    const shown = build(hass).views[1].sections.flatMap((section) => section.cards);
    assert.equal(shown.some((one) => one.type === "custom:whatsminer-boards"), boards > 0);
  });
}

test("puts the controls before graphs and readings", () => {
  const hass = home(2);
  for (const view of build(hass).views) {
    for (const section of view.sections) {
      const types = section.cards.map((one) => (one.features?.[0]?.type === "toggle" ? "control" : one.features?.[0]?.type));
      if (types.includes("control") && types.includes("trend-graph")) {
        assert.ok(types.indexOf("control") < types.indexOf("trend-graph"));
      }
    }
  }
  const first = build(hass).views[1].sections[0];
  assert.equal(first.cards[0].heading, "controls");
});

test("asks before everything that restarts mining", () => {
  const hass = home(1);
  const view = build(hass).views[1];
  for (const key of ["number.power_limit", "select.power_mode", "button.restart_btminer", "button.reboot"]) {
    const found = card(hass, view, key);
    assert.ok(found.tap_action.confirmation.text.startsWith("confirm_"), key);
    assert.equal(found.icon_tap_action.action, "none", key);
    assert.equal(found.features, undefined, key);
  }
});

test("shows what is wrong only while it is", () => {
  const hass = home(1);
  const [problem, curtailment] = [idOf(hass, "binary_sensor.problem"), idOf(hass, "sensor.curtailment")];
  const notices = dashboard.noticeCards(hass, dashboard.findMiners(hass)[0], dashboard.optionsOf(), t);
  assert.ok(notices.length >= 3);
  for (const notice of notices) assert.ok(notice.visibility.length);
  assert.deepEqual(notices[0].visibility, [{ condition: "state", entity: problem, state: "on" }]);
  const remedy = notices.find((notice) => notice.entity === problem);
  assert.equal(remedy.visibility[1].attribute, "repair", "the page may say nothing of the fault");
  const curtailed = notices.find((notice) => notice.entity === curtailment);
  assert.deepEqual(curtailed.visibility[0].state_not, ["none", "unavailable", "unknown"]);
});

test("shows what is learned in time only once it is known", () => {
  const hass = home(1);
  const keys = ["sensor.saved_always_on", "sensor.most_profitable_power"];
  const ids = keys.map((key) => addEntity(hass, "device0", key, "unknown"));
  const shown = build(hass).views.flatMap(cards).filter((one) => ids.includes(one.entity) && one.type === "tile");
  assert.equal(shown.length, ids.length);
  for (const one of shown) assert.deepEqual(one.visibility[0].state_not, ["unavailable", "unknown"]);
});

test("says why a miner stopped, unless a curtailment says it", () => {
  const hass = home(1);
  const stop = addEntity(hass, "device0", "sensor.stop_reason", "by whatsminer api");
  for (const view of build(hass).views) {
    const conditions = cards(view).find((one) => one.entity === stop).visibility;
    const wanted = { condition: "state", entity: idOf(hass, "sensor.status"), state: "stopped" };
    assert.deepEqual(conditions[0], wanted);
    assert.deepEqual(conditions[1].state_not, ["none", "unavailable", "unknown"]);
    assert.equal(conditions.at(-1).entity, idOf(hass, "sensor.curtailment"));
  }
});

test("shows long names whole, in any language", () => {
  const hass = home(1);
  const id = idOf(hass, "sensor.efficiency");
  const isWide = () => Boolean(cards(build(hass).views[0]).find((one) => one.entity === id).grid_options);
  hass.entities[id].name = "Margin per hour";
  assert.equal(isWide(), false);
  for (const name of ["Kosten pro Stunde", "每小时利润每小时"]) {
    hass.entities[id].name = name;
    assert.equal(isWide(), true, name);
  }
});

test("leaves no gap beside a tile", () => {
  const tile = (more) => ({ type: "tile", ...more });
  const widths = (list) => dashboard.withoutGaps(list).map((one) => one.grid_options?.columns);
  assert.deepEqual(widths([tile(), tile(), tile()]), [undefined, undefined, 12]);
  assert.deepEqual(widths([tile(), { type: "heading" }, tile(), tile()]), [12, undefined, undefined, undefined]);
});

test("knows what is wrong, the worst first", () => {
  const hass = home(7);
  const cases = [
    ["mining", []],
    ["busy", [["sensor.status", "tuning"]]],
    ["stopped", [["sensor.status", "stopped"]]],
    ["curtailed", [["sensor.status", "stopped"], ["sensor.curtailment", "stop"]]],
    ["no_access", [["binary_sensor.write_access", "off"]]],
    ["offline", [["sensor.status", "unavailable"]]],
    ["fault", [["binary_sensor.problem", "on"]]],
  ];
  cases.forEach(([, changes], index) => changes.forEach(([key, state]) => set(hass, key, state, `device${index}`)));
  const miners = dashboard.findMiners(hass);
  assert.deepEqual(miners.map((miner) => dashboard.levelOf(hass, miner)), cases.map(([level]) => level));
  const sorted = dashboard.worstFirst(hass, miners).map((miner) => dashboard.levelOf(hass, miner));
  assert.deepEqual(sorted, dashboard.LEVELS);
});

test("becomes a list from eight miners on, with views that are reached from it", () => {
  const few = build(home(7));
  const many = build(home(8));
  const lists = (config) => cards(config.views[0]).filter((one) => one.type === "custom:whatsminer-list").length;
  assert.deepEqual([lists(few), lists(many)], [0, 1]);
  assert.ok(few.views.slice(1).every((view) => !view.subview));
  assert.ok(many.views.slice(1).every((view) => view.subview));
});

test("shows a group with its controls first, and counts it among no miners", () => {
  const hass = home(2);
  hass.devices.group = { id: "group", name: "Barn", entry_type: "service" };
  const keys = ["sensor.group_power", "number.group_power_target", "switch.group_mining", "climate.thermostat"];
  const [power, target, mining, thermostat] = keys.map((key) => addEntity(hass, "group", key, "1"));
  hass.entities[addEntity(hass, "group", "sensor.group_secret", "1")].hidden = true;
  addEntity(hass, "group", "sensor.group_late", undefined);
  assert.deepEqual(dashboard.findGroups(hass), [{ name: "Barn", ids: [thermostat, mining, target, power] }]);
  assert.equal(dashboard.findMiners(hass).length, 2);
  const section = (config) => build(hass, config).views[0].sections.find((one) => one.cards[0].heading === "Barn");
  assert.deepEqual(section().cards.slice(1).map((one) => one.entity), [thermostat, mining, target, power]);
  assert.equal(section().cards[1].features[0].type, "target-temperature");
  assert.equal(section({ miners: ["device0"] }), undefined);
});

test("draws the levels of the learned curve in the order of their power", () => {
  const level = (percent, power, hashrate, certainty) => ({ percent, power, hashrate, certainty });
  const curve = [level(100, 3300, 110, "measured"), level(60, 2000, 80, "assumed"), level(0, 0, 0, "measured")];
  assert.deepEqual(dashboard.curveLevels({ attributes: { curve } }), [
    { percent: 60, power: 2000, efficiency: 25, certainty: "assumed" },
    { percent: 100, power: 3300, efficiency: 30, certainty: "measured" },
  ]);
  assert.deepEqual(dashboard.curveLevels(undefined), []);
  const hass = home(1);
  addEntity(hass, "device0", "sensor.profile_state", "partial", { curve });
  const types = (config) => cards(build(hass, config).views[1]).map((one) => one.type);
  assert.ok(types().includes("custom:whatsminer-curve"));
  assert.ok(!types({ graphs: false }).includes("custom:whatsminer-curve"));
});

test("draws a plan from step to step, the last as long as the one before", () => {
  const step = (hour, percent) => ({ start: `2026-11-29T0${hour}:00:00+01:00`, percent, price: 0.1 });
  const state = { attributes: { steps: [step(1, 100), step(2, 0), { start: "soon", percent: 0, price: 0 }] } };
  const hour = 3_600_000;
  const [first, second, ...more] = dashboard.planSteps(state);
  assert.deepEqual([first.end - first.start, second.end - second.start, more.length], [hour, hour, 0]);
  assert.deepEqual([first.percent, second.percent], [100, 0]);
  assert.deepEqual(dashboard.planSteps(undefined), []);
  const hass = home(1);
  addEntity(hass, "device0", "sensor.plan_status", "ready");
  const types = (view) => cards(build(hass).views[view]).map((one) => one.type);
  for (const view of [0, 1]) assert.ok(types(view).includes("custom:whatsminer-plan"));
});

test("says what unit the prices of a plan have", () => {
  const hass = home(1);
  const unit = () => dashboard.planUnit(hass, dashboard.findMiners(hass)[0]);
  assert.equal(unit(), undefined);
  addEntity(hass, "device0", "sensor.cost_per_hour", "0.1", { unit_of_measurement: "EUR/h" });
  assert.equal(unit(), "EUR/kWh");
});

test("adds up what is known, in one unit, and never counts an unknown as 0", () => {
  const hass = home(3);
  set(hass, "sensor.power", "unavailable", "device1");
  const kilowatts = hass.states[idOf(hass, "sensor.power", "device2")];
  Object.assign(kilowatts, { state: "3.5", attributes: { unit_of_measurement: "kW" } });
  const miners = dashboard.findMiners(hass);
  const power = dashboard.sumOf(hass, miners, "sensor.power");
  assert.deepEqual([power.sum, power.count], [6800, 2]);
  const cells = Object.fromEntries(dashboard.totalCells(hass, miners, t).map((cell) => [cell.key, cell]));
  assert.equal(cells.power.value, 6.8);
  assert.equal(cells.hashrate.value, 330);
  assert.equal(cells.efficiency.value, 6800 / 220);
  assert.equal(cells.mining_now.value, 3);
  assert.equal(cells.cost_per_hour, undefined);
  for (const state of Object.values(hass.states)) state.state = "unknown";
  for (const cell of dashboard.totalCells(hass, miners, t)) assert.ok(cell.value === null || cell.key === "mining_now");
});

test("does not add money of two currencies", () => {
  const hass = home(2);
  addEntity(hass, "device0", "sensor.cost_per_hour", "1", { unit_of_measurement: "EUR/h" });
  addEntity(hass, "device1", "sensor.cost_per_hour", "1", { unit_of_measurement: "USD/h" });
  const cells = dashboard.totalCells(hass, dashboard.findMiners(hass), t);
  assert.equal(cells.find((cell) => cell.key === "cost_per_hour").value, null);
});

test("shows the price that the miners are reckoned with, if it is one", () => {
  const hass = home(2);
  hass.states["sensor.price"] = { entity_id: "sensor.price", state: "0.2", attributes: {} };
  const graphs = () => JSON.stringify(cards(build(hass).views[0]));
  assert.ok(!graphs().includes("sensor.price"));
  addEntity(hass, "device0", "sensor.cost_per_hour", "1", { price_sensor: "sensor.price" });
  assert.ok(graphs().includes("sensor.price"));
  addEntity(hass, "device1", "sensor.cost_per_hour", "1", { price_sensor: "sensor.another" });
  assert.ok(!graphs().includes("sensor.price"));
});

test("does what the editor says: which miners, graphs or not, how many hours", () => {
  const hass = home(3);
  assert.equal(build(hass, { miners: ["device1"] }).views.length, 2);
  const plain = JSON.stringify(build(hass, { graphs: false }));
  for (const graph of ["trend-graph", "history-graph", "statistics-graph", "distribution"]) {
    assert.ok(!plain.includes(graph), graph);
  }
  assert.ok(JSON.stringify(build(hass, { hours: 6 })).includes('"hours_to_show":6'));
  assert.deepEqual(dashboard.optionsOf({ hours: "x" }), { miners: undefined, graphs: true, hours: 24 });
});

test("serves one view of an existing dashboard, whose title and address stay", () => {
  const hass = home(2);
  const one = dashboard.viewConfig(hass, { miner: "device1" }, t);
  assert.ok(cards(one).some((found) => found.entity === idOf(hass, "switch.mining", "device1")));
  assert.ok(!("title" in one) && !("path" in one));
  assert.ok(cards(dashboard.viewConfig(hass, {}, t)).some((found) => found.type === "custom:whatsminer-totals"));
});

test("says what to do before there is a miner", () => {
  const [view] = build(home(0)).views;
  assert.deepEqual(cards(view).map((one) => one.type), ["heading", "button"]);
});

test("asks to be built again once an entity has its first state", () => {
  const hass = home(1);
  assert.deepEqual(dashboard.missingStates(hass), []);
  const id = addEntity(hass, "device0", "sensor.cost_per_hour", undefined);
  assert.deepEqual(dashboard.missingStates(hass), [id]);
});

test("reads numbers in the units that a user may choose, and nothing else", () => {
  const read = (state, unit) => dashboard.numberOf({ state, attributes: { unit_of_measurement: unit } });
  assert.equal(read("3.4", "kW"), 3400);
  assert.equal(Math.round(read("212", "°F")), 100);
  assert.equal(read("0", "W"), 0);
  for (const state of ["unknown", "unavailable", "", "none"]) assert.equal(read(state, "W"), null);
  assert.equal(dashboard.numberOf(undefined), null);
});

test("writes numbers as the user does", () => {
  const write = (number_format) => dashboard.formatNumber({ locale: { language: "en", number_format } }, 1234.5, 1);
  assert.equal(write("language"), "1,234.5");
  assert.equal(write("decimal_comma"), "1.234,5");
  assert.equal(write("none"), "1234.5");
});

test("colours boards from blue to red", () => {
  assert.match(dashboard.heat(20), /^hsl\(210/);
  assert.match(dashboard.heat(120), /^hsl\(0/);
  assert.equal(dashboard.heat(null), "var(--grey-color)");
});

test("uses only texts that the translations have", async () => {
  const { readFileSync } = await import("node:fs");
  const path = new URL("../../custom_components/whatsminer/translations/en.json", import.meta.url);
  const english = JSON.parse(readFileSync(path));
  const asked = new Set();
  const spy = (key, values) => {
    asked.add(key);
    return t(key, values);
  };
  const hass = home(9);
  addMiner(hass, "spare", "Spare", 3);
  hass.states["sensor.price"] = { entity_id: "sensor.price", state: "0.2", attributes: {} };
  addEntity(hass, "device0", "sensor.cost_per_hour", "1", { price_sensor: "sensor.price" });
  addEntity(hass, "device0", "sensor.plan_status", "ready");
  dashboard.dashboardConfig(hass, {}, spy);
  dashboard.dashboardConfig(home(0), {}, spy);
  dashboard.totalCells(hass, dashboard.findMiners(hass), spy, { energy: {}, cost: {}, revenue: {} });
  const source = readFileSync(new URL("../../custom_components/whatsminer/frontend/dashboard.js", import.meta.url), "utf8");
  for (const [, key] of source.matchAll(/\bt\("(\w+)"/g)) asked.add(key);
  for (const key of asked) assert.ok(english.common[key] ?? english.entity.sensor[key], key);
  const dynamic = ["option_miners", "option_graphs", "option_hours", "no_access", "curtailed"];
  dynamic.push("curve_measured", "curve_between", "curve_assumed");
  const unused = Object.keys(english.common).filter((key) => !asked.has(key) && !dynamic.includes(key) && !key.startsWith("log_"));
  assert.deepEqual(unused, []);
});

test("is described in the language of the user, once the page knows it", async () => {
  const german = { "component.whatsminer.common.dashboard_description": "Deine Miner" };
  const hass = { connection: {}, language: "de", loadBackendTranslation: async () => (key) => german[key] };
  const pages = [undefined, {}, hass, hass];
  const offered = { description: "All your miners" };
  await dashboard.describeDashboard(offered, () => pages.shift(), 1);
  assert.equal(offered.description, "Deine Miner");
});

test("has its words also if they are asked for twice while they load", async () => {
  const words = { "component.whatsminer.common.health": "Gesundheit" };
  const asked = new Set();
  let known = {};
  // As the page does it: what was asked for before counts as loaded, and this text function knows only what had arrived.
  const loadBackendTranslation = async (category) => {
    if (!asked.has(category)) {
      asked.add(category);
      await new Promise((done) => setTimeout(done, category === "common" ? 20 : 5));
      if (category === "common") known = words;
    }
    const now = known;
    return (key) => now[key];
  };
  const hass = { connection: {}, language: "de", loadBackendTranslation };
  const found = await Promise.all([dashboard.texts(hass), dashboard.texts({ ...hass })]);
  assert.deepEqual(found.map((t) => t("health")), ["Gesundheit", "Gesundheit"]);
});

test("asks for its words again after a failure", async () => {
  const answers = [Promise.reject(new Error("lost")), Promise.resolve(), Promise.resolve(() => "Gesundheit")];
  const hass = { connection: {}, language: "de", loadBackendTranslation: () => answers.shift() };
  await assert.rejects(dashboard.texts(hass));
  assert.equal((await dashboard.texts(hass))("health"), "Gesundheit");
});

test("builds twenty miners in a blink", () => {
  const hass = home(20, 4);
  const took = [];
  while (took.length < 10) {
    const begun = performance.now();
    build(hass);
    took.push(performance.now() - begun);
  }
  assert.ok(Math.min(...took) < 100); // whatever else this machine does
});
