import assert from "node:assert/strict";
import test from "node:test";

import {
  checkConfig,
  deviceOptions,
  devicesOf,
  labelled,
  serviceOptions,
  serviceValue,
} from "../../custom_components/balena_supervisor/frontend/logs-sources.js";

const device = (id, values = {}) => ({
  id,
  name: id,
  name_by_user: null,
  disabled_by: null,
  entry_type: null,
  identifiers: [["balena_supervisor", id]],
  serial_number: `${id}-serial`,
  ...values,
});
const hassWith = (...devices) => ({
  language: "en",
  devices: Object.fromEntries(devices.map((item) => [item.id, item])),
});
const names = (hass) => devicesOf(hass).map(({ name }) => name);
const labels = (hass) => deviceOptions(hass, "local").map(({ label }) => label);

test("devices are sorted, with the names that a person gave them", () => {
  const hass = hassWith(device("b"), device("c", { name_by_user: "Attic" }), device("á"));
  assert.deepEqual(names(hass), ["á", "Attic", "b"]);
});

for (const [what, values] of [
  ["a disabled device", { disabled_by: "user" }],
  ["a fleet", { entry_type: "service" }],
  ["a service", { parent_device_id: "another" }],
  ["a device of another integration", { identifiers: [["hue", "x"]] }],
]) {
  test(`${what} has no logs`, () => {
    assert.deepEqual(names(hassWith(device("ours"), device("other", values))), ["ours"]);
  });
}

test("a page without devices has none to choose", () => {
  assert.deepEqual(names({ language: "en" }), []);
});

test("a device that exists directly and through an account has two labels", () => {
  const fleet = device("fleet", { name: "kiosks", entry_type: "service" });
  const local = device("1", { name: "kiosk" });
  const member = device("2", { name: "kiosk", via_device_id: "fleet" });
  const hass = hassWith(fleet, local, member, device("another"));
  assert.deepEqual(labels(hass), ["another", "kiosk (local)", "kiosk (kiosks)"]);
});

test("some devices are labelled as if no others existed", () => {
  const fleet = device("fleet", { name: "kiosks", entry_type: "service" });
  const local = device("1", { name: "kiosk" });
  const member = device("2", { name: "kiosk", via_device_id: "fleet" });
  const hass = hassWith(fleet, local, member);
  const choices = labelled(hass, [member], "local");
  assert.deepEqual(choices, [{ value: "2", label: "kiosk" }]);
});

test("devices of the same name in the same fleet show their uuids", () => {
  const fleet = device("fleet", { name: "kiosks", entry_type: "service" });
  const [one, other] = ["1234567890", "7654321890"].map((uuid) =>
    device(uuid, { name: "kiosk", via_device_id: "fleet", serial_number: uuid }),
  );
  assert.deepEqual(labels(hassWith(fleet, one, other)), [
    "kiosk (kiosks, 1234567)",
    "kiosk (kiosks, 7654321)",
  ]);
});

const service = (name, app_id, app) => ({ name, app_id, app });

test("services are chosen by name, and all of them together", () => {
  const options = serviceOptions([service("main", 1, "kiosks")], "All", "", null);
  assert.deepEqual(options, [
    { value: serviceValue("", null), label: "All" },
    { value: serviceValue("main", 1), label: "main" },
  ]);
});

test("services of the same name show their apps", () => {
  const services = [service("main", 1, "kiosks"), service("main", 2, "another")];
  const options = serviceOptions(services, "All", "main", 2);
  assert.deepEqual(
    options.map(({ label }) => label),
    ["All", "main (kiosks)", "main (another)"],
  );
});

test("a chosen service that the device does not have stays in the list", () => {
  const options = serviceOptions([], "All", "gone", null);
  assert.deepEqual(options.at(-1), { value: serviceValue("gone", null), label: "gone" });
});

test("a configuration without lines gets the default", () => {
  assert.deepEqual(checkConfig({ type: "x", title: "" }), { type: "x", title: "", lines: 100 });
});

for (const [config, message] of [
  [{ lines: 0 }, /lines must be a number from 1 to 1000/],
  [{ lines: "many" }, /lines/],
  [{ lines: 1001 }, /lines/],
  [{ service: 5 }, /service must be a text/],
  [{ device_id: ["a"] }, /device_id must be a text/],
  [{ app_id: "main" }, /app_id must be a positive number/],
  [{ app_id: 0 }, /app_id/],
]) {
  test(`${JSON.stringify(config)} is refused`, () => {
    assert.throws(() => checkConfig(config), { message });
  });
}
