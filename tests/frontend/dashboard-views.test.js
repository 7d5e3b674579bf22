import assert from "node:assert/strict";
import test from "node:test";

import * as views from "../../custom_components/balena_supervisor/frontend/dashboard-views.js";
import { Home } from "./home_assistant.js";

const guest = { user: { is_admin: false } };
const cardsOf = ({ sections }) => sections.flatMap(({ cards }) => cards);
const typesOf = (view) => cardsOf(view).map(({ type }) => type);

function homeWith(count, fleet) {
  const home = new Home();
  for (let number = 1; number <= count; number += 1) {
    home.device(`device ${number}`, { fleet });
  }
  return fleet ? home.fleet(fleet) : home;
}

for (const [count, layout] of [
  [1, "cards"],
  [6, "cards"],
  [7, "tiles"],
  [48, "tiles"],
  [49, "list"],
]) {
  test(`${count} devices have the layout ${layout}`, () => {
    assert.equal(views.layoutOf({}, count), layout);
    assert.equal(views.layoutOf({ layout: "auto" }, count), layout);
  });
}

test("the person can choose the layout", () => {
  assert.equal(views.layoutOf({ layout: "list" }, 2), "list");
});

test("two devices have a card each, with their last log lines", async () => {
  const view = await views.overviewView({}, homeWith(2).hass());
  const expected = ["custom:balena-device-card", "custom:balena-logs-card"];
  assert.deepEqual(typesOf(view), [...expected, ...expected]);
  assert.deepEqual(
    view.sections.map(({ cards }) => cards[0].device_id),
    ["device 1", "device 2"],
  );
});

test("log lines can be left out, and only administrators see them", async () => {
  const hass = homeWith(2).hass();
  for (const view of [
    await views.overviewView({ logs: false }, hass),
    await views.overviewView({}, { ...hass, ...guest }),
  ]) {
    assert.ok(!typesOf(view).includes("custom:balena-logs-card"));
  }
});

test("a dozen devices are shown by fleet, below what needs attention", async () => {
  const home = homeWith(12, "kiosks").device("alone");
  const cards = cardsOf(await views.overviewView({}, home.hass()));
  assert.deepEqual(
    cards.map(({ fleet, show }) => show ?? fleet),
    ["attention", "kiosks", ""],
  );
});

test("many devices are one list below their fleets", async () => {
  const cards = cardsOf(await views.overviewView({}, homeWith(60, "kiosks").hass()));
  assert.deepEqual(
    cards.map(({ show }) => show),
    ["attention", "fleets", undefined],
  );
});

test("the selected devices stay selected in the cards", async () => {
  const config = { device_id: ["kiosks"], layout: "list" };
  const cards = cardsOf(await views.overviewView(config, homeWith(8, "kiosks").hass()));
  assert.ok(cards.every(({ device_id: ids }) => ids[0] === "kiosks"));
});

test("the view of a device has its logs beside it on each width", async () => {
  const view = await views.deviceView({ device_id: "device 1" }, homeWith(1).hass());
  const logs = view.sections.filter(({ cards }) => cards[0].type === "custom:balena-logs-card");
  assert.deepEqual(
    logs.map(({ cards, column_span: span }) => [cards[0].visibility[0], span]),
    [
      [{ condition: "view_columns", max: 2 }, undefined],
      [{ condition: "view_columns", min: 3 }, 2],
    ],
  );
  assert.equal(view.sections[0].cards[0].type, "custom:balena-device-card");
});

test("the activity is as high as what is beside it, with and without the metrics", async () => {
  const states = { "sensor.cpu_usage": "10", "sensor.memory_usage": "20" };
  const rows = ["os_version", "ip_address", "hostname", "mac_address", "note", "fleet"];
  const details = Object.fromEntries(rows.map((key) => [`sensor.${key}`, "1"]));
  const home = new Home().device("one", { ...states, ...details });
  const view = await views.deviceView({ device_id: "one" }, home.hass());
  const isLog = ({ type }) => type === "logbook";
  const [, { cards }] = view.sections.filter((section) => section.cards.some(isLog));
  assert.deepEqual(
    cards
      .filter(isLog)
      .map(({ grid_options: { rows: height }, visibility: [, condition] }) => [
        height,
        condition.condition,
        condition.state,
      ]),
    [
      [8, "or", undefined],
      [5, "state", ["unavailable", "unknown"]],
    ],
  );
});

test("others see no logs and no links to the settings", async () => {
  const hass = homeWith(1).hass();
  const view = await views.deviceView({ device_id: "device 1" }, hass);
  assert.ok(typesOf(view).includes("custom:balena-logs-card"));
  const other = await views.deviceView({ device_id: "device 1" }, { ...hass, ...guest });
  assert.ok(!typesOf(other).includes("custom:balena-logs-card"));
  assert.ok(!JSON.stringify(other).includes("/config/"));
});

test("without the logbook, the history is a graph", async () => {
  const hass = homeWith(1).hass({ config: { components: ["history"] } });
  const types = typesOf(await views.deviceView({ device_id: "device 1" }, hass));
  assert.ok(types.includes("history-graph"));
  assert.ok(!types.includes("logbook"));
});

test("disabled and hidden entities are not shown", async () => {
  const home = homeWith(1);
  const view = await views.deviceView({ device_id: "device 1" }, home.hass());
  assert.ok(!typesOf(view).includes("entities"));
  home.entity("sensor", "os_version", "device 1", "6.5.4");
  const { entities, devices } = home;
  const hass = home.hass({ entities: { ...entities }, devices });
  const more = await views.deviceView({ device_id: "device 1" }, hass);
  assert.ok(JSON.stringify(more).includes("sensor.device 1_os_version"));
});

test("a device that is gone has a view that says so", async () => {
  const view = await views.deviceView({ device_id: "device 9" }, homeWith(1).hass());
  assert.equal(view.sections[0].cards[0].heading, "gone");
});

test("a few details are below the card of a device", async () => {
  const home = homeWith(1).entity("sensor", "os_version", "device 1", "6.5.4");
  const { sections } = await views.deviceView({ device_id: "device 1" }, home.hass());
  assert.deepEqual(
    sections[0].cards.map(({ type }) => type),
    ["custom:balena-device-card", "heading", "entities"],
  );
});

test("without many details, the activity has the whole width", async () => {
  const home = homeWith(1);
  const activityOf = ({ sections }) =>
    sections.filter(({ cards }) => cards.some(({ type }) => type === "logbook"));
  const few = await views.deviceView({ device_id: "device 1" }, home.hass());
  assert.deepEqual(
    activityOf(few).map(({ column_span: span }) => span),
    [3],
  );
  for (const detail of ["os_version", "os_variant", "supervisor_version", "note", "hostname"]) {
    home.entity("sensor", detail, "device 1", "any");
  }
  const { entities, devices } = home;
  const hass = home.hass({ entities: { ...entities }, devices });
  const more = await views.deviceView({ device_id: "device 1" }, hass);
  assert.deepEqual(
    activityOf(more).map(({ column_span: span }) => span),
    [undefined, 2],
  );
});

test("without a device, only administrators can add one", async () => {
  const hass = new Home().hass();
  const [card] = cardsOf(await views.deviceView({ device_id: "device 1" }, hass));
  assert.deepEqual([card.type, card.buttons.length], ["empty-state", 1]);
  const [other] = cardsOf(await views.deviceView({ device_id: "x" }, { ...hass, ...guest }));
  assert.deepEqual(other.buttons, []);
});

test("a dashboard whose devices are gone does not offer to add the integration", async () => {
  const { views: made } = await views.dashboard({ device_id: ["gone"] }, homeWith(2).hass());
  const [card] = cardsOf(made[0]);
  assert.deepEqual([card.title, card.buttons], ["none_found", []]);
});

test("a dashboard never opens with the view of a device that is gone", async () => {
  const isVisible = ({ visible }) => visible !== false;
  const both = new Home().device("left").device("stays");
  const config = { device_id: ["left", "stays"] };
  await views.dashboard(config, both.hass());
  const { views: made } = await views.dashboard(config, new Home().device("stays").hass());
  assert.equal(made.find(isVisible).path, "device-stays");
});

test("all views have names, and are generated when they are opened", async () => {
  const { views: all } = await views.dashboard({}, homeWith(60, "kiosks").hass());
  assert.equal(all.length, 62);
  assert.ok(all.every(({ path, strategy, title }) => path && strategy && title));
  assert.deepEqual(
    all.slice(0, 3).map(({ path, subview }) => [path, subview]),
    [
      ["overview", undefined],
      ["fleet-kiosks", true],
      ["device-device 1", true],
    ],
  );
});

for (const [count, icon] of [
  [1, undefined],
  [48, "mdi:developer-board"],
  [49, undefined],
]) {
  test(`with ${count} devices, the view of a device has the icon ${icon}`, async () => {
    const { views: all } = await views.dashboard({}, homeWith(count).hass());
    const view = all.find(({ path }) => path === "device-device 1");
    assert.equal(view.icon, icon);
  });
}

test("the only device has the first page", async () => {
  const config = { device_id: ["device 1"] };
  const { views: all } = await views.dashboard(config, homeWith(1).hass());
  const shown = all.filter(({ subview, visible }) => !subview && visible !== false);
  assert.deepEqual(
    shown.map(({ path }) => path),
    ["device-device 1"],
  );
});

test("a view keeps its number when devices come and go", async () => {
  const config = { device_id: ["a", "b", "c"] };
  const paths = async (...names) => {
    const home = new Home();
    names.forEach((name) => home.device(name));
    const { views: all } = await views.dashboard(config, home.hass());
    return all.map(({ path }) => path);
  };
  assert.deepEqual(await paths("b", "c"), ["overview", "device-b", "device-c"]);
  const expected = ["overview", "device-b", "device-c", "device-a"];
  assert.deepEqual(await paths("a", "b", "c"), expected);
  assert.deepEqual(await paths("a", "c"), expected);
});
