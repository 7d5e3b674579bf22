/* The dashboard of balena devices: `strategy: {type: custom:balena}`.
 *
 * The strategies only generate configuration; Home Assistant's own cards show it. The dashboard
 * strategy lists the views, and each view is generated when it is opened. Sections that depend on
 * states are generated again when those states change. Device names only go into texts of cards.
 */

const DOMAIN = "balena_supervisor";
const PREFIX = `component.${DOMAIN}.config_panel.dashboard`;

// A group with more devices gets its own view, and the overview only links to it.
const MANY = 48;
// Maximum number of tiles per problem in the overview.
const SHOWN = 24;
const COLUMNS = 3;
// Milliseconds between two looks for texts that another card loads, and in total.
const TEXT_WAIT = 50;
const MAX_TEXT_WAIT = 5000;

const WIDE = { grid_options: { columns: 12 } };
const GREEN = { color: "green" };

// Options of tiles, by entity key.
const FLEET = {
  "sensor.fleet_devices": {},
  "sensor.fleet_devices_online": {},
  "sensor.fleet_devices_updating": {},
  "sensor.fleet_devices_failing": {},
  "sensor.fleet_release": WIDE,
};
const STATE = {
  "sensor.overall_status": {},
  "sensor.status": {},
  "binary_sensor.online": GREEN,
  "binary_sensor.vpn": GREEN,
  "sensor.update_status": {},
  "sensor.last_seen": {},
};
const METRICS = {
  "sensor.cpu_usage": { features: [{ type: "bar-gauge" }] },
  "sensor.memory_usage": { features: [{ type: "bar-gauge" }] },
  "sensor.storage_usage": { features: [{ type: "bar-gauge" }] },
  "sensor.cpu_temperature": { features: [{ type: "trend-graph" }] },
};
// Attributes of the update that show the same as these sensors, which are disabled by default.
const RELEASES = {
  "sensor.release": "installed_version",
  "sensor.target_release": "latest_version",
};
const DETAILS = {
  "sensor.fleet": WIDE,
  "sensor.os_version": WIDE,
  "sensor.ip_address": WIDE,
  "sensor.supervisor_version": {},
  "sensor.hostname": {},
  "sensor.mac_address": WIDE,
};
const HISTORY = [
  "sensor.overall_status",
  "sensor.status",
  "sensor.update_status",
  "binary_sensor.online",
  "binary_sensor.vpn",
];
// The button that is shown only while a lock is known.
const OVERRIDE_LOCK = "button.override_lock";
// Buttons of a device, with the key of the confirmation text.
const COMMANDS = {
  [OVERRIDE_LOCK]: "confirm_override_lock",
  "button.identify": null,
  "button.check_for_updates": null,
  "button.restart_services": "confirm_restart_services",
  "button.reboot": "confirm_reboot",
  "button.shutdown": "confirm_shutdown",
  "button.purge": "confirm_purge",
  "button.cleanup_volumes": "confirm_cleanup_volumes",
};

// Statuses of a device that is expected to be offline.
const AWAY = ["rebooting", "shutting_down", "updating"];
const STOPPED = ["dead", "exited"];
const ONLINE = "binary_sensor.online";

// Problems: the states of an entity of a device or service that need attention.
const TROUBLES = [
  { key: ONLINE, states: ["off"], text: "offline", icon: "mdi:lan-disconnect" },
  { key: ONLINE, states: ["unavailable"], icon: "mdi:help-network-outline" },
  { key: "binary_sensor.update_failed", states: ["on"], icon: "mdi:package-variant-remove" },
  { key: "binary_sensor.update_locked", states: ["on"], icon: "mdi:lock-alert" },
  { key: "binary_sensor.supervisor_problem", states: ["on"], icon: "mdi:shield-alert-outline" },
  { key: "binary_sensor.undervoltage", states: ["on"], icon: "mdi:flash-alert" },
  { key: "sensor.service_status", states: STOPPED, text: "stopped", icon: "mdi:stop-circle-outline" },
];

// Icon and color of a device tile. The first match wins.
const LOOKS = [
  { key: "sensor.status", states: AWAY, color: "blue" },
  { key: ONLINE, states: ["off", "unavailable"], color: "red" },
  { key: "binary_sensor.update_failed", states: ["on"], color: "deep-orange", icon: "mdi:alert" },
  { key: "sensor.overall_status", states: ["reduced_functionality"], color: "amber" },
  { key: "sensor.overall_status", states: ["updating"], color: "blue" },
  { key: ONLINE, states: ["on"], color: "green" },
];

// Devices and fleets

let known = {};

/** Return the fleets and the devices. Cached until the registries change. */
function inventory(hass) {
  if (known.of?.entities !== hass.entities || known.of?.devices !== hass.devices) {
    known = { of: { entities: hass.entities, devices: hass.devices }, ...take(hass) };
  }
  return known;
}

function take(hass) {
  const byDevice = new Map();
  for (const entity of Object.values(hass.entities)) {
    if (entity.platform === DOMAIN && !entity.hidden && hass.devices[entity.device_id]) {
      if (!byDevice.has(entity.device_id)) {
        byDevice.set(entity.device_id, {});
      }
      byDevice.get(entity.device_id)[keyOf(entity)] = entity.entity_id;
    }
  }
  const items = new Map();
  const item = (id) => {
    if (!items.has(id)) {
      const { name_by_user: own, via_device_id: via } = hass.devices[id];
      const entities = byDevice.get(id) ?? {};
      items.set(id, { id, name: own || defaultName(hass, id), entities, fleet: via, services: [] });
    }
    return items.get(id);
  };
  const fleets = new Set();
  const devices = new Set();
  const add = (device) => {
    devices.add(device);
    // All entities of the fleet may be hidden, or all entities of a service's device.
    if (hass.devices[device.fleet]) {
      fleets.add(item(device.fleet));
    }
  };
  for (const id of byDevice.keys()) {
    const { entry_type: type, parent_device_id: parent } = hass.devices[id];
    if (type === "service") {
      fleets.add(item(id));
    } else if (!parent) {
      add(item(id));
    } else if (hass.devices[parent]) {
      add(item(parent));
      item(parent).services.push(item(id));
    }
  }
  const { compare } = new Intl.Collator(hass.language, { numeric: true });
  const sorted = (list) => [...list].sort((a, b) => compare(a.name, b.name));
  for (const device of devices) {
    device.services = sorted(device.services);
  }
  return { fleets: sorted(fleets), devices: sorted(devices) };
}

/** Return the name of a device or a service. Before 2026.10, that of a service begins with its device. */
function defaultName(hass, id) {
  const { name, parent_device_id: parent } = hass.devices[id];
  const prefix = `${hass.devices[parent]?.name} `;
  return (name?.startsWith(prefix) ? name.slice(prefix.length) : name) || id;
}

function keyOf({ entity_id: id, translation_key: key }) {
  // The identify button has no translation key, because Home Assistant names it.
  return `${id.split(".")[0]}.${key ?? "identify"}`;
}

/** Return the selected fleets and devices. A fleet stands for all of its devices. */
function chosen(hass, { device_id: ids }) {
  const { fleets, devices } = inventory(hass);
  if (!ids) {
    return { fleets, devices };
  }
  const wanted = new Set([ids].flat());
  return {
    fleets: fleets.filter(({ id }) => wanted.has(id)),
    devices: devices.filter(({ id, fleet }) => wanted.has(id) || wanted.has(fleet)),
  };
}

/** Return the devices of a fleet, or the devices without a fleet if it is undefined. */
function members({ fleets, devices }, fleet) {
  const ids = new Set(fleets.map(({ id }) => id));
  return devices.filter((device) => (fleet ? device.fleet === fleet.id : !ids.has(device.fleet)));
}

/** Return the devices grouped by fleet, then the devices without a fleet. */
function grouped(found) {
  return [...found.fleets, undefined]
    .map((fleet) => ({ fleet, devices: members(found, fleet) }))
    .filter(({ fleet, devices }) => fleet || devices.length);
}

const stateOf = (hass, { entities }, key) => hass.states[entities[key]]?.state;
const isKnown = (hass, item, key) =>
  ![undefined, "unavailable", "unknown"].includes(stateOf(hass, item, key));

/** Return whether the state of an entity in the table has changed. */
function isChanged(items, table, before, hass) {
  const keys = new Set(table.map(({ key }) => key));
  for (const { entities } of items) {
    for (const key of keys) {
      const id = entities[key];
      if (id && before.states[id]?.state !== hass.states[id]?.state) {
        return true;
      }
    }
  }
  return false;
}

const isOther = (before, hass) =>
  before.entities !== hass.entities || before.devices !== hass.devices;

// Cards

/** Return the function that returns texts.
 *
 * If several cards load the texts at once, Home Assistant returns them to the first only. The
 * others get them as soon as they have arrived.
 */
async function textsOf(hass) {
  const load = () => hass.loadBackendTranslation("config_panel", DOMAIN);
  let localize = await load();
  for (let wait = 0; wait < MAX_TEXT_WAIT && !localize(`${PREFIX}.devices`); wait += TEXT_WAIT) {
    await new Promise((resolve) => setTimeout(resolve, TEXT_WAIT));
    localize = await load();
  }
  return (key, values) => localize(`${PREFIX}.${key}`, values);
}

const nameOf = (hass, key) => hass.localize(`component.${DOMAIN}.entity.${key}.name`);

const heading = (text, icon, more = {}) => ({ type: "heading", heading: text, icon, ...more });
const subtitle = (text, icon, more) => heading(text, icon, { heading_style: "subtitle", ...more });
const grid = (cards, more = {}) => ({ type: "grid", cards, ...more });
const isIn = (entity, states) => ({ condition: "state", entity, state: states });

function tile(entities, key, more = {}) {
  const entity = entities[key];
  return entity ? [{ type: "tile", entity, name: { type: "entity" }, ...more }] : [];
}

const tiles = (entities, table) =>
  Object.entries(table).flatMap(([key, more]) => tile(entities, key, more));

function button(entities, key, action, more = {}) {
  const entity = entities[key];
  const look = { show_name: false, icon_height: "24px", grid_options: { columns: 3, rows: 1 } };
  return entity ? [{ type: "button", entity, tap_action: action, ...look, ...more }] : [];
}

/** Return a stop and a start button, of which one is visible. Stopping needs a confirmation. */
function startAndStop({ name: service, entities }, device, text) {
  const key = "switch.running";
  const runs = isIn(entities[key], "on");
  const question = text("confirm_stop_service", { service: `${device} ${service}` });
  return [
    ...button(entities, key, perform("switch.turn_off", entities[key], question), {
      name: text("stop_service", { service }),
      icon: "mdi:stop",
      visibility: [runs],
    }),
    ...button(entities, key, perform("switch.turn_on", entities[key]), {
      name: text("start_service", { service }),
      icon: "mdi:play",
      visibility: [{ condition: "not", conditions: [runs] }],
    }),
  ];
}

const under = (head, cards) => (cards.length ? [head, ...cards] : []);

const OVERVIEW = "overview";
const goTo = (path) => ({ action: "navigate", navigation_path: path });
const viewOf = ({ id }) => `device-${id}`;
const fleetViewOf = ({ fleet }) => `fleet-${fleet?.id ?? "none"}`;

function perform(action, entity, text) {
  return {
    action: "perform-action",
    perform_action: action,
    target: { entity_id: entity },
    ...(text && { confirmation: { text } }),
  };
}

const press = (entity, text) => perform("button.press", entity, text);

function look(hass, device) {
  return LOOKS.find(({ key, states }) => states.includes(stateOf(hass, device, key))) ?? {};
}

/** Return the tile of a device, or nothing if the device has no visible entity. */
function deviceTile(device, { key: telling, color, icon } = {}) {
  const keys = ["sensor.overall_status", "sensor.status", "binary_sensor.online", "update.release"];
  const key = telling === "sensor.status" ? telling : keys.find((item) => device.entities[item]);
  const entity = device.entities[key] ?? Object.values(device.entities)[0];
  if (!entity) {
    return [];
  }
  const shown = { type: "tile", entity, name: device.name, tap_action: goTo(viewOf(device)) };
  return [{ ...shown, icon_tap_action: { action: "none" }, ...(color && { color }), ...(icon && { icon }) }];
}

/** Return a red shortcut for an offline device, because tiles of entities that are off are grey. */
function awayTile(device, description, icon) {
  const shown = { type: "shortcut", label: device.name, description, icon, color: "red" };
  return { ...shown, tap_action: goTo(viewOf(device)) };
}

/** Return the entity to show for a problem, or undefined if it has no known state. */
function tellingOf(hass, item, key) {
  // Home Assistant may have started after the device went offline; Last seen has the real time.
  const telling = key === ONLINE ? "sensor.last_seen" : key;
  return isKnown(hass, item, telling) ? item.entities[telling] : undefined;
}

/** Return the devices and services that have a problem, with their display names. */
function concerned(hass, devices, { key, states }) {
  return devices.flatMap((device) =>
    [device, ...device.services]
      .filter((item) => states.includes(stateOf(hass, item, key)))
      .filter(() => key !== ONLINE || !AWAY.includes(stateOf(hass, device, "sensor.status")))
      .map((item) => ({
        device,
        entity: tellingOf(hass, item, key),
        name: item === device ? device.name : `${device.name} ${item.name}`,
        more: item === device ? {} : WIDE,
      })),
  );
}

// Sections

class AttentionSection extends HTMLElement {
  static shouldRegenerate(config, before, hass) {
    if (isOther(before, hass)) {
      return true;
    }
    const { devices } = chosen(hass, config);
    const items = devices.flatMap((device) => [device, ...device.services]);
    return isChanged(items, [...TROUBLES, { key: "sensor.status" }], before, hass);
  }

  static async generate(config, hass) {
    const text = await textsOf(hass);
    const { devices } = chosen(hass, config);
    const cards = TROUBLES.flatMap((trouble) => {
      const found = concerned(hass, devices, trouble);
      if (!found.length) {
        return [];
      }
      const [state] = trouble.states;
      const name =
        (trouble.text && text(trouble.text)) ||
        (state === "on" ? nameOf(hass, trouble.key) : hass.localize(`state.default.${state}`));
      const rest = found.length - SHOWN;
      return [
        subtitle(`${name} (${found.length})`, trouble.icon),
        ...found.slice(0, SHOWN).map((item) =>
          item.entity
            ? {
                type: "tile",
                entity: item.entity,
                name: item.name,
                icon: trouble.icon,
                color: "red",
                // The heading says what is on, the tile since when.
                state_content: state === "on" ? "last_changed" : "state",
                tap_action: goTo(viewOf(item.device)),
                icon_tap_action: { action: "none" },
                ...item.more,
              }
            : awayTile(item.device, name, trouble.icon),
        ),
        ...(rest > 0 ? [subtitle(text("more", { count: rest }))] : []),
      ];
    });
    return cards.length
      ? grid([heading(text("attention"), "mdi:alert-circle-outline"), ...cards])
      : grid([heading(text("all_well"), "mdi:check-circle-outline")]);
  }
}

class DevicesSection extends HTMLElement {
  static shouldRegenerate(config, before, hass) {
    const { devices } = DevicesSection.group(config, hass);
    return isOther(before, hass) || (devices.length <= MANY && isChanged(devices, LOOKS, before, hass));
  }

  static group(config, hass) {
    const found = chosen(hass, config);
    const fleet = found.fleets.find(({ id }) => id === config.fleet);
    return { fleet, devices: members(found, fleet) };
  }

  static async generate(config, hass) {
    const text = await textsOf(hass);
    const { fleet, devices } = DevicesSection.group(config, hass);
    if (config.fleet && !fleet) {
      return grid([heading(text("fleet_gone"), "mdi:help-network-outline")]);
    }
    const isMany = devices.length > MANY;
    const tiles = devices.flatMap((device) => {
      const seen = isMany ? {} : look(hass, device);
      if (seen.color !== "red" || isKnown(hass, device, "sensor.overall_status")) {
        return deviceTile(device, seen);
      }
      const isOff = stateOf(hass, device, ONLINE) === "off";
      const state = isOff ? text("offline") : hass.localize("state.default.unavailable");
      return [awayTile(device, state, "mdi:lan-disconnect")];
    });
    return grid([heading(fleet?.name ?? text("devices"), "mdi:developer-board"), ...tiles]);
  }
}

// Views

const devicesSection = (config, { fleet }) => ({
  column_span: COLUMNS,
  strategy: { type: "custom:balena-devices", device_id: config.device_id, fleet: fleet?.id },
});

class OverviewView extends HTMLElement {
  static async generate(config, hass) {
    const text = await textsOf(hass);
    const groups = grouped(chosen(hass, config));
    const counts = groups
      .filter(({ fleet, devices }) => fleet || devices.length > MANY)
      .map((group) => {
        const { fleet, devices } = group;
        const title = fleet?.name ?? `${text("devices")} (${devices.length})`;
        const link = devices.length > MANY ? { tap_action: goTo(fleetViewOf(group)) } : {};
        return grid([
          heading(title, fleet ? "mdi:ship-wheel" : "mdi:developer-board", link),
          ...tiles(fleet?.entities ?? {}, FLEET),
        ]);
      });
    return {
      type: "sections",
      max_columns: COLUMNS,
      sections: [
        {
          column_span: COLUMNS,
          strategy: { type: "custom:balena-attention", device_id: config.device_id },
        },
        ...counts,
        ...groups
          .filter(({ devices }) => devices.length && devices.length <= MANY)
          .map((group) => devicesSection(config, group)),
      ],
    };
  }
}

class FleetView extends HTMLElement {
  static async generate(config) {
    const section = devicesSection(config, { fleet: config.fleet && { id: config.fleet } });
    return { type: "sections", max_columns: COLUMNS, sections: [section] };
  }
}

class DeviceView extends HTMLElement {
  static async generate(config, hass) {
    const text = await textsOf(hass);
    const { devices } = inventory(hass);
    const device = devices.find(({ id }) => id === config.device_id);
    if (!devices.length) {
      return Dashboard.nothing(hass);
    }
    if (!device) {
      return { type: "sections", sections: [grid([heading(text("gone"), "mdi:help-network-outline")])] };
    }
    const sections = [
      grid(DeviceView.state(device, hass, text)),
      grid([...DeviceView.services(device, text), ...DeviceView.history(device, text)]),
      grid([...DeviceView.metrics(device, text), ...DeviceView.details(device, hass, text)]),
      grid(DeviceView.logs(device, hass, text), { column_span: COLUMNS }),
    ];
    return {
      type: "sections",
      max_columns: COLUMNS,
      sections: sections.filter(({ cards }) => cards.length),
    };
  }

  static state({ id, name, entities }, hass, text) {
    const page = hass.user?.is_admin ? { tap_action: goTo(`/config/devices/device/${id}`) } : {};
    const problems = TROUBLES.filter(({ key, states }) => entities[key] && states[0] === "on");
    const progress = entities["sensor.download_progress"];
    const update = entities["update.release"];
    const commands = Object.entries(COMMANDS).flatMap(([key, question]) =>
      tile(entities, key, {
        ...WIDE,
        hide_state: true,
        tap_action: press(entities[key], question && text(question, { device: name })),
        icon_tap_action: { action: "none" },
        ...(key === OVERRIDE_LOCK && {
          visibility: [{ condition: "not", conditions: [isIn(entities[key], "unavailable")] }],
        }),
      }),
    );
    return [
      heading(name, "mdi:developer-board", page),
      ...problems.flatMap(({ key, icon }) =>
        tile(entities, key, { icon, color: "red", visibility: [isIn(entities[key], "on")] }),
      ),
      ...tiles(entities, STATE),
      ...tile(entities, "sensor.download_progress", {
        features: [{ type: "bar-gauge" }],
        visibility: [{ condition: "numeric_state", entity: progress, above: -1 }],
      }),
      ...tile(entities, "update.release", {
        ...WIDE,
        visibility: [{ condition: "not", conditions: [isIn(update, "on")] }],
      }),
      ...tile(entities, "update.release", {
        ...WIDE,
        features: [{ type: "update-actions", backup: "no" }],
        visibility: [isIn(update, "on")],
      }),
      ...under(subtitle(text("commands"), "mdi:gesture-tap-button"), commands),
    ];
  }

  static services({ name: device, services }, text) {
    const cards = services.flatMap((service) => [
      ...tile(service.entities, "sensor.service_status", { name: service.name }),
      ...startAndStop(service, device, text),
      ...button(
        service.entities,
        "button.restart_service",
        press(
          service.entities["button.restart_service"],
          text("confirm_restart_service", { service: service.name, device }),
        ),
      ),
    ]);
    return under(heading(text("services"), "mdi:docker"), cards);
  }

  static history({ entities }, text) {
    const shown = HISTORY.filter((key) => entities[key]).map((key) => ({
      entity: entities[key],
      name: { type: "entity" },
    }));
    const graph = { type: "history-graph", hours_to_show: 24, entities: shown, ...WIDE };
    return under(heading(text("history"), "mdi:chart-timeline"), shown.length ? [graph] : []);
  }

  static metrics({ entities }, text) {
    return under(heading(text("metrics"), "mdi:gauge"), tiles(entities, METRICS));
  }

  static details({ entities }, hass, text) {
    const releases = Object.entries(RELEASES).flatMap(([key, attribute]) =>
      entities[key]
        ? tile(entities, key)
        : tile(entities, "update.release", { name: nameOf(hass, key), state_content: attribute }),
    );
    const cards = [...releases, ...tiles(entities, DETAILS)];
    return under(heading(text("versions"), "mdi:tag-outline"), cards);
  }

  /** Return the log card, which is for administrators only. */
  static logs({ id }, hass, text) {
    const card = {
      type: "custom:balena-logs-card",
      device_id: id,
      title: "",
      grid_options: { columns: "full" },
    };
    const cards = hass.user?.is_admin ? [card] : [];
    return under(heading(text("logs"), "mdi:text-box-outline"), cards);
  }
}

// The dashboard

// The paths of the views that a dashboard had in this page of the browser, by its devices.
const places = new Map();

/** Return the path of the open view if it is the page of a device or a fleet. */
function openPath() {
  const path = window.location.pathname.split("/").pop();
  return /^(device|fleet)-./.test(path) ? [path] : [];
}

/** Return the view of a device or a fleet that does not exist. It says so. */
function goneView(path, selected) {
  const [, kind, id] = path.match(/^(device|fleet)-(.*)$/);
  const strategy =
    kind === "device"
      ? { type: "custom:balena-device", device_id: id }
      : { type: "custom:balena-fleet", device_id: selected, fleet: id === "none" ? undefined : id };
  return { path, subview: true, strategy };
}

/**
 * Return the views in the order that they had, new ones last.
 *
 * When the views change, Home Assistant goes on to show the view with the same number. A view keeps its
 * number when a device is added, renamed or removed, so that the page of a device does not become the
 * page of another device.
 */
function inPlace({ device_id: selected }, views) {
  const key = JSON.stringify(selected ?? null);
  const byPath = new Map(views.map((view) => [view.path, view]));
  const paths = new Set([...(places.get(key) ?? []), ...byPath.keys(), ...openPath()]);
  places.set(key, paths);
  return [...paths].map((path) => byPath.get(path) ?? goneView(path, selected));
}

class Dashboard extends HTMLElement {
  static registryDependencies = ["devices", "entities"];

  static getCreateSuggestions() {
    return { title: "balena", icon: "mdi:cube-outline" };
  }

  static async generate(config, hass) {
    const found = chosen(hass, config);
    const { fleets, devices } = found;
    const text = await textsOf(hass);
    const { device_id } = config;
    const isAlone = !fleets.length && devices.length === 1;
    const overview = fleets.length || devices.length
      ? { path: OVERVIEW, strategy: { type: "custom:balena-overview", device_id } }
      : { path: OVERVIEW, ...(await Dashboard.nothing(hass)) };
    const fleetViews = grouped(found)
      .filter((group) => group.devices.length > MANY)
      .map((group) => ({
        title: group.fleet?.name ?? text("devices"),
        path: fleetViewOf(group),
        subview: true,
        strategy: { type: "custom:balena-fleet", device_id, fleet: group.fleet?.id },
      }));
    const deviceViews = devices.map((item) => ({
      title: item.name,
      path: viewOf(item),
      strategy: { type: "custom:balena-device", device_id: item.id },
      subview: !isAlone,
    }));
    // A device alone has the first page.
    const first = isAlone ? { ...overview, visible: false } : overview;
    return { views: inPlace(config, [first, ...fleetViews, ...deviceViews]) };
  }

  static async nothing(hass) {
    const text = await textsOf(hass);
    const add = {
      text: text("add"),
      appearance: "filled",
      variant: "brand",
      tap_action: goTo(`/config/integrations/dashboard/add?domain=${DOMAIN}`),
    };
    const card = {
      type: "empty-state",
      icon: "mdi:cube-off-outline",
      content_only: true,
      ...WIDE,
      title: text("nothing"),
      buttons: hass.user?.is_admin ? [add] : [],
    };
    return { type: "sections", max_columns: 1, sections: [grid([card])] };
  }
}

for (const [name, strategy] of Object.entries({
  "dashboard-balena": Dashboard,
  "view-balena-overview": OverviewView,
  "view-balena-fleet": FleetView,
  "view-balena-device": DeviceView,
  "section-balena-attention": AttentionSection,
  "section-balena-devices": DevicesSection,
})) {
  if (!customElements.get(`ll-strategy-${name}`)) {
    customElements.define(`ll-strategy-${name}`, strategy);
  }
}

window.customStrategies = window.customStrategies ?? [];
if (!window.customStrategies.some(({ type }) => type === "balena")) {
  window.customStrategies.push({
    type: "balena",
    strategyType: "dashboard",
    name: "balena",
    description: "Overview of your balena devices and fleets, with a page for each device",
  });
}
