import assert from "node:assert/strict";
import test from "node:test";

import * as data from "../../custom_components/balena_supervisor/frontend/dashboard-data.js";
import { Home } from "./home_assistant.js";

const found = (home) => data.inventory(home.hass());
const names = (items) => items.map(({ name }) => name);

/** Return the condition of the only device. */
function condition(home) {
  const [device] = found(home).devices;
  return data.conditionOf(device, home.states);
}

const kinds = ({ problems }) => problems.map(({ kind }) => kind);

test("devices, fleets and services are found and sorted as people count", () => {
  const home = new Home()
    .fleet("kiosks")
    .device("kiosk 10", { fleet: "kiosks" })
    .device("kiosk 9", { fleet: "kiosks" })
    .service("kiosk 9", "web")
    .service("kiosk 9", "db");
  const { devices, fleets } = found(home);
  assert.deepEqual(names(fleets), ["kiosks"]);
  assert.deepEqual(names(devices), ["kiosk 9", "kiosk 10"]);
  assert.deepEqual(names(devices[0].services), ["db", "web"]);
});

test("hidden entities and entities of other integrations are left out", () => {
  const home = new Home().device("one").device("two");
  home.entities["binary_sensor.one_online"].hidden = true;
  home.entities["binary_sensor.two_online"].platform = "hue";
  assert.deepEqual(found(home).devices, []);
});

for (const name of ["web", "one web"]) {
  // Before 2026.10, the name of a service begins with its device.
  test(`the service "${name}" is named without its device`, () => {
    const home = new Home().device("one").service("one", name);
    assert.deepEqual(names(found(home).devices[0].services), ["web"]);
  });
}

test("a name of the person wins", () => {
  const home = new Home().device("one");
  home.devices.one.name_by_user = "Lobby";
  assert.deepEqual(names(found(home).devices), ["Lobby"]);
});

test("a fleet stands for all of its devices", () => {
  const home = new Home()
    .fleet("kiosks")
    .fleet("gateways")
    .device("kiosk", { fleet: "kiosks" })
    .device("gateway", { fleet: "gateways" })
    .device("alone");
  const { devices, fleets } = data.chosen(home.hass(), { device_id: ["kiosks", "alone"] });
  assert.deepEqual(names(fleets), ["kiosks"]);
  assert.deepEqual(names(devices), ["alone", "kiosk"]);
  const all = data.chosen(home.hass(), { device_id: [] });
  const groups = data.grouped(all).map((group) => [group.fleet?.name, names(group.devices)]);
  assert.deepEqual(groups, [
    ["gateways", ["gateway"]],
    ["kiosks", ["kiosk"]],
    [undefined, ["alone"]],
  ]);
});

const PROBLEMS = {
  "binary_sensor.update_failed": "update_failed",
  "binary_sensor.update_locked": "update_locked",
  "binary_sensor.supervisor_problem": "supervisor_problem",
  "binary_sensor.undervoltage": "undervoltage",
};

/** Return a home with one device that has no *Online*. */
function homeWithoutOnline(states) {
  const home = new Home().device("one", states);
  delete home.entities["binary_sensor.one_online"];
  return home;
}

for (const [key, kind] of Object.entries(PROBLEMS)) {
  test(`without Online, ${key} that is on is a problem`, () => {
    const states = { [key]: "on", "sensor.overall_status": "operational" };
    const { level, problems } = condition(homeWithoutOnline(states));
    assert.deepEqual([level, problems], ["warning", [{ kind }]]);
    const calm = condition(homeWithoutOnline({ ...states, [key]: "off" }));
    assert.deepEqual([calm.level, calm.problems], ["ok", []]);
  });
}

// With fewer entities, only *Online* tells the problems.
for (const kind of Object.values(PROBLEMS)) {
  test(`${kind} that Online lists is a problem`, () => {
    const states = { problems: [kind], "sensor.overall_status": "operational" };
    const { level, problems } = condition(new Home().device("one", states));
    assert.deepEqual([level, problems], ["warning", [{ kind }]]);
  });
}

test("Online decides what is a problem", () => {
  const states = { problems: ["undervoltage"], "binary_sensor.update_failed": "on" };
  assert.deepEqual(kinds(condition(new Home().device("one", states))), ["undervoltage"]);
});

test("Online lists a stopped service whose entities are disabled", () => {
  const home = new Home().device("one", { problems: ["service_stopped"] });
  assert.deepEqual(kinds(condition(home)), ["a_service_stopped"]);
  const stopped = { status: "exited", stoppedByItself: true };
  home.service("one", "web", stopped);
  const named = home.hass({ entities: { ...home.entities } });
  const [device] = data.inventory(named).devices;
  assert.deepEqual(kinds(data.conditionOf(device, home.states)), ["service_stopped"]);
});

test("a service that stopped by itself is a problem", () => {
  const stopped = { status: "exited", stoppedByItself: true };
  const home = new Home().device("one", { problems: ["service_stopped"] });
  home.service("one", "web", stopped).service("one", "db", { status: "exited" });
  const { level, problems } = condition(home);
  assert.equal(level, "warning");
  assert.deepEqual(
    problems.map(({ kind, service }) => [kind, service.name]),
    [["service_stopped", "web"]],
  );
});

test("a service that somebody stopped is no problem", () => {
  const home = new Home().device("one").service("one", "web", { status: "exited" });
  assert.deepEqual(condition(home).problems, []);
});

test("without Online and without a switch, a dead service is a problem", () => {
  const home = homeWithoutOnline({ "sensor.overall_status": "operational" });
  home.service("one", "web", { status: "dead" });
  delete home.entities["switch.one_web_running"];
  assert.deepEqual(kinds(condition(home)), ["service_stopped"]);
});

test("an offline device has no other problem", () => {
  const home = new Home()
    .device("one", { online: "off", "binary_sensor.update_failed": "on" })
    .service("one", "web", { status: "exited", stoppedByItself: true });
  const { level, problems } = condition(home);
  assert.deepEqual([level, problems], ["error", [{ kind: "offline" }]]);
});

for (const status of ["rebooting", "shutting_down", "updating"]) {
  // An account has the sensor only with all entities.
  for (const known of [{ status }, { "sensor.status": status }]) {
    for (const online of ["off", "on"]) {
      test(`Online ${online} with ${JSON.stringify(known)} is busy`, () => {
        const states = { online, "sensor.overall_status": "operational", ...known };
        const { level, problems, status: shown } = condition(new Home().device("one", states));
        assert.deepEqual([level, problems, shown], ["busy", [], status]);
      });
    }
  }
}

for (const [online, status, level] of [
  ["on", "operational", "ok"],
  ["on", "reduced_functionality", "limited"],
  ["on", "updating", "busy"],
  ["on", "configuring", "busy"],
  ["on", "inactive", "unknown"],
  ["on", "disconnected", "unknown"],
  ["unknown", "operational", "unknown"],
  ["unavailable", "operational", "error"],
]) {
  test(`online ${online} and ${status} is ${level}`, () => {
    const states = { online, "sensor.overall_status": status };
    assert.equal(condition(new Home().device("one", states)).level, level);
  });
}

test("without Online, the other status decides", () => {
  const levels = ["disconnected", "unavailable", "operational"].map((status) => {
    const home = new Home().device("one", { "sensor.overall_status": status });
    delete home.entities["binary_sensor.one_online"];
    return condition(home).level;
  });
  assert.deepEqual(levels, ["error", "error", "ok"]);
});

test("without Online, a device whose update is unavailable is offline", () => {
  const states = { "sensor.overall_status": "reduced_functionality" };
  const levels = ["unavailable", "off"].map((update) => {
    const home = new Home().device("one", { ...states, "update.release": update });
    delete home.entities["binary_sensor.one_online"];
    return condition(home).level;
  });
  assert.deepEqual(levels, ["error", "limited"]);
});

test("the sensor knows better than Home Assistant when the connectivity changed", () => {
  const home = new Home().device("one", { "sensor.last_seen": "2026-11-01T10:00:00+00:00" });
  home.states["binary_sensor.one_online"].last_changed = "2026-11-02T10:00:00+00:00";
  const [device] = found(home).devices;
  assert.equal(data.lastChange(device, home.states).getUTCDate(), 1);
  home.states["sensor.one_last_seen"].state = "unknown";
  assert.equal(data.lastChange(device, home.states).getUTCDate(), 2);
  delete home.states["binary_sensor.one_online"].last_changed;
  assert.equal(data.lastChange(device, home.states), undefined);
});

test("only changes of what is shown count", () => {
  const home = new Home().device("one", { "sensor.cpu_usage": "10" }).service("one", "web");
  const [device] = found(home).devices;
  const ids = data.watched(device);
  for (const [id, expected] of [
    ["sensor.one_cpu_usage", 0],
    ["binary_sensor.one_online", 1],
    ["switch.one_web_running", 1],
  ]) {
    const before = data.versionOf(ids, home.states);
    const later = { ...home.states, [id]: { ...home.states[id] } };
    assert.equal(data.versionOf(ids, later) - before, expected);
  }
});

test("cards with the same devices compare their states once", () => {
  const home = new Home().device("one").device("two");
  const { devices } = found(home);
  const ids = data.allWatched(devices);
  assert.equal(data.allWatched(devices), ids);
  const before = data.versionOf(ids, home.states);
  let reads = 0;
  const states = new Proxy({ ...home.states }, { get: (target, id) => ((reads += 1), target[id]) });
  assert.equal(data.versionOf(ids, states), before);
  assert.equal(data.versionOf(ids, states), before);
  assert.equal(reads, ids.length);
});

test("a survey finds who needs attention from Online alone", () => {
  const home = new Home()
    .device("one", { "update.release": "off", "sensor.overall_status": "operational" })
    .device("two", { online: "off", "update.release": "off" });
  const hass = home.hass();
  const { devices } = data.inventory(hass);
  const survey = data.surveyOf(devices, hass);
  assert.deepEqual(names(survey.inTrouble), ["two"]);
  assert.deepEqual(survey.entities, ["binary_sensor.one_online", "binary_sensor.two_online"]);
});

test("a survey is kept until a device changes", () => {
  const home = new Home().device("one").device("two");
  const hass = home.hass();
  const { devices } = data.inventory(hass);
  const { inTrouble } = data.surveyOf(devices, hass);
  const surveyWith = (states) => data.surveyOf(devices, { ...hass, states }).inTrouble;
  assert.equal(surveyWith({ ...home.states, "sensor.other": {} }), inTrouble);
  const online = "binary_sensor.one_online";
  const later = { ...home.states, [online]: { ...home.states[online], state: "off" } };
  assert.deepEqual(names(surveyWith(later)), ["one"]);
});

test("a survey of a device without Online follows all that is shown of it", () => {
  const home = homeWithoutOnline({ "sensor.overall_status": "operational" });
  const hass = home.hass();
  const { devices } = data.inventory(hass);
  assert.deepEqual(data.surveyOf(devices, hass).entities, data.watched(devices[0]));
});

test("the row of a device is kept until the device changes", () => {
  const home = new Home().device("one");
  const [device] = found(home).devices;
  const row = data.rowOf(device, home.states);
  assert.equal(data.rowOf(device, { ...home.states, "sensor.other": {} }), row);
  const later = { ...home.states, "binary_sensor.one_online": { state: "off", attributes: {} } };
  assert.equal(data.rowOf(device, later).condition.level, "error");
});

test("cards with the same configuration share the lists of devices", () => {
  const home = new Home().fleet("kiosks").device("one", { fleet: "kiosks" }).device("two");
  const hass = home.hass();
  const selection = data.chosen(hass, { device_id: ["kiosks"] });
  assert.equal(data.chosen(hass, { device_id: ["kiosks"] }), selection);
  const [fleet] = selection.fleets;
  assert.equal(data.members(selection, fleet), data.members(selection, fleet));
  assert.deepEqual(names(data.members(selection, fleet)), ["one"]);
});

test("devices are counted by fleet", () => {
  const home = new Home().fleet("kiosks").device("one", { fleet: "kiosks" }).device("two");
  const counts = data.countByFleet(found(home).devices);
  assert.deepEqual(
    counts,
    new Map([
      ["kiosks", 1],
      [undefined, 1],
    ]),
  );
});

test("devices of one fleet with the same name show the beginning of their UUID", () => {
  const home = new Home().fleet("kiosks").fleet("gateways");
  for (const [id, fleet] of [
    ["1", "kiosks"],
    ["2", "kiosks"],
    ["3", "gateways"],
  ]) {
    home.device(id, { fleet });
    Object.assign(home.devices[id], { name: "lobby", serial_number: `${id}a2b3c4d5e6f7` });
  }
  home.device("alone");
  const { devices } = found(home);
  assert.deepEqual(
    devices.map(({ name, hasNamesake }) => [name, hasNamesake]),
    [
      ["alone", false],
      ["lobby", true],
      ["lobby (1a2b3c4)", true],
      ["lobby (2a2b3c4)", true],
    ],
  );
});

for (const [states, expected] of [
  [{ sensor: "exited", switch: "off" }, "exited"],
  [{ switch: "on" }, "running"],
  [{ switch: "off" }, "stopped"],
  [{ switch: "unavailable" }, "unavailable"],
  [{}, undefined],
]) {
  test(`a service with ${JSON.stringify(states)} is ${expected}`, () => {
    const entities = { "sensor.service_status": "sensor", "switch.running": "switch" };
    const values = Object.entries(states).map(([id, state]) => [id, { state }]);
    assert.equal(data.serviceStatus({ entities }, Object.fromEntries(values)), expected);
  });
}

const REFUSED = {
  domain: "homeassistant",
  issue_domain: data.DOMAIN,
  issue_id: "config_entry_reauth_balena_supervisor_1",
  translation_key: "config_entry_reauth",
  translation_placeholders: { name: "kiosk" },
};
const OLD = {
  domain: data.DOMAIN,
  issue_id: "supervisor_too_old_1",
  translation_key: "supervisor_too_old",
  translation_placeholders: { devices: "lobby, ga\u2060rage" },
};
const taken = (entry) => ({
  domain: data.DOMAIN,
  issue_id: `address_taken_${entry}`,
  translation_key: "address_taken",
});

const failure = (entry) => ({ entry_id: entry, translation_key: "account_token_refused" });

/** Return the notices of a Home Assistant with issues and failures. */
function notices(issues, failures = []) {
  const answers = { "repairs/list_issues": { issues }, "balena_supervisor/failures": failures };
  return data.loadNotices({ callWS: async ({ type }) => answers[type] });
}

test("refused keys and other repairs of ours are found", async () => {
  const issues = [REFUSED, { ...REFUSED, issue_domain: "hue" }, OLD, { ...OLD, ignored: true }];
  const expected = { refused: [REFUSED], repairs: [OLD], failures: [] };
  assert.deepEqual(await notices(issues), expected);
});

test("a refused key is not told a second time as another device at its address", async () => {
  const { refused, repairs } = await notices([REFUSED, taken(1), taken(2)]);
  assert.deepEqual([refused, repairs], [[REFUSED], [taken(2)]]);
});

test("a failure is told until a repair explains it", async () => {
  const all = [failure("1"), failure("2")];
  assert.deepEqual((await notices([], all)).failures, all);
  assert.deepEqual((await notices([REFUSED], all)).failures, [failure("2")]);
  assert.deepEqual((await notices([OLD, taken(2)], all)).failures, [failure("1")]);
});

for (const [issue, device, expected] of [
  [REFUSED, "lobby", true],
  [OLD, "lobby", true],
  [OLD, "garage", true],
  [OLD, "roof", false],
  [taken(2), "lobby", false],
  [failure("1"), "lobby", true],
  [failure("2"), "lobby", false],
]) {
  test(`${issue.issue_id ?? "a failure"} is ${expected ? "" : "not "}about ${device}`, () => {
    const home = new Home().device("lobby").device("garage").device("roof");
    const hass = home.hass();
    for (const known of Object.values(home.devices)) {
      known.config_entry_id = "1";
    }
    const item = data.inventory(hass).devices.find(({ id }) => id === device);
    assert.equal(data.isAbout(issue, hass, item), expected);
  });
}

function homeWithTags() {
  const home = new Home()
    .fleet("kiosks")
    .device("lobby", { fleet: "kiosks", tags: { site: "Berlin", vip: "" } })
    .device("garage", { online: "off", tags: { site: "Köln" } })
    .device("roof", { "sensor.overall_status": "updating" })
    .service("lobby", "signage");
  return home.entity("update", "release", "roof", "on", { latest_version: "2.4.1" });
}

for (const [filter, expected] of [
  [{}, ["garage", "lobby", "roof"]],
  [{ query: " SIGN  lob" }, ["lobby"]],
  [{ query: "2.4.1" }, ["roof"]],
  [{ query: "köln" }, ["garage"]],
  [{ query: "kiosks" }, ["lobby"]],
  [{ query: "nobody" }, []],
  [{ fleet: "kiosks" }, ["lobby"]],
  [{ status: "attention" }, ["garage"]],
  [{ status: "offline" }, ["garage"]],
  [{ status: "busy" }, ["roof"]],
  [{ status: "ok" }, ["lobby"]],
  [{ tag: "site: Berlin" }, ["lobby"]],
  [{ tag: "vip", status: "attention" }, []],
]) {
  test(`a search for ${JSON.stringify(filter)} finds ${expected}`, () => {
    const home = homeWithTags();
    const shown = data.search(found(home).devices, home.states, filter);
    assert.deepEqual(names(shown), expected);
  });
}

test("a search also looks at the words for how a device is", () => {
  const home = homeWithTags();
  const describe = ({ level }) => (level === "ok" ? "Betriebsbereit" : "Offline");
  const shown = data.search(found(home).devices, home.states, { query: "betriebs" }, describe);
  assert.deepEqual(names(shown), ["lobby"]);
});

test("tags are listed once, in order", () => {
  const hass = homeWithTags().hass();
  const { tags } = data.surveyOf(data.inventory(hass).devices, hass);
  assert.deepEqual(tags, ["site: Berlin", "site: Köln", "vip"]);
});

for (const [filters, expected] of [
  [{}, false],
  [{ query: " " }, false],
  [{ query: "lobby" }, true],
  [{ query: "", status: "ok" }, true],
]) {
  test(`${JSON.stringify(filters)} is ${expected ? "a" : "no"} search`, () => {
    assert.equal(data.isSearch(filters), expected);
  });
}

test("a page that does not exist any more is the last page", () => {
  const list = [...Array(100).keys()];
  const { begin, items, page, pages } = data.pageOf(list, 9, 48);
  assert.deepEqual([page, pages, begin, items], [2, 3, 96, [96, 97, 98, 99]]);
  assert.deepEqual(data.pageOf([], 0, 48), { page: 0, pages: 1, begin: 0, items: [] });
});

for (const [seconds, expected] of [
  [-30, "now"],
  [-90, "1 minute ago"],
  [-7200, "2 hours ago"],
  [-86_400, "yesterday"],
  [-700_000, "last week"],
]) {
  test(`${seconds} seconds are "${expected}"`, () => {
    const now = Date.parse("2026-11-29T12:00:00Z");
    assert.equal(data.relativeTime(new Date(now + seconds * 1000), now, "en"), expected);
  });
}
